#include "container_cli/verb.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "cli/container_verbs.h"
#include "cli/network_verbs.h"
#include "container_cli/container_cli.h"
#include "containers/memory_folder.h"

namespace kist::container_cli {
namespace {

using Verb = Result<int> (*)(const cli::Parsed&, const Here&);
constexpr struct {
  std::string_view name;
  Verb verb;
} kVerbs[] = {
    {"ps", ps_verb},           {"logs", logs_verb},       {"exec", exec_verb},       {"attach", attach_verb},
    {"start", start_verb},     {"stop", stop_verb},       {"restart", restart_verb}, {"kill", kill_verb},
    {"wait", wait_verb},       {"rm", remove_verb},       {"pause", pause_verb},     {"unpause", unpause_verb},
    {"rename", rename_verb},   {"inspect", inspect_verb}, {"top", top_verb},         {"stats", stats_verb},
    {"update", update_verb},   {"cp", copy_verb},         {"diff", diff_verb},       {"port", port_verb},
    {"events", events_verb},   {"container prune", container_prune_verb},
    {"container exists", container_exists_verb}, {"network exists", network_exists_verb},
    {"volume exists", volume_exists_verb},
    {"network create", network_create_verb}, {"network ls", network_list_verb},
    {"network inspect", network_inspect_verb}, {"network rm", network_remove_verb},
    {"network prune", network_prune_verb}, {"network connect", network_connect_verb},
    {"network disconnect", network_disconnect_verb},
    {"volume create", volume_create_verb}, {"volume ls", volume_list_verb}, {"volume inspect", volume_inspect_verb},
    {"volume rm", volume_remove_verb}, {"volume prune", volume_prune_verb},
};
static_assert(std::size(kVerbs) == std::size(cli::kContainerVerbs) + std::size(cli::kNetworkVerbs) + std::size(cli::kVolumeVerbs));

bool has_limits(const containers::LimitRequest& limits) { return !(limits == containers::LimitRequest()); }

}  // namespace

Here here_of(const launch::Host& host, cli::Terminal& terminal) {
  const auto runtime_dir = host.variables.find("XDG_RUNTIME_DIR");
  const std::string memory =
      containers::memory_folder(runtime_dir == host.variables.end() ? "" : runtime_dir->second,
                                os::join(host.kist_home, "containers/passing"));
  return {host, containers::Place(host.kist_home, memory), containers::Volumes(host.kist_home, memory),
          containers::runtime_of(memory), networks::Home(host.kist_home, memory), terminal};
}

bool enters_container(std::string_view name) { return name == "exec" || name == "start" || name == "restart"; }

bool is_reachable(const cli::Parsed& parsed) {
  constexpr const char* kShared[] = {"--detach", "--volume", "--mount", "--pid", "--privileged", "--cap-add", "--init"};
  return std::any_of(std::begin(kShared), std::end(kShared), [&](const char* flag) { return parsed.has(flag); });
}

Result<containers::Record> Here::record(std::string_view name_or_id) const {
  const std::string id = TRY(place.find(name_or_id));
  return place.record(id);
}

Result<launch::ReadyImage> image_of(const Here& here, const containers::Record& record) {
  auto image = launch::find_image(here.host.kist_home, record.image_id);
  if (image) return std::move(*image);
  return Error(Code::not_found, "the image '{}' of this container is not ready here", printable(record.image))
      .hint(fmt::format("`kist run --rm --image {} true` makes it so", shell_quote(record.image)));
}

Result<containers::StartContext> start_context(const Here& here, const containers::Record& record,
                                               const launch::ReadyImage& image, bool keeps_writes) {
  os::Fd lease = launch::hold_lease(image);
  if (!lease.is_open())
    return Error(Code::unavailable, "the root of the image '{}' is gone", printable(record.image))
        .hint(fmt::format("`kist run --rm --image {} true` makes it again", shell_quote(record.image)));
  containers::StartContext context{
      here.place,
      {.spec = {}, .root = {}, .runtime = {}, .place = here.place, .volumes = here.volumes, .networks = here.networks},
      std::move(lease)};
  containers::MachineHost& host = context.host;
  host.spec = {.is_root = ::geteuid() == 0,
               .uid = ::geteuid(),
               .gid = ::getegid(),
               .unified_cgroups = containers::has_unified_cgroups(),
               .has_systemd = os::is_folder("/run/systemd/system"),
               .folder = here.place.folder_of(record.id),
               .volumes = {},
               .network_namespace = {}};
  host.root.source = {.erofs_image = image.erofs_image, .lowers = image.lowers, .objects = image.objects};
  if (keeps_writes) {
    host.root.upper = here.place.file_of(record.id, "upper");
    host.root.work = here.place.file_of(record.id, "work");
  }
  host.root.in_user_namespace = !host.spec.is_root;
  host.runtime = here.runtime;
  host.runtime.systemd_cgroups = containers::is_in_slice(record, host.spec);
  // A limit that was asked for is kept, or is an error.
  if (has_limits(record.limits)) host.runtime.rootless = record.best_effort;
  return context;
}

Result<void> with_files(const Here& here, const containers::Record& record, const containers::FilesWanted& wanted,
                        const std::function<Result<void>(const containers::ContainerFiles&)>& body) {
  const auto image = TRY(image_of(here, record));
  // What a container of one's own writes is in memory, and seen through its process alone.
  const bool keeps_writes = os::exists(here.place.file_of(record.id, "upper")) || !here.place.is_looked_after(record.id);
  const auto context = TRY(start_context(here, record, image, keeps_writes));
  return containers::with_ids_of(context.host, record, [&]() -> Result<void> {
    const auto files = TRY(containers::ContainerFiles::open(context.host, record, wanted));
    return body(files);
  });
}

int for_each(const Here& here, const std::vector<std::string>& names,
             const std::function<Result<void>(const containers::Record&)>& work) {
  int status = 0;
  for (const std::string& name : names) {
    const auto done = [&]() -> Result<void> {
      const containers::Record record = TRY(here.record(name));
      return work(record);
    }();
    if (done) {
      here.terminal.line(name);
      continue;
    }
    here.terminal.error(done.error());
    status = 1;
  }
  return status;
}

bool is_container_verb(std::string_view name) {
  for (const auto& known : kVerbs)
    if (known.name == name) return true;
  return false;
}

int run(const cli::VerbSpec& verb, const cli::Parsed& parsed, const launch::Host& host, cli::Terminal& terminal) {
  const Here here = here_of(host, terminal);
  for (const auto& known : kVerbs) {
    if (known.name != verb.name) continue;
    const auto status = known.verb(parsed, here);
    if (status) return *status;
    terminal.error(status.error());
    if (verb.name == "exec") return kKistFailed;
    return cli::exit_status(status.error());
  }
  return kKistFailed;
}

}  // namespace kist::container_cli
