#include "registry_server/catalog.h"

#include <algorithm>

#include "base/text.h"
#include "registry_server/json_text.h"
#include "registry_server/names.h"

namespace kist::registry_server {
namespace {

std::string top_of(const std::string& repository) { return fmt::format("repositories/{}/", repository); }

std::string referrer_folder(const std::string& repository, const ContentDigest& subject) {
  return fmt::format("{}_referrers/{}/{}/", top_of(repository), subject.algorithm_name(), subject.hex());
}

std::string referrer_key(const std::string& repository, const ContentDigest& subject, const ContentDigest& digest) {
  return fmt::format("{}{}-{}", referrer_folder(repository, subject), digest.algorithm_name(), digest.hex());
}

std::string link_text(const ManifestLink& link) {
  return fmt::format("{} {} {}\n", percent_encode(link.media_type), link.size_bytes, link.subject ? link.subject->string() : "-");
}

std::optional<ManifestLink> parse_link(std::string_view text) {
  const auto parts = split(trim(text), ' ');
  if (parts.size() != 3) return std::nullopt;
  auto media_type = percent_decode(parts[0]);
  const auto size = parse_number(parts[1]);
  if (!media_type || !size) return std::nullopt;
  ManifestLink link{.media_type = std::move(*media_type), .size_bytes = *size, .subject = std::nullopt};
  if (parts[2] == "-") return link;
  auto subject = ContentDigest::parse(parts[2]);
  if (!subject) return std::nullopt;
  link.subject = std::move(*subject);
  return link;
}

Page page_of(std::vector<std::string> names, std::string_view last, size_t count) {
  Page page;
  auto from = last.empty() ? names.begin() : std::upper_bound(names.begin(), names.end(), last);
  const auto left = static_cast<size_t>(names.end() - from);
  page.has_more = left > count;
  page.names.assign(std::make_move_iterator(from), std::make_move_iterator(from + static_cast<std::ptrdiff_t>(std::min(left, count))));
  return page;
}

}  // namespace

std::string tag_key(const std::string& repository, const std::string& tag) { return top_of(repository) + "_tags/" + tag; }
std::string manifest_key(const std::string& repository, const ContentDigest& digest) {
  return fmt::format("{}_manifests/{}/{}", top_of(repository), digest.algorithm_name(), digest.hex());
}
std::string link_key(const std::string& repository, const ContentDigest& digest) {
  return fmt::format("{}_blobs/{}/{}", top_of(repository), digest.algorithm_name(), digest.hex());
}

Result<Catalog::Need> Catalog::need() const {
  std::shared_lock threads(needs_);
  os::Fd processes = TRY(storage_.lock(false));
  return Need{std::move(threads), std::move(processes)};
}

Result<Catalog::TakeAway> Catalog::take_away() const {
  std::unique_lock threads(needs_);
  os::Fd processes = TRY(storage_.lock(true));
  return TakeAway{std::move(threads), std::move(processes)};
}

Result<std::optional<ContentDigest>> Catalog::tag(const std::string& repository, const std::string& tag) const {
  const auto text = TRY(storage_.get(tag_key(repository, tag)));
  if (!text) return std::nullopt;
  return TRY(ContentDigest::parse(trim(*text)), "tag '{}' of '{}' is damaged", tag, repository);
}

Result<std::optional<ManifestLink>> Catalog::manifest(const std::string& repository, const ContentDigest& digest) const {
  const auto text = TRY(storage_.get(manifest_key(repository, digest)));
  if (!text) return std::nullopt;
  auto link = parse_link(*text);
  if (!link) return Error(Code::corrupt, "the link of {} in '{}' is damaged", digest.string(), repository);
  return link;
}

Result<bool> Catalog::has_blob(const std::string& repository, const ContentDigest& digest) const {
  return storage_.has(link_key(repository, digest));
}

Result<Page> Catalog::tags(const std::string& repository, std::string_view last, size_t count) const {
  auto listing = TRY(storage_.list(top_of(repository) + "_tags/"));
  return page_of(std::move(listing.files), last, count);
}

Result<void> Catalog::collect(const std::string& above, std::vector<std::string>& into) const {
  const Listing listing = TRY(storage_.list("repositories/" + above));
  for (const std::string& folder : listing.folders) {
    if (folder.starts_with('_')) continue;
    const std::string name = above + folder;
    if (!is_repository_name(name)) continue;
    const bool is_repository = TRY(has_repository(name));
    if (is_repository) into.push_back(name);
    TRY(collect(name + "/", into));
  }
  return {};
}

Result<bool> Catalog::has_repository(const std::string& repository) const {
  const Listing listing = TRY(storage_.list(top_of(repository)));
  return std::any_of(listing.folders.begin(), listing.folders.end(), [](const std::string& name) { return name.starts_with('_'); });
}

Result<Page> Catalog::repositories(std::string_view last, size_t count) const {
  std::vector<std::string> names;
  TRY(collect("", names));
  std::sort(names.begin(), names.end());
  return page_of(std::move(names), last, count);
}

Result<std::vector<ContentDigest>> Catalog::digests(const std::string& repository, std::string_view kind) const {
  std::vector<ContentDigest> found;
  for (const std::string_view algorithm : {"sha256", "sha512"}) {
    const Listing listing = TRY(storage_.list(fmt::format("{}{}/{}/", top_of(repository), kind, algorithm)));
    for (const std::string& hex : listing.files)
      if (auto digest = ContentDigest::parse(algorithm, hex)) found.push_back(std::move(*digest));
  }
  return found;
}

Result<std::vector<ContentDigest>> Catalog::manifests(const std::string& repository) const { return digests(repository, "_manifests"); }
Result<std::vector<ContentDigest>> Catalog::blobs(const std::string& repository) const { return digests(repository, "_blobs"); }

Result<std::vector<std::string>> Catalog::referrers(const std::string& repository, const ContentDigest& subject) const {
  const std::string folder = referrer_folder(repository, subject);
  std::vector<std::string> found;
  const Listing listing = TRY(storage_.list(folder));
  for (const std::string& name : listing.files) {
    auto text = TRY(storage_.get(folder + name));
    if (text) found.push_back(std::move(*text));
  }
  return found;
}

Result<void> Catalog::link_blob(const std::string& repository, const ContentDigest& digest, uint64_t size_bytes) const {
  return storage_.put(link_key(repository, digest), fmt::format("{}\n", size_bytes), false);
}

Result<bool> Catalog::unlink_blob(const std::string& repository, const ContentDigest& digest) const {
  return storage_.remove(link_key(repository, digest));
}

Result<void> Catalog::link_manifest(const std::string& repository, const ContentDigest& digest, const ManifestLink& link,
                                    const ManifestFacts& facts) const {
  if (facts.subject) {
    std::string text = fmt::format("{{\"mediaType\":{},\"digest\":\"{}\",\"size\":{}", json_quoted(link.media_type),
                                   digest.string(), link.size_bytes);
    if (!facts.artifact_type.empty()) text += fmt::format(",\"artifactType\":{}", json_quoted(facts.artifact_type));
    if (!facts.annotations.empty()) text += fmt::format(",\"annotations\":{}", facts.annotations);
    TRY(storage_.put(referrer_key(repository, *facts.subject, digest), text + "}", false));
  }
  return storage_.put(manifest_key(repository, digest), link_text(link), true);
}

Result<void> Catalog::set_tag(const std::string& repository, const std::string& tag, const ContentDigest& digest) const {
  return storage_.put(tag_key(repository, tag), digest.string() + "\n", true);
}

Result<bool> Catalog::remove_tag(const std::string& repository, const std::string& tag) const {
  return storage_.remove(tag_key(repository, tag));
}

Result<std::vector<std::string>> Catalog::tags_of(const std::string& repository, const ContentDigest& digest) const {
  std::vector<std::string> found;
  const std::string wanted = digest.string();
  Listing listing = TRY(storage_.list(top_of(repository) + "_tags/"));
  for (std::string& name : listing.files) {
    const auto text = TRY(storage_.get(tag_key(repository, name)));
    if (text && trim(*text) == wanted) found.push_back(std::move(name));
  }
  return found;
}

Result<bool> Catalog::unlink_manifest(const std::string& repository, const ContentDigest& digest) const {
  const auto link = TRY(manifest(repository, digest));
  if (!link) return false;
  const auto names = TRY(tags_of(repository, digest));
  for (const std::string& name : names) TRY(remove_tag(repository, name));
  if (link->subject) TRY(storage_.remove(referrer_key(repository, *link->subject, digest)));
  return storage_.remove(manifest_key(repository, digest));
}

}  // namespace kist::registry_server
