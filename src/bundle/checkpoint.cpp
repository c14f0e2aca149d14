#include "bundle/checkpoint.h"

#include <linux/sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "bundle/criu.h"
#include "bundle/state_folder.h"
#include "os/child.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr uint64_t kMostTableBytes = 16u << 20;
constexpr const char* kNetwork = "network";

// What CRIU calls the file behind a stream: files of the host have to be named, since the container
// has no path to them.
Result<std::string> stream_name(pid_t pid, int number, const std::vector<SeenMount>& mounts) {
  const std::string path = fmt::format("/proc/{}/fd/{}", pid, number);
  const auto target = os::read_link(path);
  if (!target) return std::string();
  if (target->starts_with("pipe:[")) return *target;
  if (!target->starts_with('/')) return std::string();
  const std::string info = TRY(os::read_file(fmt::format("/proc/{}/fdinfo/{}", pid, number), kMostTableBytes));
  std::optional<uint64_t> mount;
  for (const std::string_view line : lines(info))
    if (line.starts_with("mnt_id:")) mount = parse_number(trim(line.substr(7)));
  struct stat st = {};
  if (!mount || ::stat(path.c_str(), &st) != 0) return std::string();
  for (const SeenMount& seen : mounts)
    if (seen.id == *mount) return std::string();
  return fmt::format("file[{:x}:{:x}]", *mount, st.st_ino);
}

struct Dump {
  Externals externals;
  std::vector<std::string> flags;
};

Result<void> add_network(const Spec& spec, pid_t pid, Dump& dump) {
  const Namespace* network = spec.find_namespace(CLONE_NEWNET);
  if (network == nullptr || network->path.empty()) return {};
  struct stat st = {};
  if (::stat(fmt::format("/proc/{}/ns/net", pid).c_str(), &st) != 0)
    return Error::from_errno(errno, "look at the network of the container");
  dump.externals.network = kNetwork;
  dump.flags.insert(dump.flags.end(), {"--external", fmt::format("net[{}]:{}", st.st_ino, kNetwork)});
  return {};
}

Result<Dump> look_at(const Spec& spec, pid_t pid) {
  Dump dump;
  const std::string inside_table = TRY(os::read_file(fmt::format("/proc/{}/mountinfo", pid), kMostTableBytes));
  const std::string host_table = TRY(os::read_file("/proc/self/mountinfo", kMostTableBytes));
  const std::vector<SeenMount> inside = parse_mounts(inside_table);
  const std::vector<SeenMount> host = parse_mounts(host_table);
  dump.externals.mounts = external_mounts(inside, host);
  for (const std::string& at : dump.externals.mounts)
    dump.flags.insert(dump.flags.end(), {"--external", fmt::format("mnt[{}]:{}", at, at)});
  for (int number = 0; number < 3; ++number) {
    const std::string name = TRY(stream_name(pid, number, inside));
    dump.externals.streams.push_back(name);
    if (name.starts_with("file[")) dump.flags.insert(dump.flags.end(), {"--external", name});
  }
  TRY(add_network(spec, pid, dump));
  return dump;
}

// Frozen as a whole, a container cannot fork away from CRIU.
std::string freezer_of(const Record& record) {
  const Cgroups cgroups(record.cgroups);
  const CgroupFolder* folder = cgroups.find("freezer");
  if (folder == nullptr) folder = cgroups.find_v2();
  return folder == nullptr ? std::string() : folder->path;
}

std::vector<std::string> page_server_flags(const std::string& address) {
  if (address.empty()) return {};
  const size_t colon = address.rfind(':');
  std::vector<std::string> out = {"--page-server", "--address", address.substr(0, colon)};
  if (colon != std::string::npos) out.insert(out.end(), {"--port", address.substr(colon + 1)});
  return out;
}

std::vector<std::string> command_of(const CheckpointOptions& options, const Record& record, const Dump& dump,
                                    const std::string& work, const std::string& log) {
  std::vector<std::string> out = criu_command(options.pre_dump ? "pre-dump" : "dump", options.criu, work, log);
  const auto add = [&](std::vector<std::string> more) { out.insert(out.end(), more.begin(), more.end()); };
  add({"--tree", fmt::format("{}", record.state.pid), "--root", record.state.root});
  add(dump.flags);
  if (const std::string freezer = freezer_of(record); !freezer.empty()) add({"--freeze-cgroup", freezer});
  if (!options.parent_folder.empty()) add({"--prev-images-dir", options.parent_folder});
  if (options.pre_dump || !options.parent_folder.empty()) add({"--track-mem"});
  if (options.leave_running) add({"--leave-running"});
  if (options.status_fd >= 0) add({"--status-fd", fmt::format("{}", options.status_fd)});
  add(page_server_flags(options.page_server));
  return out;
}

}  // namespace

Result<void> checkpoint(const Runtime& runtime, const std::string& id, const CheckpointOptions& given) {
  CheckpointOptions options = given;
  const State now = TRY(state(runtime, id));
  if (now.status != Status::running && now.status != Status::paused)
    return Error(Code::invalid, "container '{}' is {}: only one that runs can be checkpointed", printable(id),
                 name_of(now.status));
  const Spec spec = TRY(spec_of(runtime, id));
  if (spec.process && spec.process->terminal)
    return Error(Code::unsupported, "container '{}' has a terminal: it cannot be checkpointed", printable(id));
  TRY(check_criu(options.criu.program));
  {
    const StateFolder folder = TRY(StateFolder::lock(runtime.state_root, id));
    const Record record = TRY(read_record(runtime.state_root, id));
    TRY(os::make_folders(options.criu.image_folder, 0700), "--image-path");
    options.criu.image_folder = TRY(os::real_path(options.criu.image_folder));
    const Dump dump = TRY(look_at(spec, record.state.pid));
    if (options.pre_dump || !options.parent_folder.empty())
      TRY(check_criu_feature(options.criu.program, "mem_dirty_track"), "--pre-dump, --parent-path");
    const std::string work = TRY(work_folder(options.criu));
    const std::string log = os::join(work, "dump.log");
    const auto command = command_of(options, record, dump, work, log);
    const os::Output done = TRY(os::run({.args = command, .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}}));
    if (done.status != 0) return criu_failed(options.pre_dump ? "pre-dump" : "dump", log);
    if (options.pre_dump) return {};
    TRY(os::write_file_atomically(os::join(options.criu.image_folder, kExternalsFile), externals_text(dump.externals),
                                  0600));
  }
  if (options.leave_running) return {};
  return remove(runtime, id, {.force = true, .spec = &spec});
}

}  // namespace kist::bundle
