// The documents of an image: descriptors, manifests, indexes and configurations, of OCI's
// image-spec 1.1 and of docker's schema 2. Parsers take hostile bytes: size and depth are bounded.
// A digest is always that of the bytes as they came, so nobody writes a parsed document again to
// name it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oci/digest.h"

namespace kist::oci {

namespace media {
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";

bool is_index(std::string_view media_type);
bool is_manifest(std::string_view media_type);
bool is_config(std::string_view media_type);
/// Any compression, "foreign" and "nondistributable" too.
bool is_layer(std::string_view media_type);
}  // namespace media

inline constexpr uint64_t kMaxDocumentBytes = 16u << 20;
inline constexpr size_t kMaxLayers = 1000;  // Overlay's limit is 500, docker's 127: room to be told.
inline constexpr size_t kMaxIndexEntries = 10'000;

using Annotations = std::map<std::string, std::string>;

struct Platform {
  std::string os;            // "linux"
  std::string architecture;  // "amd64", "arm64"
  std::string variant;       // "v8"; mostly empty.
  /// This machine, as OCI spells it.
  static Platform host();
  /// "linux/arm64[/v8]". Errors: invalid.
  static Result<Platform> parse(std::string_view text);
  std::string string() const;
  bool operator==(const Platform&) const = default;
};

struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size_bytes = 0;
  Annotations annotations;
  std::optional<Platform> platform;    // In indexes.
  std::string artifact_type = {};      // In lists of referrers: of the manifest.
};

struct Manifest {
  std::string media_type;
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::optional<Descriptor> subject;
  Annotations annotations;
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
  Annotations annotations;
};

struct Healthcheck {
  std::vector<std::string> test;
  int64_t interval_ns = 0;
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t start_interval_ns = 0;
  int64_t retries = 0;
};

/// What a container of the image starts with.
struct RunConfig {
  std::string user;
  std::string working_dir;
  std::string stop_signal;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> shell;
  std::vector<std::string> on_build;
  std::vector<std::string> exposed_ports;  // Sorted.
  std::vector<std::string> volumes;        // Sorted.
  std::map<std::string, std::string> labels;
  std::optional<Healthcheck> healthcheck;
};

struct History {
  std::string created;  // RFC 3339, or empty.
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
};

struct ImageConfig {
  Platform platform;
  std::string created;  // RFC 3339, or empty.
  std::string author;
  std::string docker_version;
  RunConfig run;
  std::vector<Digest> diff_ids;
  std::vector<History> history;
};

/// Which of the two a document is, by what it says of itself; empty when it says neither.
std::string media_type_of(std::string_view json);

/// `media_type`: as announced (a descriptor, a header); empty when nothing was. A document that
/// calls itself something else is refused, since two readers would take it for two things.
/// Errors: corrupt (not JSON, a field is missing or of the wrong kind), unsupported (schema 1,
/// another digest algorithm), invalid (more entries than the limits).
Result<Manifest> parse_manifest(std::string_view json, std::string_view media_type = "");
Result<Index> parse_index(std::string_view json, std::string_view media_type = "");
Result<ImageConfig> parse_image_config(std::string_view json);

std::string encode(const Manifest& manifest);
std::string encode(const Index& index);
std::string encode(const ImageConfig& config);

}  // namespace kist::oci
