// kist tags, delete, manifest inspect, manifest referrers, inspect docker://…
#include "base/text.h"
#include "container_cli/table.h"
#include "engine/manifest_list.h"
#include "engine/remote.h"
#include "format/human.h"
#include "verbs/image_verbs.h"
#include "verbs/json.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

namespace json = boost::json;

void print_document(const std::string& bytes, cli::Terminal& terminal) {
  // As it is, so that its digest can be checked.
  terminal.text(bytes);
  if (!bytes.ends_with('\n')) terminal.text("\n");
}

Result<void> print_one(const json::object& one, const std::string& format, cli::Terminal& terminal) {
  if (!format.empty()) return container_cli::print_inspected(json::array{one}, format, terminal);
  terminal.line(format::indented(one));
  return {};
}

json::object map_of(const oci::Annotations& annotations) {
  json::object out;
  for (const auto& [key, value] : annotations) out[key] = json_text(value);
  return out;
}

json::object described(const oci::Descriptor& one) {
  return {{"digest", one.digest.string()},         {"artifactType", json_text(one.artifact_type)},
          {"mediaType", json_text(one.media_type)}, {"size", one.size_bytes},
          {"annotations", map_of(one.annotations)}};
}

// The fields of `skopeo inspect`, in its order.
json::object inspected(const engine::RemoteImage& image, const oci::ImageConfig& config, const std::vector<std::string>& tags) {
  json::array layers, layers_data, env, names;
  for (const oci::Descriptor& layer : image.manifest.layers) {
    layers.emplace_back(layer.digest.string());
    json::value annotations = nullptr;
    if (!layer.annotations.empty()) annotations = map_of(layer.annotations);
    layers_data.push_back(json::object{{"MIMEType", json_text(layer.media_type)}, {"Digest", layer.digest.string()},
                                       {"Size", layer.size_bytes}, {"Annotations", std::move(annotations)}});
  }
  for (const std::string& one : config.run.env) env.push_back(json_text(one));
  for (const std::string& one : tags) names.push_back(json_text(one));
  json::value labels = nullptr;
  if (!config.run.labels.empty()) labels = map_of(config.run.labels);
  return {{"Name", image.name},
          {"Digest", image.digest.string()},
          {"RepoTags", std::move(names)},
          {"Created", json_text(config.created)},
          {"DockerVersion", json_text(config.docker_version)},
          {"Labels", std::move(labels)},
          {"Architecture", json_text(config.platform.architecture)},
          {"Os", json_text(config.platform.os)},
          {"Layers", std::move(layers)},
          {"LayersData", std::move(layers_data)},
          {"Env", config.run.env.empty() ? json::value(nullptr) : json::value(std::move(env))}};
}

}  // namespace

Result<int> tags_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const oci::Reference reference = TRY(remote_name(parsed.positionals().front()));
  const auto tags = TRY(engine::list_tags(transfer, reference));
  if (parsed.has("--json")) {
    json::array list;
    for (const std::string& tag : tags) list.emplace_back(tag);
    terminal.line(json::serialize(json::object{{"Repository", reference.repository_name()}, {"Tags", std::move(list)}}));
    return 0;
  }
  for (const std::string& tag : tags) terminal.line(printable(tag));
  return 0;
}

Result<int> delete_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  for (const std::string& name : parsed.positionals()) {
    const oci::Reference reference = TRY(remote_name(name));
    // Without a tag it would be "latest": too much to guess at where something goes for good.
    if (reference.tag.empty() && !reference.digest)
      return Error(Code::invalid, "'{}' names neither tag nor digest", printable(name))
          .hint(fmt::format("`kist delete {}:TAG`", printable(name)));
    TRY(engine::delete_remote(transfer, reference));
    terminal.line("Deleted: " + reference.string());
  }
  return 0;
}

Result<int> manifest_inspect_verb(const cli::Parsed& parsed, const environment::Context& context,
                                  cli::Terminal& terminal) {
  const std::string& name = parsed.positionals().front();
  const oci::Reference reference = TRY(remote_name(name));
  if (!name.starts_with(kDockerTransport)) {
    const auto list = engine::read_manifest_list(context.store.home(), reference.name());
    if (list) {
      print_document(oci::encode(list->index), terminal);
      return 0;
    }
    if (list.error().code() != Code::not_found) return list.error();
  }
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const std::string bytes = TRY(engine::read_manifest(transfer, reference));
  print_document(bytes, terminal);
  return 0;
}

Result<int> manifest_referrers_verb(const cli::Parsed& parsed, const environment::Context& context,
                                    cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const oci::Reference reference = TRY(remote_name(parsed.positionals().front()));
  const engine::Referrers found = TRY(engine::list_referrers(transfer, reference, parsed.value("--artifact-type")));
  if (parsed.has("--json")) {
    json::array list;
    for (const oci::Descriptor& one : found.manifests) list.push_back(described(one));
    terminal.line(json_line(json::object{{"subject", found.subject.string()}, {"referrers", std::move(list)}}));
    return 0;
  }
  std::vector<format::ListingRow> rows;
  for (const oci::Descriptor& one : found.manifests) {
    const auto created = one.annotations.find("org.opencontainers.image.created");
    rows.push_back({{{"Digest", one.digest.string()},
                     {"Type", json_text(one.artifact_type.empty() ? one.media_type : one.artifact_type)},
                     {"Created", created == one.annotations.end() ? json::string("") : json_text(created->second)},
                     {"Size", format::docker_size(one.size_bytes)}},
                    {}});
  }
  const format::Listing listing{.usual = "{{.Digest}}\t{{.Type}}\t{{.Created}}",
                                .titles = {{"Digest", "DIGEST"},
                                           {"Type", "ARTIFACT TYPE"},
                                           {"Created", "CREATED"},
                                           {"Size", "MANIFEST SIZE"}}};
  TRY(container_cli::print_listing(listing, rows, parsed.value("--format"), terminal));
  return 0;
}

Result<int> inspect_remote(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const oci::Platform platform = TRY(wanted_platform(parsed));
  for (const std::string& name : parsed.positionals()) {
    if (!name.starts_with(kDockerTransport))
      return Error(Code::invalid, "'{}' is not in a registry as the others are", printable(name))
          .hint(fmt::format("`kist inspect {}{}`", kDockerTransport, printable(name)));
    const oci::Reference reference = TRY(remote_name(name));
    if (parsed.has("--raw") && !parsed.has("--config")) {
      const std::string bytes = TRY(engine::read_manifest(transfer, reference));
      print_document(bytes, terminal);
      continue;
    }
    const engine::RemoteImage image = TRY(engine::look_at_image(transfer, reference, platform));
    if (parsed.has("--config")) {
      print_document(image.config_bytes, terminal);
      continue;
    }
    const oci::ImageConfig config = TRY(oci::parse_image_config(image.config_bytes));
    const auto tags = TRY(engine::list_tags(transfer, reference));
    TRY(print_one(inspected(image, config, tags), parsed.value("--format"), terminal));
  }
  return 0;
}

}  // namespace kist::verbs
