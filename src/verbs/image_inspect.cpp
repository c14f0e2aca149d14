// kist inspect IMAGE… (and kist image inspect)
#include <algorithm>

#include "base/text.h"
#include "container_cli/inspected.h"
#include "verbs/image_verbs.h"
#include "verbs/json.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

namespace json = boost::json;

json::array list_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.push_back(json_text(text));
  return out;
}

// The object "config" of the configuration, with all its fields, known to us or not.
json::value raw_config(const images::Image& image) {
  boost::system::error_code failed;
  const json::value whole = json::parse(image.config_bytes, failed);
  if (failed || !whole.is_object()) return nullptr;
  const json::value* const config = whole.get_object().if_contains("config");
  return config == nullptr ? json::value(nullptr) : *config;
}

// What has this name, looked for in docker's order.
Result<json::object> inspected(const std::string& name, std::string_view type, bool with_size,
                               const images::ImageStore& store, const container_cli::Here& here) {
  const auto is_other = [](const auto& found) { return found || found.error().code() != Code::not_found; };
  if (type.empty()) {
    auto container = container_cli::inspected_container(here, name, with_size);
    if (is_other(container)) return container;
  }
  const auto image = store.find(name);
  if (image) return image_json(*image);
  if (!type.empty()) return image.error();
  auto network = container_cli::inspected_network(here, name);
  if (is_other(network)) return network;
  auto volume = container_cli::inspected_volume(here, name);
  if (is_other(volume)) return volume;
  return Error(Code::not_found, "no such object: {}", printable(name))
      .hint("`kist ps -a`, `kist images`, `kist network ls` and `kist volume ls` list what there is");
}

}  // namespace

json::object image_json(const images::Image& image) {
  const oci::ImageConfig& config = image.config;
  json::array layers;
  for (const oci::Digest& diff_id : config.diff_ids) layers.emplace_back(diff_id.string());
  const std::string comment = config.history.empty() ? "" : config.history.back().comment;
  json::object out{{"Id", image.id.string()},
                   {"RepoTags", list_of(image.names)},
                   {"RepoDigests", list_of(image.repository_digests())},
                   {"Parent", ""},
                   {"Comment", json_text(comment)},
                   {"Created", json_text(config.created)},
                   {"DockerVersion", json_text(config.docker_version)},
                   {"Author", json_text(config.author)},
                   {"Config", raw_config(image)},
                   {"Architecture", json_text(config.platform.architecture)},
                   {"Os", json_text(config.platform.os)},
                   {"Size", image.size_bytes()},
                   {"VirtualSize", image.size_bytes()},
                   {"GraphDriver", {{"Data", nullptr}, {"Name", "kist"}}},
                   {"RootFS", {{"Type", "layers"}, {"Layers", std::move(layers)}}},
                   {"Digest", image.digest.string()}};
  if (!config.platform.variant.empty()) out["Variant"] = json_text(config.platform.variant);
  return out;
}

namespace {

// What the image is made of, as it came.
Result<int> print_documents(const cli::Parsed& parsed, const images::ImageStore& store, cli::Terminal& terminal) {
  for (const std::string& name : parsed.positionals()) {
    const images::Image image = TRY(store.find(name));
    const std::string& bytes = parsed.has("--config") ? image.config_bytes : image.manifest_bytes;
    terminal.text(bytes.ends_with('\n') ? bytes : bytes + "\n");
  }
  return 0;
}

}  // namespace

Result<int> inspect_verb(const cli::Parsed& parsed, const environment::Context& context,
                         cli::Terminal& terminal) {
  const std::string type = parsed.value("--type");
  if (!type.empty() && type != "image")
    return Error(Code::invalid, "unknown type: \"{}\": want one of container, image, network, volume", printable(type));
  const auto& names = parsed.positionals();
  const auto is_remote = [](const std::string& name) { return name.starts_with(kDockerTransport); };
  if (std::any_of(names.begin(), names.end(), is_remote)) return inspect_remote(parsed, context, terminal);
  const images::ImageStore store(context.store);
  if (parsed.has("--raw") || parsed.has("--config")) return print_documents(parsed, store, terminal);
  const container_cli::Here here = container_cli::here_of(context.host, terminal);
  return container_cli::inspect_all(parsed, here, [&](const std::string& name) {
    return inspected(name, type, parsed.has("--size"), store, here);
  });
}

}  // namespace kist::verbs
