#include "registry_server/quota.h"

#include <algorithm>

#include "base/text.h"
#include "registry_server/names.h"

namespace kist::registry_server {

Result<void> Quotas::measure(const Catalog& catalog) {
  if (quotas_.empty()) return {};
  std::vector<uint64_t> sums(quotas_.size(), 0);
  const Page all = TRY(catalog.repositories("", SIZE_MAX));
  for (const std::string& repository : all.names) {
    std::vector<size_t> which;
    for (size_t i = 0; i < quotas_.size(); ++i)
      if (fits_pattern(repository, quotas_[i].repositories)) which.push_back(i);
    if (which.empty()) continue;
    uint64_t sum = 0;
    const auto blobs = TRY(catalog.blobs(repository));
    for (const ContentDigest& digest : blobs) {
      const auto text = TRY(catalog.storage().get(link_key(repository, digest)));
      if (text) sum += parse_number(trim(*text)).value_or(0);
    }
    for (const size_t i : which) sums[i] += sum;
  }
  const std::scoped_lock lock(mutex_);
  used_ = std::move(sums);
  return {};
}

Result<void> Quotas::take(const std::string& repository, uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  for (size_t i = 0; i < quotas_.size(); ++i)
    if (fits_pattern(repository, quotas_[i].repositories) && used_[i] + bytes > quotas_[i].bytes)
      return Error(Code::unavailable, "the quota of {} for '{}' has {} left, not {}", human_bytes(quotas_[i].bytes),
                   quotas_[i].repositories, human_bytes(quotas_[i].bytes - std::min(used_[i], quotas_[i].bytes)), human_bytes(bytes));
  for (size_t i = 0; i < quotas_.size(); ++i)
    if (fits_pattern(repository, quotas_[i].repositories)) used_[i] += bytes;
  return {};
}

void Quotas::give_back(const std::string& repository, uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  for (size_t i = 0; i < quotas_.size(); ++i)
    if (fits_pattern(repository, quotas_[i].repositories)) used_[i] -= std::min(used_[i], bytes);
}

}  // namespace kist::registry_server
