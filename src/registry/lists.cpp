// What a repository lists: its tags, page after page, and what refers to a manifest.
#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "base/text.h"
#include "registry/challenge.h"
#include "registry/client.h"

namespace kist::registry {
namespace {

constexpr int kMostPages = 10'000;
constexpr size_t kMostTags = 1'000'000;
constexpr size_t kMostTagBytes = 128;
constexpr uint64_t kMostPageBytes = 16u << 20;
constexpr size_t kMostReferrers = 100'000;

Result<void> add_tags(const boost::json::object& page, std::vector<std::string>& out) {
  const auto* tags = page.if_contains("tags");
  if (tags == nullptr || !tags->is_array()) return {};
  for (const auto& tag : tags->get_array()) {
    if (!tag.is_string() || tag.get_string().empty() || tag.get_string().size() > kMostTagBytes)
      return Error(Code::corrupt, "the registry's list of tags holds something that is no tag");
    if (out.size() >= kMostTags) return Error(Code::invalid, "the registry's list of tags is longer than the limit of {}", kMostTags);
    out.emplace_back(std::string_view(tag.get_string()));
  }
  return {};
}

// Of a Link header (RFC 8288): where the next page is; empty on the last one.
std::string next_page(std::string_view link) {
  const size_t begin = link.find('<');
  const size_t end = link.find('>');
  if (begin == std::string::npos || end == std::string::npos || end < begin || link.find("next", end) == std::string::npos) return "";
  return std::string(link.substr(begin + 1, end - begin - 1));
}

// Before 1.1 a tag stood for what refers to a manifest.
std::string referrers_tag(const oci::Digest& digest) { return "sha256-" + digest.hex(); }

oci::Index no_referrers() { return {.media_type = std::string(oci::media::kIndex), .manifests = {}, .annotations = {}}; }

// How a list of referrers describes a manifest or an index, and what that refers to.
struct Referrer {
  oci::Digest subject;
  oci::Descriptor entry;
};

Result<std::optional<Referrer>> referrer_of(const std::string& bytes, std::string_view media_type) {
  boost::system::error_code failed;
  const auto value = boost::json::parse(bytes, failed);
  const auto* subject = failed || !value.is_object() ? nullptr : value.get_object().if_contains("subject");
  if (subject == nullptr || !subject->is_object()) return std::optional<Referrer>();
  Referrer out{.subject = oci::Sha256::of(bytes),
               .entry = {.media_type = std::string(media_type), .digest = oci::Sha256::of(bytes), .size_bytes = bytes.size(),
                         .annotations = {}, .platform = {}}};
  const auto* digest = subject->get_object().if_contains("digest");
  if (digest == nullptr || !digest->is_string()) return Error(Code::corrupt, "manifest: subject: no field 'digest'");
  const std::string text(std::string_view(digest->get_string()));
  out.subject = TRY(oci::Digest::parse(text), "manifest: subject");
  if (oci::media::is_index(media_type)) {
    out.entry.annotations = TRY(oci::parse_index(bytes, media_type)).annotations;
  } else {
    const oci::Manifest manifest = TRY(oci::parse_manifest(bytes, media_type));
    out.entry.annotations = manifest.annotations;
    out.entry.artifact_type = manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type;
  }
  return std::optional<Referrer>(std::move(out));
}

}  // namespace

// Docker's registry pages by a Link header; the next page is told by its "last".
Result<std::vector<std::string>> Repository::tags() {
  const std::string& repository = session_.address().repository;
  std::vector<std::string> out;
  std::set<std::string> seen;
  std::string url = session_.url(fmt::format("{}/tags/list", repository));
  for (int page = 0; page < kMostPages; ++page) {
    if (!seen.insert(url).second) return Error(Code::invalid, "the registry's list of tags comes back to a page before");
    http::Call call;
    call.url = url;
    http::Stream answer = TRY(session_.call(call, pull_scope()));
    if (answer.head().status != 200) return refusal(answer, session_.address(), fmt::format("tags of {}", printable(repository)));
    const std::string next = next_page(answer.head().field("link"));
    const std::string text = TRY(answer.read_all(kMostPageBytes));
    boost::system::error_code failed;
    const auto value = boost::json::parse(text, failed);
    if (failed || !value.is_object()) return Error(Code::corrupt, "the registry's list of tags is not JSON");
    TRY(add_tags(value.get_object(), out));
    if (next.empty()) return out;
    url = TRY(session_.resolve(next));
  }
  return Error(Code::invalid, "the registry's list of tags has more than {} pages", kMostPages);
}

Result<oci::Index> Repository::referrers(const oci::Digest& digest, std::string_view artifact_type) {
  auto all = TRY(all_referrers(digest, artifact_type));
  // Registries need not filter, and a tag's list cannot.
  if (!artifact_type.empty())
    std::erase_if(all.manifests, [&](const oci::Descriptor& one) { return one.artifact_type != artifact_type; });
  return all;
}

Result<oci::Index> Repository::all_referrers(const oci::Digest& digest, std::string_view artifact_type) {
  const std::string& repository = session_.address().repository;
  oci::Index out = no_referrers();
  std::set<std::string> seen;
  std::string url = session_.url(fmt::format("{}/referrers/{}", repository, digest.string()));
  if (!artifact_type.empty()) url += "?artifactType=" + escape(artifact_type);
  for (int page = 0; page < kMostPages; ++page) {
    if (!seen.insert(url).second) return Error(Code::invalid, "the registry's list of referrers comes back to a page before");
    http::Call call;
    call.url = url;
    http::Stream answer = TRY(session_.call(call, pull_scope()));
    if (answer.head().status == 404 && page == 0) return referrers_by_tag(digest);
    if (answer.head().status != 200) return refusal(answer, session_.address(), fmt::format("referrers of {}", printable(repository)));
    const std::string next = next_page(answer.head().field("link"));
    const std::string text = TRY(answer.read_all(kMostPageBytes));
    oci::Index part = TRY(oci::parse_index(text));
    if (out.manifests.size() + part.manifests.size() > kMostReferrers)
      return Error(Code::invalid, "the registry's list of referrers is longer than the limit of {}", kMostReferrers);
    std::move(part.manifests.begin(), part.manifests.end(), std::back_inserter(out.manifests));
    if (next.empty()) return out;
    url = TRY(session_.resolve(next));
  }
  return Error(Code::invalid, "the registry's list of referrers has more than {} pages", kMostPages);
}

Result<oci::Index> Repository::referrers_by_tag(const oci::Digest& digest) {
  auto index = manifest(referrers_tag(digest));
  if (!index && index.error().code() == Code::not_found) return no_referrers();
  if (!index) return index.error();
  return oci::parse_index(index->bytes, index->media_type);
}

Result<void> Repository::list_referrer(const std::string& bytes, std::string_view media_type) {
  const auto referrer = TRY(referrer_of(bytes, media_type));
  if (!referrer) return {};
  oci::Index list = TRY(referrers_by_tag(referrer->subject));
  const auto is_it = [&](const oci::Descriptor& one) { return one.digest == referrer->entry.digest; };
  if (std::any_of(list.manifests.begin(), list.manifests.end(), is_it)) return {};
  list.media_type = std::string(oci::media::kIndex);
  list.manifests.push_back(referrer->entry);
  return put_manifest(referrers_tag(referrer->subject), oci::encode(list), oci::media::kIndex);
}

Result<void> Repository::unlist_referrer(const Document& document) {
  const auto referrer = TRY(referrer_of(document.bytes, document.media_type));
  if (!referrer) return {};
  oci::Index list = TRY(referrers_by_tag(referrer->subject));
  const size_t before = list.manifests.size();
  std::erase_if(list.manifests, [&](const oci::Descriptor& one) { return one.digest == referrer->entry.digest; });
  if (list.manifests.size() == before) return {};
  return put_manifest(referrers_tag(referrer->subject), oci::encode(list), oci::media::kIndex);
}

}  // namespace kist::registry
