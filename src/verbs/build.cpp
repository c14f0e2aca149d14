// kist build [-t NAME]… [--platform LIST] [--push] [--output oci:DIR|docker-archive:FILE|oci-archive:FILE|registry]
#include "engine/build_image.h"

#include <algorithm>

#include "base/text.h"
#include "environment/platform.h"
#include "images/layout.h"
#include "images/save.h"
#include "launch/paths.h"
#include "verbs/image_verbs.h"
#include "verbs/json.h"
#include "verbs/output_file.h"
#include "verbs/project_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

struct Output {
  enum class Kind { none, oci_folder, oci_archive, docker_archive };
  Kind kind = Kind::none;
  std::string path;  // Absolute.
};

Result<Output> output_of(const cli::Parsed& parsed, const launch::Host& host) {
  const std::string text = parsed.value("--output");
  if (text.empty() || text == "registry") return Output();
  const size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string path = colon == std::string::npos ? "" : text.substr(colon + 1);
  Output out;
  if (kind == "oci") out.kind = Output::Kind::oci_folder;
  if (kind == "oci-archive") out.kind = Output::Kind::oci_archive;
  if (kind == "docker-archive") out.kind = Output::Kind::docker_archive;
  if (out.kind == Output::Kind::none || path.empty())
    return Error(Code::invalid, "--output: '{}' is none of oci:FOLDER, oci-archive:FILE, docker-archive:FILE, registry",
                 printable(text))
        .hint("`kist build --output oci:image`");
  out.path = launch::host_path(path, host.working_dir);
  return out;
}

Result<std::vector<std::string>> platforms_of(const cli::Parsed& parsed) {
  std::vector<std::string> out;
  for (const std::string& value : parsed.values("--platform")) {
    for (const std::string_view part : split(value, ',')) {
      TRY(environment::debian_architecture(part), "--platform");
      if (std::find(out.begin(), out.end(), part) == out.end()) out.emplace_back(part);
    }
  }
  if (out.empty()) out.push_back(environment::host_platform());
  return out;
}

Result<std::map<std::string, std::string>> labels_of(const cli::Parsed& parsed) {
  std::map<std::string, std::string> out;
  for (const std::string& text : parsed.values("--label")) {
    const size_t equals = text.find('=');
    if (equals == 0 || text.empty())
      return Error(Code::invalid, "--label: '{}' has no name, want KEY=VALUE", printable(text));
    out[text.substr(0, equals)] = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  return out;
}

Result<std::vector<std::string>> names_of(const cli::Parsed& parsed) {
  std::vector<std::string> out;
  for (const std::string& text : parsed.values("--tag")) {
    const oci::Reference reference = TRY(oci::Reference::parse(text), "--tag");
    if (reference.digest)
      return Error(Code::invalid, "--tag: '{}' has a digest, want a name", printable(text));
    out.push_back(reference.name());
  }
  return out;
}

// A name stands for one image here: of several platforms, each but this machine's has the name with
// its platform behind the tag.
std::vector<std::string> names_for(const std::vector<std::string>& names, const std::string& platform,
                                   const std::vector<std::string>& platforms) {
  if (platforms.size() == 1 || platform == environment::host_platform()) return names;
  std::string suffix = platform;
  std::replace(suffix.begin(), suffix.end(), '/', '-');
  std::vector<std::string> out;
  for (const std::string& name : names) out.push_back(name + "-" + suffix);
  return out;
}

Result<engine::BuildRequest> request_for(const cli::Parsed& parsed, const Output& output) {
  engine::BuildRequest request;
  request.project = TRY(request_of(parsed));
  request.project.locked = parsed.has("--locked");
  request.project.frozen = parsed.has("--frozen");
  request.is_development = parsed.has("--dev");
  request.compression = TRY(store::Compression::parse(parsed.value("--compression", "zstd")), "--compression");
  request.labels = TRY(labels_of(parsed));
  if (!output.path.empty()) request.left_out.push_back(output.path);
  return request;
}

Result<void> write_output(const environment::Context& context, const Output& output,
                          const std::vector<engine::BuiltImage>& built, const std::vector<std::string>& names) {
  std::vector<const images::Image*> all;
  for (const engine::BuiltImage& one : built) all.push_back(&one.image);
  if (output.kind == Output::Kind::none) return {};
  if (output.kind == Output::Kind::oci_folder)
    return images::write_layout(context.store, {.images = all, .names = names}, output.path);
  std::vector<images::SaveItem> items;
  for (const images::Image* image : all)
    items.push_back({.image = image, .names = image == all.front() ? names : std::vector<std::string>()});
  const auto format =
      output.kind == Output::Kind::oci_archive ? images::SaveFormat::oci : images::SaveFormat::docker;
  return write_whole_file(output.path, [&](const store::Output& to) {
    return images::save(context.store, items, {.format = format, .since = nullptr}, to);
  });
}

// Each name's registry gets every platform by its digest, and then one index under the name.
Result<void> push_all(const cli::Parsed& parsed, const environment::Context& context,
                      const std::vector<engine::BuiltImage>& built, const std::vector<std::string>& names) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  std::vector<const images::Image*> all;
  for (const engine::BuiltImage& one : built) all.push_back(&one.image);
  for (const std::string& name : names) {
    oci::Reference reference = TRY(oci::Reference::parse(name));
    if (all.size() == 1) {
      TRY(engine::push_image(transfer, *all.front(), reference, false));
      continue;
    }
    for (const images::Image* image : all) {
      reference.digest = image->digest;
      TRY(engine::push_image(transfer, *image, reference, false));
    }
    reference.digest.reset();
    TRY(engine::push_index(transfer, images::make_index(all), reference));
  }
  return {};
}

