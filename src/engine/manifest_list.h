// Image indexes that a person puts together here, of images that lie here or in registries, and then pushes:
// docker's "manifest lists".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/image_transfer.h"

namespace kist::engine {

struct ManifestList {
  std::string name;  // As Reference::name() gives it.
  oci::Index index;
  std::map<std::string, std::string> sources;  // By an entry's digest: the name it was added by.
};

/// Errors: not_found, corrupt.
Result<ManifestList> read_manifest_list(const std::string& home, const std::string& name);
/// Durability: atomic for readers.
Result<void> write_manifest_list(const std::string& home, const ManifestList& list);
/// Errors: not_found.
Result<void> remove_manifest_list(const std::string& home, const std::string& name);

/// Adds an image of this machine, or else of a registry; all of an index's. What is in it for the same
/// platform already leaves. Errors: not_found, unsupported (an artifact), those of a registry.
Result<void> add_to_list(const Transfer& transfer, ManifestList& list, const std::string& image);
/// The entry that was added by this name, or has this digest. Errors: not_found.
Result<oci::Descriptor*> find_in_list(ManifestList& list, const std::string& image);

/// Sends what the target's repository lacks, by digest, then the index under its tag. The index's digest.
Result<oci::Digest> push_manifest_list(const Transfer& transfer, const ManifestList& list, const oci::Reference& target);

}  // namespace kist::engine
