#include <algorithm>
#include <array>

#include "base/text.h"
#include "oci/image.h"
#include "oci/json_fields.h"

namespace kist::oci {
namespace {

namespace json = boost::json;

constexpr size_t kMaxHistory = 10'000;

Result<Platform> parse_platform(const json::object& object, const std::string& what) {
  const Fields fields(object, what);
  Platform out;
  out.os = TRY(fields.text("os"));
  out.architecture = TRY(fields.text("architecture"));
  out.variant = TRY(fields.text("variant"));
  return out;
}

Result<Descriptor> parse_descriptor(const json::object& object, const std::string& what) {
  const Fields fields(object, what);
  if (!fields.has("digest")) return Error(Code::corrupt, "{}: no field 'digest'", what);
  if (!fields.has("size")) return Error(Code::corrupt, "{}: no field 'size'", what);
  const std::string text = TRY(fields.text("digest"));
  const Digest digest = TRY(Digest::parse(text), "{}", what);
  Descriptor out{.media_type = {}, .digest = digest, .size_bytes = 0, .annotations = {}, .platform = {}};
  out.media_type = TRY(fields.text("mediaType"));
  const int64_t size = TRY(fields.number("size"));
  if (size < 0) return fields.wrong("size", "a length");
  out.size_bytes = static_cast<uint64_t>(size);
  out.annotations = TRY(fields.map("annotations"));
  out.artifact_type = TRY(fields.text("artifactType"));
  const json::object* const platform = TRY(fields.object("platform"));
  if (platform != nullptr) out.platform = TRY(parse_platform(*platform, what + ".platform"));
  return out;
}

Result<std::vector<Descriptor>> parse_descriptors(const Fields& fields, std::string_view key,
                                                  size_t limit) {
  std::vector<Descriptor> out;
  const json::array* const list = TRY(fields.list(key, limit));
  if (list == nullptr) return out;
  for (const json::value& item : *list) {
    if (!item.is_object()) return fields.wrong(key, "a list of descriptors");
    Descriptor one = TRY(parse_descriptor(item.get_object(),
                                          fmt::format("{}: {} {}", fields.what(), key, out.size())));
    out.push_back(std::move(one));
  }
  return out;
}

// One document must not be a manifest for one reader and an index for another.
Result<std::string> check_type(const Fields& fields, std::string_view announced,
                               bool (*is_right)(std::string_view), std::string_view wanted) {
  const int64_t version = TRY(fields.number("schemaVersion"));
  if (version != 2) {
    return Error(Code::unsupported, "{} has schema version {}, want 2", fields.what(), version);
  }
  const std::string own = TRY(fields.text("mediaType"));
  if (!own.empty() && !is_right(own))
    return Error(Code::corrupt, "{} has the media type '{}', want {}", fields.what(),
                 printable(own), wanted);
  if (!announced.empty() && !is_right(announced))
    return Error(Code::corrupt, "{} was announced as '{}', want {}", fields.what(),
                 printable(announced), wanted);
  return own.empty() ? std::string(announced) : own;
}

Result<std::optional<Healthcheck>> parse_healthcheck(const Fields& run) {
  const json::object* const object = TRY(run.object("Healthcheck"));
  if (object == nullptr) return std::optional<Healthcheck>();
  const Fields fields(*object, "image configuration: Healthcheck");
  Healthcheck out;
  out.test = TRY(fields.texts("Test"));
  out.interval_ns = TRY(fields.number("Interval"));
  out.timeout_ns = TRY(fields.number("Timeout"));
  out.start_period_ns = TRY(fields.number("StartPeriod"));
  out.start_interval_ns = TRY(fields.number("StartInterval"));
  out.retries = TRY(fields.number("Retries"));
  return std::optional<Healthcheck>(std::move(out));
}

Result<RunConfig> parse_run(const json::object& object) {
  const Fields fields(object, "image configuration: config");
  RunConfig out;
  out.user = TRY(fields.text("User"));
  out.working_dir = TRY(fields.text("WorkingDir"));
  out.stop_signal = TRY(fields.text("StopSignal"));
  out.env = TRY(fields.texts("Env"));
  out.entrypoint = TRY(fields.texts("Entrypoint"));
  out.cmd = TRY(fields.texts("Cmd"));
  out.shell = TRY(fields.texts("Shell"));
  out.on_build = TRY(fields.texts("OnBuild"));
  out.exposed_ports = TRY(fields.keys("ExposedPorts"));
  out.volumes = TRY(fields.keys("Volumes"));
  out.labels = TRY(fields.map("Labels"));
  out.healthcheck = TRY(parse_healthcheck(fields));
  return out;
}

Result<std::vector<History>> parse_history(const Fields& fields) {
  std::vector<History> out;
  const json::array* const list = TRY(fields.list("history", kMaxHistory));
  if (list == nullptr) return out;
  for (const json::value& item : *list) {
    if (!item.is_object()) return fields.wrong("history", "a list of objects");
    const Fields one(item.get_object(), "image configuration: history");
    History step;
    step.created = TRY(one.text("created"));
    step.created_by = TRY(one.text("created_by"));
    step.author = TRY(one.text("author"));
    step.comment = TRY(one.text("comment"));
    step.empty_layer = TRY(one.truth("empty_layer"));
    out.push_back(std::move(step));
  }
  return out;
}

Result<std::vector<Digest>> parse_diff_ids(const Fields& fields) {
  const json::object* const rootfs = TRY(fields.object("rootfs"));
  if (rootfs == nullptr) return Error(Code::corrupt, "{}: no field 'rootfs'", fields.what());
  const Fields inner(*rootfs, "image configuration: rootfs");
  const json::array* const list = TRY(inner.list("diff_ids", kMaxLayers));
  std::vector<Digest> out;
  if (list == nullptr) return out;
  for (const json::value& item : *list) {
    if (!item.is_string()) return inner.wrong("diff_ids", "a list of digests");
    const json::string& text = item.get_string();
    const Digest digest = TRY(Digest::parse({text.data(), text.size()}), "{}", inner.what());
    out.push_back(digest);
  }
  return out;
}

}  // namespace

bool media::is_index(std::string_view type) { return type == kIndex || type == kDockerList; }
bool media::is_manifest(std::string_view type) {
  return type == kManifest || type == kDockerManifest;
}
bool media::is_config(std::string_view type) { return type == kConfig || type == kDockerConfig; }
bool media::is_layer(std::string_view type) {
  return type.starts_with("application/vnd.oci.image.layer.") ||
         type.starts_with("application/vnd.docker.image.rootfs.");
}

Platform Platform::host() {
#if defined(__x86_64__)
  return {.os = "linux", .architecture = "amd64", .variant = {}};
#elif defined(__aarch64__)
  return {.os = "linux", .architecture = "arm64", .variant = {}};
#elif defined(__riscv)
  return {.os = "linux", .architecture = "riscv64", .variant = {}};
#elif defined(__powerpc64__)
  return {.os = "linux", .architecture = "ppc64le", .variant = {}};
#elif defined(__s390x__)
  return {.os = "linux", .architecture = "s390x", .variant = {}};
#else
#error "name this architecture as OCI does"
#endif
}

Result<Platform> Platform::parse(std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || parts[1].empty())
    return Error(Code::invalid, "platform '{}' is not OS/ARCHITECTURE", printable(text))
        .hint("write it as `linux/amd64`");
  return Platform{.os = std::string(parts[0]),
                  .architecture = std::string(parts[1]),
                  .variant = parts.size() == 3 ? std::string(parts[2]) : std::string()};
}

