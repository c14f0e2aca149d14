// Where `kist copy` takes from and brings to: a repository of a registry, or an OCI layout in a folder or tar.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/image_transfer.h"

namespace kist::engine {

/// Threads: blobs from any, the rest from one.
class CopySource {
 public:
  virtual ~CopySource() = default;
  /// The repository that blobs can be mounted from; null: none.
  virtual const registry::Address* address() const { return nullptr; }
  /// `reference`: a digest; of a registry a tag, of a layout a name, or nothing for the only one.
  virtual Result<registry::Document> manifest(std::string_view reference) = 0;
  virtual Result<registry::Source> blob(const oci::Descriptor& blob, uint64_t from) = 0;
  virtual Result<oci::Index> referrers(const oci::Digest& digest) = 0;
  /// Tags, or names.
  virtual Result<std::vector<std::string>> tags() = 0;
};

class CopyTarget {
 public:
  virtual ~CopyTarget() = default;
  /// For people: "registry.example/team/tool", "oci:folder".
  virtual std::string name() const = 0;
  /// The repository that blobs can be mounted into; null: none.
  virtual const registry::Address* address() const { return nullptr; }
  /// Of a document that is there with all that it names.
  virtual Result<std::optional<oci::Digest>> head_manifest(std::string_view reference) = 0;
  virtual Result<bool> has_blob(const oci::Descriptor& blob) = 0;
  virtual Result<registry::Repository::Pushed> put_blob(const registry::Upload& upload) = 0;
  virtual Result<void> put_manifest(std::string_view reference, const std::string& bytes, std::string_view media_type) = 0;
};

/// Errors: those of reading registries.conf, Bundle::open() and LayoutFolder::open(); not_found (no layout).
Result<std::unique_ptr<CopySource>> open_source(const Transfer& transfer, const CopyEnd& end);
/// `dry_run`: to ask only; no folder is made.
Result<std::unique_ptr<CopyTarget>> open_target(const Transfer& transfer, const CopyEnd& end, bool dry_run);

}  // namespace kist::engine
