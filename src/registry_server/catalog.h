// Which repository has what: tags, manifests, blobs, referrers, as small texts of a Storage.
// docs/formats/registry.md has the keys.
//
// Threads: any. What takes away blobs (gc.h) and what begins to need them exclude each other by
// need() and take_away(), in this process and between processes.
#pragma once

#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "registry_server/manifest_facts.h"
#include "registry_server/storage.h"

namespace kist::registry_server {

/// A manifest in a repository.
struct ManifestLink {
  std::string media_type;
  uint64_t size_bytes = 0;
  std::optional<ContentDigest> subject;
};

struct Page {
  std::vector<std::string> names;
  bool has_more = false;
};

class Catalog {
 public:
  explicit Catalog(Storage& storage) : storage_(storage) {}
  Storage& storage() const { return storage_; }

  Result<std::optional<ContentDigest>> tag(const std::string& repository, const std::string& tag) const;
  Result<std::optional<ManifestLink>> manifest(const std::string& repository, const ContentDigest& digest) const;
  Result<bool> has_blob(const std::string& repository, const ContentDigest& digest) const;

  /// All tags, sorted as the specification wants it (bytewise), after `last`, at most `count`.
  Result<Page> tags(const std::string& repository, std::string_view last, size_t count) const;
  /// Repositories, sorted, after `last`, at most `count`.
  Result<Page> repositories(std::string_view last, size_t count) const;
  Result<bool> has_repository(const std::string& repository) const;
  Result<std::vector<ContentDigest>> manifests(const std::string& repository) const;
  Result<std::vector<ContentDigest>> blobs(const std::string& repository) const;
  /// Descriptors as JSON objects, of manifests whose subject this is.
  Result<std::vector<std::string>> referrers(const std::string& repository, const ContentDigest& subject) const;

  Result<void> link_blob(const std::string& repository, const ContentDigest& digest, uint64_t size_bytes) const;
  Result<bool> unlink_blob(const std::string& repository, const ContentDigest& digest) const;
  /// The manifest's bytes are a blob already. Durable with everything before it.
  Result<void> link_manifest(const std::string& repository, const ContentDigest& digest, const ManifestLink& link,
                             const ManifestFacts& facts) const;
  Result<void> set_tag(const std::string& repository, const std::string& tag, const ContentDigest& digest) const;
  Result<bool> remove_tag(const std::string& repository, const std::string& tag) const;
  /// Also its tags and its entry among the referrers of its subject.
  Result<bool> unlink_manifest(const std::string& repository, const ContentDigest& digest) const;
  /// Tags that stand for it.
  Result<std::vector<std::string>> tags_of(const std::string& repository, const ContentDigest& digest) const;

  struct Need {
    std::shared_lock<std::shared_mutex> threads;
    os::Fd processes;
  };
  struct TakeAway {
    std::unique_lock<std::shared_mutex> threads;
    os::Fd processes;
  };
  /// Held while something is checked for and then needed.
  Result<Need> need() const;
  /// Held while something is taken away. Waits for all who hold need().
  Result<TakeAway> take_away() const;

 private:
  Result<void> collect(const std::string& above, std::vector<std::string>& into) const;
  Result<std::vector<ContentDigest>> digests(const std::string& repository, std::string_view kind) const;

  Storage& storage_;
  mutable std::shared_mutex needs_;
};

std::string tag_key(const std::string& repository, const std::string& tag);
std::string manifest_key(const std::string& repository, const ContentDigest& digest);
std::string link_key(const std::string& repository, const ContentDigest& digest);

}  // namespace kist::registry_server
