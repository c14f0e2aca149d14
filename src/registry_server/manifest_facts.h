// What a registry has to know of a manifest or an index that it keeps. The bytes are a stranger's and
// are kept as they came; fields that nobody here needs may be anything.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry_server/content_digest.h"

namespace kist::registry_server {

struct ManifestFacts {
  std::string media_type;     // As the document says of itself; empty: it does not.
  std::string artifact_type;  // As the referrers API reports it: of old artifacts the configuration's type.
  std::optional<ContentDigest> subject;
  std::vector<ContentDigest> blobs;     // Configuration and layers that must be here.
  std::vector<ContentDigest> elsewhere; // Layers with addresses of their own: need not be here.
  std::vector<ContentDigest> children;  // Manifests of an index; need not be here either (sparse).
  std::string annotations;  // As JSON: an object, or empty when there are none.
};

inline constexpr size_t kMaxReferences = 20'000;

/// `media_type`: of the Content-Type field. Documents that are neither manifest nor index (schema 1,
/// unknown types with JSON inside) have no references. Errors: invalid (not JSON, not an object, over
/// the limits, says it is of another type than announced, a digest that is none).
Result<ManifestFacts> parse_manifest_facts(std::string_view json, std::string_view media_type);

}  // namespace kist::registry_server
