#include "debian/mirror.h"

#include <algorithm>

namespace kist::debian {
namespace {

constexpr std::string_view kReleases[] = {"buster",    "bullseye",     "bookworm", "trixie",
                                          "forky",     "oldoldstable", "oldstable", "stable",
                                          "testing"};
constexpr std::string_view kPockets[] = {"", "-updates", "-security"};

bool is_fetchable(std::string_view uri) {
  return uri.starts_with("http://") || uri.starts_with("https://") || uri.starts_with("file:");
}

// "main" and what the host has besides; sources without it belong to other vendors.
bool has_main(const AptSource& source) {
  return std::find(source.components.begin(), source.components.end(), "main") !=
         source.components.end();
}

}  // namespace

std::optional<SuiteName> split_suite(std::string_view suite) {
  for (const std::string_view release : kReleases) {
    if (!suite.starts_with(release)) continue;
    std::string_view rest = suite.substr(release.size());
    if (rest == "/updates") rest = "-security";  // How it was written before bullseye.
    if (rest.empty() || rest[0] == '-') return SuiteName{std::string(release), std::string(rest)};
  }
  return std::nullopt;
}

Result<std::vector<Pocket>> find_pockets(const AptConfig& config, const std::string& suite) {
  std::vector<Pocket> out;
  for (const std::string_view pocket : kPockets) out.push_back({suite + std::string(pocket), {}});
  for (const AptSource& source : config.sources) {
    const auto name = split_suite(source.suite);
    if (!name || !has_main(source) || !is_fetchable(source.uri)) continue;
    for (Pocket& pocket : out) {
      if (pocket.suite != suite + name->pocket) continue;
      Archive archive{.uri = source.uri,
                      .suite = pocket.suite,
                      .components = {"main"},
                      .keyrings = source.keyrings,
                      .inline_key = source.inline_key,
                      .check_valid_until = config.check_valid_until && source.check_valid_until,
                      .check_date = config.check_date};
      if (archive.keyrings.empty() && archive.inline_key.empty())
        archive.keyrings = config.keyrings;
      pocket.archives.push_back(std::move(archive));
    }
  }
  if (out[0].archives.empty())
    return Error(Code::not_found, "no Debian archive is configured on this machine")
        .hint("give one in `/etc/apt/sources.list.d`, or `--mirror`");
  std::erase_if(out, [](const Pocket& pocket) { return pocket.archives.empty(); });
  return out;
}

}  // namespace kist::debian
