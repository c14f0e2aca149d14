#include "registry_server/gc.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.h"
#include "registry_server/names.h"

namespace kist::registry_server {
namespace {

constexpr uint64_t kMaxManifest = 64u << 20;

struct DatedTag {
  std::string name;
  int64_t set_s = 0;
};

class Collection {
 public:
  Collection(const Catalog& catalog, const std::vector<Retention>& rules, const GcOptions& options, int64_t now_s)
      : catalog_(catalog), rules_(rules), options_(options), now_s_(now_s) {}

  Result<GcReport> run() {
    const Page all = TRY(catalog_.repositories("", SIZE_MAX));
    for (const std::string& repository : all.names) TRY(repository_(repository), "repository '{}'", repository);
    TRY(sweep_blobs());
    if (!options_.is_dry_run) TRY(catalog_.storage().end_abandoned(now_s_ - options_.grace.count()));
    return report_;
  }

 private:
  bool is_young(std::optional<int64_t> changed_s) const { return !changed_s || *changed_s + options_.grace.count() > now_s_; }

  Result<std::vector<DatedTag>> tags(const std::string& repository) const {
    std::vector<DatedTag> found;
    Page page = TRY(catalog_.tags(repository, "", SIZE_MAX));
    for (std::string& name : page.names) {
      const auto set = TRY(catalog_.storage().modified(tag_key(repository, name)));
      if (set) found.push_back({std::move(name), *set});
    }
    std::sort(found.begin(), found.end(),
              [](const DatedTag& a, const DatedTag& b) { return std::tie(a.set_s, a.name) > std::tie(b.set_s, b.name); });
    return found;
  }

  Result<void> apply(const Retention& rule, const std::string& repository) {
    const auto all = TRY(tags(repository));
    size_t kept = 0;
    for (const DatedTag& tag : all) {
      const bool is_about = std::any_of(rule.tags.begin(), rule.tags.end(), [&](const std::string& p) { return fits_pattern(tag.name, p); });
      if (!is_about) continue;
      const bool is_among_last = rule.keep_last && kept < *rule.keep_last;
      const bool is_recent = rule.keep_for && tag.set_s + rule.keep_for->count() > now_s_;
      if (is_among_last || is_recent || (!rule.keep_last && !rule.keep_for)) {
        ++kept;
        continue;
      }
      ++report_.tags;
      if (!options_.is_dry_run) TRY(catalog_.remove_tag(repository, tag.name));
      else gone_tags_.insert(tag_key(repository, tag.name));
    }
    return {};
  }

  Result<ManifestFacts> facts(const std::string& repository, const ContentDigest& digest) const {
    const auto source = TRY(catalog_.storage().open_blob(digest));
    if (!source) return ManifestFacts{};
    const auto link = TRY(catalog_.manifest(repository, digest));
    const std::string bytes = TRY(source->read(kMaxManifest));
    auto parsed = parse_manifest_facts(bytes, "");
    // One that cannot be read needs nothing that we know of, but stops the rest of its repository
    // from being taken away.
    if (!parsed) return std::move(parsed).error();
    return std::move(*parsed);
  }

  // Manifests that a tag, an index, or a subject that stays keeps.
  Result<void> drop_untagged(const std::string& repository, const std::vector<ContentDigest>& manifests) {
    std::set<ContentDigest> kept;
    std::vector<ContentDigest> todo;
    const Page names = TRY(catalog_.tags(repository, "", SIZE_MAX));
    for (const std::string& name : names.names) {
      if (gone_tags_.count(tag_key(repository, name)) != 0) continue;
      auto digest = TRY(catalog_.tag(repository, name));
      if (digest) todo.push_back(std::move(*digest));
    }
    for (const ContentDigest& digest : manifests) {
      const auto changed = TRY(catalog_.storage().modified(manifest_key(repository, digest)));
      if (is_young(changed)) todo.push_back(digest);
    }
    std::multiset<std::pair<ContentDigest, ContentDigest>> by_subject;
    for (const ContentDigest& digest : manifests) {
      const auto link = TRY(catalog_.manifest(repository, digest));
      if (link && link->subject) by_subject.emplace(*link->subject, digest);
    }
    while (!todo.empty()) {
      const ContentDigest digest = todo.back();
      todo.pop_back();
      if (!kept.insert(digest).second) continue;
      const ManifestFacts needs = TRY(facts(repository, digest));
      todo.insert(todo.end(), needs.children.begin(), needs.children.end());
      for (const auto& [subject, referrer] : by_subject)
        if (subject == digest) todo.push_back(referrer);
    }
    for (const ContentDigest& digest : manifests) {
      if (kept.count(digest) != 0) continue;
      ++report_.manifests;
      if (options_.is_dry_run) gone_manifests_.insert(manifest_key(repository, digest));
      else TRY(catalog_.unlink_manifest(repository, digest));
    }
    return {};
  }

  Result<void> repository_(const std::string& repository) {
    const auto alone = TRY(catalog_.take_away());
    // The first rule that fits a repository is the one for it.
    for (const Retention& rule : rules_)
      if (fits_pattern(repository, rule.repositories)) {
        TRY(apply(rule, repository));
        break;
      }
    if (options_.takes_untagged) {
      const auto before = TRY(catalog_.manifests(repository));
      TRY(drop_untagged(repository, before));
    }
    const auto manifests = TRY(catalog_.manifests(repository));
    std::set<ContentDigest> needed;
    for (const ContentDigest& digest : manifests) {
      if (gone_manifests_.count(manifest_key(repository, digest)) != 0) continue;
      in_use_.insert(digest);
      const ManifestFacts needs = TRY(facts(repository, digest));
      needed.insert(needs.blobs.begin(), needs.blobs.end());
      needed.insert(needs.elsewhere.begin(), needs.elsewhere.end());
    }
    const auto links = TRY(catalog_.blobs(repository));
    for (const ContentDigest& digest : links) {
      const auto changed = TRY(catalog_.storage().modified(link_key(repository, digest)));
      if (needed.count(digest) != 0 || is_young(changed)) {
        in_use_.insert(digest);
        continue;
      }
      ++report_.links;
      if (!options_.is_dry_run) TRY(catalog_.unlink_blob(repository, digest));
    }
    return {};
  }

  // Between the walk over the repositories and this, a blob may have been linked again: every link and
  // every look at a blob makes it young, and being young is looked at again under the lock.
  Result<void> sweep_blobs() {
    const auto blobs = TRY(catalog_.storage().blobs());
    for (const StoredBlob& blob : blobs) {
      if (in_use_.count(blob.digest) != 0 || is_young(blob.modified_s)) continue;
      const auto alone = TRY(catalog_.take_away());
      const auto now = TRY(catalog_.storage().open_blob(blob.digest));
      if (!now || is_young(now->modified_s)) continue;
      ++report_.blobs;
      report_.freed_bytes += now->size_bytes;
      if (!options_.is_dry_run) TRY(catalog_.storage().remove_blob(blob.digest));
    }
    return {};
  }

  const Catalog& catalog_;
  const std::vector<Retention>& rules_;
  const GcOptions& options_;
  int64_t now_s_;
  GcReport report_;
  std::set<ContentDigest> in_use_;
  std::set<std::string> gone_tags_, gone_manifests_;  // Of a dry run.
};

}  // namespace

Result<GcReport> collect_garbage(const Catalog& catalog, const std::vector<Retention>& rules, const GcOptions& options,
                                 int64_t now_s) {
  return Collection(catalog, rules, options, now_s).run();
}

}  // namespace kist::registry_server
