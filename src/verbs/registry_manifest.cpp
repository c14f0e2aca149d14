// kist manifest create, add, annotate, push, rm: indexes that are put together here.
#include "base/text.h"
#include "engine/manifest_list.h"
#include "verbs/image_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

struct Call {
  const cli::Parsed& parsed;
  const environment::Context& context;
  cli::Terminal& terminal;
  const std::string& home() const { return context.store.home(); }
};

Result<std::string> list_name(const std::string& text) {
  const oci::Reference name = TRY(oci::Reference::parse(text), "LIST");
  if (name.digest) return Error(Code::invalid, "a manifest list has a name, not a digest")
      .hint("write it as `[REGISTRY/]NAME[:TAG]`");
  return name.name();
}

std::vector<std::string> members(const cli::Parsed& parsed) { return {parsed.positionals().begin() + 1, parsed.positionals().end()}; }

Result<void> add_all(const Call& call, engine::ManifestList& list, const std::vector<std::string>& names) {
  const images::Intake intake = intake_of(call.context);
  registry::Host host = TRY(registry_host(call.parsed, call.context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *call.context.network};
  for (const std::string& name : names) {
    const bool is_remote = name.starts_with(kDockerTransport);
    TRY(engine::add_to_list(transfer, list, is_remote ? name.substr(kDockerTransport.size()) : name), "'{}'", printable(name));
  }
  return engine::write_manifest_list(call.home(), list);
}

Result<int> create(const Call& call) {
  const std::string name = TRY(list_name(call.parsed.positionals().front()));
  engine::ManifestList list{.name = name, .index = {}, .sources = {}};
  list.index.media_type = std::string(oci::media::kIndex);
  auto known = engine::read_manifest_list(call.home(), name);
  if (known && !call.parsed.has("--amend"))
    return Error(Code::exists, "the manifest list {} is there already", printable(name))
        .hint(fmt::format("`kist manifest create --amend {} IMAGE…` adds to it, `kist manifest rm {}` removes it", printable(name), printable(name)));
  if (known) list = std::move(*known);
  TRY(add_all(call, list, members(call.parsed)));
  call.terminal.line("Created manifest list " + name);
  return 0;
}

Result<int> add(const Call& call) {
  const std::string name = TRY(list_name(call.parsed.positionals().front()));
  engine::ManifestList list = TRY(engine::read_manifest_list(call.home(), name));
  TRY(add_all(call, list, members(call.parsed)));
  return 0;
}

Result<int> annotate(const Call& call) {
  const std::string name = TRY(list_name(call.parsed.positionals()[0]));
  engine::ManifestList list = TRY(engine::read_manifest_list(call.home(), name));
  oci::Descriptor* entry = TRY(engine::find_in_list(list, call.parsed.positionals()[1]));
  oci::Platform platform = entry->platform.value_or(oci::Platform());
  if (call.parsed.has("--os")) platform.os = call.parsed.value("--os");
  if (call.parsed.has("--arch")) platform.architecture = call.parsed.value("--arch");
  if (call.parsed.has("--variant")) platform.variant = call.parsed.value("--variant");
  if (platform != oci::Platform()) entry->platform = platform;
  for (const std::string& text : call.parsed.values("--annotation")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error(Code::invalid, "--annotation '{}' is not KEY=VALUE", printable(text))
          .hint("`--annotation org.example.key=value`");
    entry->annotations[text.substr(0, equals)] = text.substr(equals + 1);
  }
  TRY(engine::write_manifest_list(call.home(), list));
  return 0;
}

Result<int> push(const Call& call) {
  const std::string name = TRY(list_name(call.parsed.positionals().front()));
  const engine::ManifestList list = TRY(engine::read_manifest_list(call.home(), name));
  const oci::Reference target = TRY(remote_name(call.parsed.positionals().back()));
  if (target.digest) return Error(Code::invalid, "cannot push a digest reference").hint("write it as `[REGISTRY/]NAME[:TAG]`");
  const images::Intake intake = intake_of(call.context);
  registry::Host host = TRY(registry_host(call.parsed, call.context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *call.context.network};
  const oci::Digest digest = TRY(engine::push_manifest_list(transfer, list, target), "cannot push the manifest list {}", printable(name));
  if (call.parsed.has("--purge")) TRY(engine::remove_manifest_list(call.home(), name));
  call.terminal.line(digest.string());
  return 0;
}

Result<int> remove(const Call& call) {
  for (const std::string& text : call.parsed.positionals()) {
    const std::string name = TRY(list_name(text));
    TRY(engine::remove_manifest_list(call.home(), name));
  }
  return 0;
}

}  // namespace

Result<int> manifest_list_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                               cli::Terminal& terminal) {
  const Call call{parsed, context, terminal};
  if (name == "create") return create(call);
  if (name == "add") return add(call);
  if (name == "annotate") return annotate(call);
  if (name == "push") return push(call);
  return remove(call);
}

}  // namespace kist::verbs