std::string Platform::string() const {
  return variant.empty() ? fmt::format("{}/{}", os, architecture)
                         : fmt::format("{}/{}/{}", os, architecture, variant);
}

std::string media_type_of(std::string_view text) {
  const auto object = parse_object(text, "document");
  if (!object) return "";
  const Fields fields(*object, "document");
  const auto own = fields.text("mediaType");
  if (own && !own->empty()) return *own;
  if (fields.has("manifests")) return std::string(media::kIndex);
  if (fields.has("config") && fields.has("layers")) return std::string(media::kManifest);
  return "";
}

Result<Manifest> parse_manifest(std::string_view text, std::string_view media_type) {
  const json::object object = TRY(parse_object(text, "manifest"));
  const Fields fields(object, "manifest");
  const std::string type =
      TRY(check_type(fields, media_type, media::is_manifest, "a manifest's"));
  if (fields.has("manifests"))
    return Error(Code::corrupt, "manifest has a field 'manifests', as only an index has");
  const json::object* const config = TRY(fields.object("config"));
  if (config == nullptr) return Error(Code::corrupt, "manifest: no field 'config'");
  Descriptor config_descriptor = TRY(parse_descriptor(*config, "manifest: config"));
  Manifest out{.media_type = type,
               .artifact_type = {},
               .config = std::move(config_descriptor),
               .layers = {},
               .subject = {},
               .annotations = {}};
  out.artifact_type = TRY(fields.text("artifactType"));
  out.layers = TRY(parse_descriptors(fields, "layers", kMaxLayers));
  out.annotations = TRY(fields.map("annotations"));
  const json::object* const subject = TRY(fields.object("subject"));
  if (subject != nullptr) out.subject = TRY(parse_descriptor(*subject, "manifest: subject"));
  return out;
}

Result<Index> parse_index(std::string_view text, std::string_view media_type) {
  const json::object object = TRY(parse_object(text, "image index"));
  const Fields fields(object, "image index");
  Index out;
  out.media_type = TRY(check_type(fields, media_type, media::is_index, "an index's"));
  if (fields.has("layers"))
    return Error(Code::corrupt, "image index has a field 'layers', as only a manifest has");
  out.manifests = TRY(parse_descriptors(fields, "manifests", kMaxIndexEntries));
  out.annotations = TRY(fields.map("annotations"));
  return out;
}

Result<ImageConfig> parse_image_config(std::string_view text) {
  const json::object object = TRY(parse_object(text, "image configuration"));
  const Fields fields(object, "image configuration");
  ImageConfig out;
  out.platform = TRY(parse_platform(object, "image configuration"));
  out.created = TRY(fields.text("created"));
  out.author = TRY(fields.text("author"));
  out.docker_version = TRY(fields.text("docker_version"));
  const json::object* const run = TRY(fields.object("config"));
  if (run != nullptr) out.run = TRY(parse_run(*run));
  out.diff_ids = TRY(parse_diff_ids(fields));
  out.history = TRY(parse_history(fields));
  return out;
}

}  // namespace kist::oci
