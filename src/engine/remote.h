// What a registry says of an image, without bringing it here.
#pragma once

#include <string>
#include <vector>

#include "engine/image_transfer.h"

namespace kist::engine {

/// The reference's digest, or its tag; "latest" if it has neither.
std::string wanted_of(const oci::Reference& reference);

/// The manifest for the platform, through at most a few indexes within indexes. Errors: not_found, invalid.
Result<registry::Document> find_manifest(registry::Repository& repository, registry::Document found, const oci::Platform& platform);

/// An image's configuration, checked. Errors: corrupt, invalid (over the limit).
Result<std::string> read_config(registry::Repository& repository, const oci::Descriptor& descriptor);

/// All tags of the reference's repository.
Result<std::vector<std::string>> list_tags(const Transfer& transfer, const oci::Reference& reference);
/// The manifest or index that the reference stands for, as the registry has it.
Result<std::string> read_manifest(const Transfer& transfer, const oci::Reference& reference);

struct Referrers {
  oci::Digest subject;
  std::vector<oci::Descriptor> manifests;
};
/// What refers to what the reference stands for: signatures, bills of materials. `artifact_type` empty: of any type.
Result<Referrers> list_referrers(const Transfer& transfer, const oci::Reference& reference, std::string_view artifact_type);

struct RemoteImage {
  std::string name;    // "registry.example/team/tool"
  oci::Digest digest;  // Of what the reference stands for: an index, or the manifest itself.
  oci::Manifest manifest;
  std::string config_bytes;
};
/// Errors: those of find_manifest(); unsupported (an artifact).
Result<RemoteImage> look_at_image(const Transfer& transfer, const oci::Reference& reference, const oci::Platform& platform);

/// A tag goes alone, a digest with all tags that stand for it. Errors: unsupported (the registry does not do that).
Result<void> delete_remote(const Transfer& transfer, const oci::Reference& reference);

}  // namespace kist::engine
