// checkpoint, restore.
#include <fcntl.h>
#include <sys/prctl.h>

#include "base/text.h"
#include "bundle/checkpoint.h"
#include "runtime_cli/command.h"
#include "runtime_cli/foreground.h"

namespace kist::runtime_cli {
namespace {

Result<bundle::CriuOptions> criu_options(const Context& context, const Arguments& arguments) {
  constexpr std::string_view kModes[] = {"", "soft", "full", "strict", "ignore"};
  bundle::CriuOptions out;
  out.program = context.criu;
  out.image_folder = arguments.text("image-path", "checkpoint");
  out.work_folder = arguments.text("work-path");
  out.tcp_established = arguments.has("tcp-established");
  out.external_sockets = arguments.has("ext-unix-sk");
  out.shell_job = arguments.has("shell-job");
  out.file_locks = arguments.has("file-locks");
  out.auto_dedup = arguments.has("auto-dedup");
  out.lazy_pages = arguments.has("lazy-pages");
  out.manage_cgroups = arguments.text("manage-cgroups-mode");
  if (std::find(std::begin(kModes), std::end(kModes), out.manage_cgroups) == std::end(kModes))
    return Error(Code::invalid, "--manage-cgroups-mode: want soft, full, strict or ignore, got '{}'",
                 printable(out.manage_cgroups));
  out.empty_namespaces = arguments.all("empty-ns");
  for (const std::string& name : out.empty_namespaces)
    if (name != "network")
      return Error(Code::invalid, "--empty-ns: want network, got '{}'", printable(name));
  return out;
}

}  // namespace

Result<int> run_checkpoint(const Context& context, const Arguments& arguments) {
  bundle::CheckpointOptions options;
  options.criu = TRY(criu_options(context, arguments));
  options.parent_folder = arguments.text("parent-path");
  options.page_server = arguments.text("page-server");
  options.leave_running = arguments.has("leave-running");
  options.pre_dump = arguments.has("pre-dump");
  const std::optional<int64_t> fd = TRY(arguments.number("status-fd"));
  if (fd) {
    if (*fd < 0 || ::fcntl(static_cast<int>(*fd), F_GETFD) < 0)
      return Error(Code::invalid, "--status-fd: descriptor {} is not open", *fd);
    options.status_fd = static_cast<int>(*fd);
  }
  TRY(bundle::checkpoint(context.runtime, arguments.words()[0], options));
  return 0;
}

Result<int> run_restore(const Context& context, const Arguments& arguments) {
  bundle::RestoreOptions how;
  how.criu = TRY(criu_options(context, arguments));
  how.lsm_profile = arguments.text("lsm-profile");
  how.lsm_mount_context = arguments.text("lsm-mount-context");
  const Bundle bundle = TRY(read_bundle(context, arguments));
  const bool detach = arguments.has("detach");
  if (!detach && !arguments.has("no-subreaper")) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (!detach) hold_signals();
  const std::string& id = arguments.words()[0];
  const bundle::Created created = TRY(bundle::restore(context.runtime, id, bundle.spec, bundle.options, how));
  if (detach) return 0;
  const Result<int> status = stand_in_for(created);
  const auto removed = bundle::remove(context.runtime, id, {.force = true, .spec = &bundle.spec});
  if (!removed) context.log->write(Log::Level::warning, removed.error().message());
  return status;
}

}  // namespace kist::runtime_cli
