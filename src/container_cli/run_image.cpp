// kist run --image
#include <unistd.h>

#include "base/text.h"
#include "container_cli/container_cli.h"
#include "container_cli/mounts_of.h"
#include "container_cli/record_of.h"
#include "container_cli/verb.h"

namespace kist::container_cli {
namespace {

using containers::Record;

// gc asks these lists what containers still need.
Result<void> list_roots(const Here& here, const Record& record, const launch::ReadyImage& image) {
  const os::Fd file = TRY(os::open_file(here.place.file_of(record.id, "roots"), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  return os::write_all(file, image.tree + "\n");
}

// Nobody else can see it, and nothing of it is to stay: then it needs nobody to look after it.
bool is_own(const cli::Parsed& parsed, const Record& record) {
  return !parsed.has("--detach") && record.auto_remove && !record.tty && !record.health.is_on() && !parsed.has("--attach");
}

// As docker: -a names the streams that are seen; without it all are.
Result<AttachOptions> attach_options(const cli::Parsed& parsed) {
  AttachOptions out{.pass_signals = parsed.value("--sig-proxy", "true") != "false",
                    .detach_keys = parsed.value("--detach-keys", "ctrl-p,ctrl-q")};
  if (!parsed.has("--attach")) return out;
  out.input = out.output = out.error_output = false;
  for (const std::string& stream : parsed.values("--attach")) {
    const std::string name = to_lower(stream);
    if (name == "stdin") out.input = true;
    else if (name == "stdout") out.output = true;
    else if (name == "stderr") out.error_output = true;
    else return Error(Code::invalid, "--attach: valid streams are stdin, stdout and stderr, got '{}'", printable(stream));
  }
  return out;
}

Result<int> start(const Here& here, const cli::Parsed& parsed, const launch::ReadyImage& image, const Record& record) {
  TRY(list_roots(here, record, image));
  TRY(containers::write_network_files(here.place, record));
  const bool detach = parsed.has("--detach");
  const bool own = is_own(parsed, record);
  containers::StartContext context = TRY(start_context(here, record, image, !own));
  if (own) return containers::run_here(std::move(context), record, parsed.value("--sig-proxy", "true") != "false");
  int exit_code = kKistFailed;
  os::Fd connection;
  auto started = containers::start_detached(std::move(context), record, exit_code, detach ? nullptr : &connection);
  if (!started) {
    here.terminal.error(started.error());
    return exit_code;
  }
  if (detach) {
    here.terminal.line(record.id);
    return 0;
  }
  const AttachOptions options = TRY(attach_options(parsed));
  // As docker: whoever sees no output gets the id.
  if (!options.output && !options.error_output) {
    here.terminal.line(record.id);
    TRY(here.terminal.finish());
  }
  return attach(here, record, options, std::move(connection));
}

// The container and the volumes that it names; with either all or none of those without a name.
Result<void> make(const Here& here, const MountPlan& plan, Record& record, containers::Status& status, bool passing) {
  if (plan.volumes.empty()) return here.place.make(record, status, passing);
  const auto lock = TRY(here.volumes.hold(os::FileLock::Mode::shared));
  for (const containers::Volume& volume : plan.volumes) {
    const bool known = volume.driver == "local" && volume.options.empty() && here.volumes.exists(volume.name);
    if (known) continue;
    TRY(here.volumes.create(volume));
    containers::note_volume(here.place, volume.name, "create", {{"driver", volume.driver}});
  }
  const auto made = here.place.make(record, status, passing);
  if (made) return {};
  for (const containers::Volume& volume : plan.volumes)
    if (volume.anonymous) (void)here.volumes.remove(volume).has_value();
  return made;
}

// --replace: who has the name makes room for it.
Result<void> make_room(const Here& here, const std::string& name) {
  if (name.empty()) return Error(Code::invalid, "--replace needs --name");
  const auto id = here.place.find(name);
  if (!id) return {};
  const Record old = TRY(here.place.record(*id));
  // An id that begins so is no name.
  if (old.name == name) TRY(remove_container(here, old, {.force = true, .with_volumes = true}));
  return {};
}

// What docker takes and this program cannot do, or need not.
Result<void> check_wishes(const cli::Parsed& parsed, const launch::ReadyImage& image) {
  const std::string pull = parsed.value("--pull", "missing");
  if (pull != "always" && pull != "missing" && pull != "never")
    return Error(Code::invalid, "invalid pull option: '{}': must be one of \"always\", \"missing\" or \"never\"", printable(pull));
  if (const std::string runtime = parsed.value("--runtime"); !runtime.empty() && runtime != "kist")
    return Error(Code::invalid, "unknown or invalid runtime name: {}", printable(runtime)).hint("leave it out: kist is the runtime");
  if (parsed.has("--gpus"))
    return Error(Code::unsupported, "--gpus is not supported yet").hint("`--device /dev/…` passes a single device on");
  if (const std::string isolation = parsed.value("--isolation", "default"); isolation != "default" && !isolation.empty())
    return Error(Code::unsupported, "--isolation: '{}' is none of Linux's, want default", printable(isolation));
  if (parsed.has("--storage-opt"))
    return Error(Code::unsupported, "--storage-opt: '{}' cannot be enforced: what a container writes is a folder of the store, without a quota",
                 printable(parsed.value("--storage-opt")))
        .hint("`--read-only --tmpfs /work:size=10g` bounds what it can write");
  if (parsed.has("--kernel-memory"))
    return Error(Code::unsupported, "--kernel-memory: kernels since 5.16 have no such limit; --memory counts the kernel's memory too")
        .hint("`--memory 1g`");
  const std::string platform = parsed.value("--platform");
  const std::string own = image.os + "/" + image.architecture;
  if (!platform.empty() && platform != own && !platform.starts_with(own + "/") && platform != image.architecture)
    return Error(Code::invalid, "the image '{}' was found, but is for another platform: wanted {}, it is for {}",
                 printable(parsed.value("--image")), printable(platform), own);
  return {};
}

Result<void> write_id(const cli::Parsed& parsed, const Record& record) {
  const std::string path = parsed.value("--cidfile");
  if (path.empty()) return {};
  const auto file = os::open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (!file && file.error().code() == Code::exists)
    return Error(Code::exists, "--cidfile: '{}' is there already: another container's id", printable(path))
        .hint(fmt::format("`rm {}`, if that container is gone", shell_quote(path)));
  if (!file) return Error(file.error()).context("--cidfile");
  return os::write_all(*file, record.id);
}

Result<int> run(const Here& here, const cli::Parsed& parsed, const launch::ReadyImage& image, bool only_make) {
  TRY(check_wishes(parsed, image));
  TRY(attach_options(parsed));
  if (parsed.has("--detach") && parsed.has("--attach"))
    return Error(Code::invalid, "conflicting options: cannot specify both --attach and --detach");
  if (!only_make && parsed.has("--tty") && !parsed.has("--detach") && parsed.has("--interactive") && ::isatty(0) == 0) {
    here.terminal.error(no_terminal());
    return 1;  // As docker.
  }
  std::string warning;
  Record record = TRY(record_of(parsed, image, here.host, &warning));
  if (!warning.empty()) here.terminal.note("warning: " + warning);
  containers::Status status;
  std::string command;
  // As docker: in quotes if there is a blank in it.
  for (const std::string& arg : record.args())
    command += (command.empty() ? "" : " ") + (arg.find(' ') == std::string::npos ? arg : "'" + arg + "'");
  status.command = command;
  const MountPlan plan = TRY(mounts_of(parsed, image, here));
  record.mounts = plan.mounts;
  if (parsed.has("--replace")) TRY(make_room(here, record.name));
  TRY(make(here, plan, record, status, !only_make && is_own(parsed, record)));
  containers::note(here.place, record, "create");
  if (const auto written = write_id(parsed, record); !written) {
    (void)containers::discard(here.place, here.volumes, record, true).has_value();
    return written.error();
  }
  if (only_make) {
    TRY(list_roots(here, record, image));
    here.terminal.line(record.id);
    return 0;
  }
  auto done = start(here, parsed, image, record);
  const bool remove_here = record.auto_remove && !parsed.has("--detach") && !here.place.is_looked_after(record.id);
  if (remove_here && os::exists(here.place.folder_of(record.id)))
    (void)containers::discard(here.place, here.volumes, record, true).has_value();
  return done;
}

}  // namespace

std::optional<int> run_image(const cli::Parsed& parsed, const launch::Host& host, cli::Terminal& terminal,
                             bool only_make) {
  const auto image = launch::find_image(host.kist_home, parsed.value("--image"));
  if (!image) return std::nullopt;
  const Here here = here_of(host, terminal);
  const auto status = run(here, parsed, *image, only_make);
  if (status) return *status;
  terminal.error(status.error());
  return containers::exit_code_of(status.error());
}

}  // namespace kist::container_cli