boost::json::object json_of(const engine::BuiltImage& built) {
  boost::json::array layers;
  for (size_t i = 0; i < built.image.layers.size(); ++i) {
    const images::Layer& layer = built.image.layers[i];
    layers.push_back(boost::json::object{{"name", json_text(built.layers.names[i])},
                                         {"digest", layer.digest.string()},
                                         {"size", layer.size_bytes},
                                         {"diff_id", layer.diff_id.string()},
                                         {"content", layer.content_bytes}});
  }
  boost::json::array names;
  for (const std::string& name : built.image.names) names.push_back(json_text(name));
  uint64_t size = 0;
  for (const images::Layer& layer : built.image.layers) size += layer.size_bytes;
  return {{"id", built.image.id.string()},     {"digest", built.image.digest.string()},
          {"platform", built.platform},        {"names", std::move(names)},
          {"size", size},                      {"content", built.image.size_bytes()},
          {"known_layers", built.layers.known}, {"layers", std::move(layers)}};
}

}  // namespace

Result<int> build_verb(const cli::Parsed& parsed, const environment::Context& context,
                       cli::Terminal& terminal) {
  const Output output = TRY(output_of(parsed, context.host));
  engine::BuildRequest request = TRY(request_for(parsed, output));
  const std::vector<std::string> platforms = TRY(platforms_of(parsed));
  const std::vector<std::string> names = TRY(names_of(parsed));
  const bool is_pushed = parsed.has("--push") || parsed.value("--output") == "registry";
  if (is_pushed && names.empty())
    return Error(Code::invalid, "--push needs a name").hint("`kist build --push -t REGISTRY/NAME:TAG`");
  std::vector<engine::BuiltImage> built;
  for (const std::string& platform : platforms) {
    request.platform = platform;
    request.names = names_for(names, platform, platforms);
    auto result = engine::build_image(context, request);
    if (!result && platforms.size() > 1)
      return std::move(result).error().context(fmt::format("building for {}", platform));
    engine::BuiltImage one = TRY(std::move(result));
    note_image(context, "build", one.image.id, request.names.empty() ? "" : request.names.front());
    built.push_back(std::move(one));
  }
  TRY(write_output(context, output, built, names), "writing '{}'", printable(output.path));
  if (is_pushed) TRY(push_all(parsed, context, built, names));
  for (const engine::BuiltImage& one : built)
    terminal.line(parsed.has("--json") ? json_line(json_of(one)) : one.image.id.string());
  return 0;
}

}  // namespace kist::verbs
