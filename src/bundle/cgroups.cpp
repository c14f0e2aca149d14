#include "bundle/cgroups.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/text.h"
#include "bundle/cgroup_devices.h"
#include "bundle/cgroup_settings.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr uint64_t kMostBytes = 16u << 20;

void pause_ms(long milliseconds) {
  const timespec pause = {.tv_sec = 0, .tv_nsec = milliseconds * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

Result<void> write_file(const std::string& path, std::string_view value) {
  const os::Fd fd = TRY(os::open_file(path, O_WRONLY));
  if (::write(fd.get(), value.data(), value.size()) < 0)
    return Error::from_errno(errno, "write '{}' to '{}'", printable(value), printable(path));
  return {};
}

std::string read_trimmed(const std::string& path) {
  const auto text = os::read_file(path, kMostBytes);
  return text ? std::string(trim(*text)) : std::string();
}

bool wants_only_v2(const Resources& resources, const Hierarchy& v2,
                   const std::vector<Hierarchy>& all) {
  if (!resources.unified.empty()) return true;
  for (const CgroupSetting& setting : cgroup_settings_v1(resources)) {
    if (!v2.has(controller_v2(setting.controller))) continue;
    if (std::none_of(all.begin(), all.end(), [&](const Hierarchy& hierarchy) {
          return hierarchy.version == 1 && hierarchy.has(setting.controller);
        }))
      return true;
  }
  return false;
}

// A cgroup of a cpuset has nothing in it at first, and nobody may enter it.
Result<void> inherit_cpuset(const std::string& mount_point, const std::string& path) {
  const std::string parent = os::parent_of(path);
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    std::string value = read_trimmed(os::join(parent, file));
    if (value.empty() && parent.size() > mount_point.size()) {
      TRY(inherit_cpuset(mount_point, parent));
      value = read_trimmed(os::join(parent, file));
    }
    TRY(write_file(os::join(path, file), value));
  }
  return {};
}

// In version 2 each folder on the way says what those in it may have.
void give_controllers(const CgroupFolder& folder) {
  std::vector<std::string> way;
  for (std::string path = os::parent_of(folder.path); path.size() >= folder.mount_point.size();
       path = os::parent_of(path))
    way.push_back(path);
  for (auto path = way.rbegin(); path != way.rend(); ++path) {
    const std::string given = " " + read_trimmed(os::join(*path, "cgroup.subtree_control")) + " ";
    const std::string offered = read_trimmed(os::join(*path, "cgroup.controllers"));
    for (const std::string_view name : split(offered, ' '))
      if (!name.empty() && given.find(fmt::format(" {} ", name)) == std::string::npos)
        // What fails here shows where a limit is set.
        (void)write_file(os::join(*path, "cgroup.subtree_control"), fmt::format("+{}", name))
            .has_value();
  }
}

Result<void> make_folder(const CgroupFolder& folder, bool shared) {
  if (::mkdir(folder.path.c_str(), 0755) != 0) {
    if (errno == ENOENT) {
      TRY(os::make_folders(os::parent_of(folder.path)));
      return make_folder(folder, shared);
    }
    // What is on the way to it is the business of who has made it.
    if (errno == EEXIST && shared) return {};
    if (errno == EACCES && folder.version == 2)
      return Error(Code::denied, "create '{}': Permission denied", printable(folder.path))
          .hint("start it where cgroups are yours: `systemd-run --user --scope COMMAND…`");
    if (errno != EEXIST) return Error::from_errno(errno, "create '{}'", printable(folder.path));
    // A leftover still has its old limits, so it goes; that works only when nobody is in it.
    if (::rmdir(folder.path.c_str()) != 0 && errno == EBUSY)
      return Error(Code::exists, "the container's cgroup is not empty: '{}' has processes or cgroups in it already",
                   printable(folder.path))
          .hint("give linux.cgroupsPath a name that nobody uses");
    if (::mkdir(folder.path.c_str(), 0755) != 0)
      return Error::from_errno(errno, "create '{}'", printable(folder.path));
  }
  const auto& names = folder.controllers;
  if (folder.version == 1 && std::find(names.begin(), names.end(), "cpuset") != names.end())
    TRY(inherit_cpuset(folder.mount_point, folder.path));
  if (folder.version == 2 && !folder.only_groups) give_controllers(folder);
  return {};
}

void collect(const std::string& folder, std::vector<pid_t>& out) {
  const std::string procs = read_trimmed(os::join(folder, "cgroup.procs"));
  for (const std::string_view line : lines(procs))
    if (const auto pid = parse_number(line); pid && *pid != 0)
      out.push_back(static_cast<pid_t>(*pid));
  const auto names = os::list_folder(folder);
  if (!names) return;
  for (const std::string& name : *names)
    if (struct stat st = {}; ::lstat(os::join(folder, name).c_str(), &st) == 0 && S_ISDIR(st.st_mode))
      collect(os::join(folder, name), out);
}

bool remove_folder(const std::string& path) {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
  const auto names = os::list_folder(path);
  if (names)
    for (const std::string& name : *names)
      if (struct stat st = {};
          ::lstat(os::join(path, name).c_str(), &st) == 0 && S_ISDIR(st.st_mode))
        (void)remove_folder(os::join(path, name));
  return ::rmdir(path.c_str()) == 0 || errno == ENOENT;
}

Error limit_failed(const Error& cause, const CgroupSetting& setting) {
  const bool unified = setting.field.starts_with("linux.resources.unified") && cause.code() == Code::not_found;
  return Error(cause).context(fmt::format("{}: {}cannot be set", setting.field, unified ? "invalid configuration: " : ""));
}

// What the kernel compares with another file at each write: memory stays below its sum with swap, and
// the share of a processor below the parent's. Where the usual order fails, the other one may not.
const std::map<std::string_view, std::string_view> kWrittenBefore = {
    {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
    {"cpu.cfs_period_us", "cpu.cfs_quota_us"},
    {"cpu.rt_period_us", "cpu.rt_runtime_us"},
};

Result<void> write_setting(const CgroupFolder& folder, const CgroupSetting& setting,
                           const std::vector<CgroupSetting>& all) {
  const std::string path = os::join(folder.path, setting.file);
  if (setting.optional && !os::exists(path)) return {};
  if (!setting.unless.empty() && os::exists(os::join(folder.path, setting.unless))) return {};
  if (setting.field.starts_with("linux.resources.blockIO.weight") && !os::exists(path))
    return Error(Code::unsupported, "{}: this kernel has no shares of disks for containers (no '{}')", setting.field, setting.file)
        .hint("`modprobe bfq`, or leave it out");
  std::string value = setting.value;
  if (setting.keeps_first) {
    const std::string now = read_trimmed(path);
    value = fmt::format("{} {}", now.substr(0, now.find(' ')), setting.value);
  }
  Result<void> written = write_file(path, value);
  if (written) return {};
  const auto first = kWrittenBefore.find(setting.file);
  for (const CgroupSetting& other : all) {
    if (first == kWrittenBefore.end() || other.file != first->second) continue;
    TRY(write_file(os::join(folder.path, other.file), other.value), "{}: cannot be set", other.field);
    written = write_file(path, setting.value);
    if (written) return {};
  }
  return limit_failed(written.error(), setting);
}

// "PATH", or "CONTROLLER[,CONTROLLER…]:PATH" where they have trees of their own; as runc.
Result<void> add_below(const std::string& text, const std::vector<CgroupFolder>& folders,
                       std::map<const CgroupFolder*, std::string>& out) {
  const size_t colon = text.find(':');
  const std::string path = colon == std::string::npos ? text : text.substr(colon + 1);
  for (const std::string_view part : split(path, '/'))
    if (part == "..") return Error(Code::invalid, "--cgroup: {} is not a sub cgroup path", printable(path));
  if (colon == std::string::npos)
    for (const CgroupFolder& folder : folders) out[&folder] = path;
  else
    for (const std::string_view name : split(std::string_view(text).substr(0, colon), ',')) {
      const auto has = [&](const CgroupFolder& one) {
        return one.version == 1 && std::find(one.controllers.begin(), one.controllers.end(), name) != one.controllers.end();
      };
      const auto found = std::find_if(folders.begin(), folders.end(), has);
      if (found == folders.end()) return Error(Code::invalid, "--cgroup: unknown controller {}", printable(name));
      out[&*found] = path;
    }
  return {};
}

}  // namespace

Result<Cgroups> Cgroups::plan(const Spec& spec, const std::string& id,
                              const std::vector<Hierarchy>& hierarchies, bool groups_in_v2) {
  const bool hybrid = std::any_of(hierarchies.begin(), hierarchies.end(),
                                  [](const Hierarchy& one) { return one.version == 1; });
  Cgroups out;
  for (const Hierarchy& hierarchy : hierarchies) {
    const bool only_groups = hybrid && hierarchy.version == 2 && !wants_only_v2(spec.resources, hierarchy, hierarchies);
    if (only_groups && !groups_in_v2) continue;
    out.folders_.push_back({.version = hierarchy.version,
                            .controllers = hierarchy.controllers,
                            .path = TRY(cgroup_folder(hierarchy, spec.cgroups_path, id)),
                            .mount_point = hierarchy.mount_point,
                            .only_groups = only_groups});
  }
  return out;
}

const CgroupFolder* Cgroups::find(std::string_view controller) const {
  const CgroupFolder* v2 = nullptr;
  for (const CgroupFolder& folder : folders_) {
    const auto& names = folder.controllers;
    if (folder.version == 1 && std::find(names.begin(), names.end(), controller) != names.end())
      return &folder;
    if (folder.version == 2 &&
        (controller.empty() || std::find(names.begin(), names.end(), controller) != names.end()))
      v2 = &folder;
  }
  return v2;
}

const CgroupFolder* Cgroups::find_v2() const {
  for (const CgroupFolder& folder : folders_)
    if (folder.version == 2) return &folder;
  return nullptr;
}

Cgroups Cgroups::of_scope(const std::string& path, const std::vector<Hierarchy>& hierarchies) {
  Cgroups out;
  for (const Hierarchy& hierarchy : hierarchies) {
    std::string below = path;
    if (hierarchy.mount_root != "/" && below.starts_with(hierarchy.mount_root + "/"))
      below.erase(0, hierarchy.mount_root.size());
    out.folders_.push_back({.version = hierarchy.version,
                            .controllers = hierarchy.controllers,
                            .path = hierarchy.mount_point + below,
                            .mount_point = hierarchy.mount_point});
  }
  return out;
}

Result<void> Cgroups::make(bool lenient, bool shared) {
  std::vector<CgroupFolder> made;
  for (const CgroupFolder& folder : folders_) {
    Result<void> done = make_folder(folder, shared);
    if (done) {
      made.push_back(folder);
    } else if (!lenient && !folder.only_groups) {
      (void)Cgroups(made).remove().has_value();
      return std::move(done).error();
    }
  }
  folders_ = std::move(made);
  return {};
}

Result<void> Cgroups::apply(const Resources& resources) const {
  const auto v1 = cgroup_settings_v1(resources);
  const auto v2 = cgroup_settings_v2(resources);
  for (const auto* settings : {&v1, &v2}) {
    for (const CgroupSetting& setting : *settings) {
      const bool unified = setting.field.starts_with("linux.resources.unified");
      const CgroupFolder* folder = unified ? find_v2() : find(setting.controller);
      if (folder == nullptr && settings == &v1) folder = find(controller_v2(setting.controller));
      if (folder == nullptr && settings == &v1 && is_only_v1(setting)) folder = find_v2();
      const bool known = folder != nullptr;
      if (known && settings == &v1 && folder->version == 2 && is_only_v1(setting))
        return Error(Code::unsupported, "{}: cgroups of version 2 have nothing for it",
                     setting.field);
      // Of a controller that is in a tree of version 1, the file of version 1 is the one that counts.
      if (known && folder->version != (settings == &v1 ? 1 : 2)) continue;
      if (!known && settings == &v2 && !unified) continue;  // Told already.
      if (!known && setting.optional) continue;
      if (!known)
        return Error(Code::unsupported, "{}: this host has no cgroup controller '{}' for it",
                     setting.field, setting.controller)
            .hint("`cat /proc/self/cgroup` shows which there are");
      TRY(write_setting(*folder, setting, *settings));
    }
  }
  return {};
}

Result<void> Cgroups::apply_devices(const std::vector<DeviceRule>& rules) const {
  if (rules.empty() || allows_everything(rules)) return {};
  const CgroupFolder* folder = find("devices");
  if (folder == nullptr) folder = find_v2();
  if (folder == nullptr) return {};
  if (folder->version == 2) {
    const os::Fd fd = TRY(os::open_file(folder->path, O_RDONLY | O_DIRECTORY));
    TRY(attach_device_program(fd, rules), "linux.resources.devices: cannot be set");
    return {};
  }
  std::map<std::string, os::Fd> files;
  for (const DeviceWrite& write : device_writes(rules)) {
    os::Fd& file = files[write.file];
    if (!file.is_open()) file = TRY(os::open_file(os::join(folder->path, write.file), O_WRONLY));
    TRY(os::write_all(file, write.value), "linux.resources.devices: cannot set '{}'", write.value);
  }
  return {};
}

Result<CgroupEntrances> Cgroups::entrances(const std::vector<std::string>& below) const {
  CgroupEntrances out;
  std::map<const CgroupFolder*, std::string> lower;
  for (const std::string& text : below) TRY(add_below(text, folders_, lower));
  for (const CgroupFolder& folder : folders_) {
    // For "tasks" and a process that moves itself the kernel skips a lock which costs milliseconds.
    const auto found = lower.find(&folder);
    const std::string path = found == lower.end() ? folder.path : folder.path + "/" + found->second;
    const char* file = folder.version == 1 ? "tasks" : "cgroup.procs";
    auto entrance = os::open_file(os::join(path, file), O_WRONLY);
    if (!entrance && entrance.error().code() == Code::not_found)
      return Error(Code::not_found, "adding pid {} to {}/cgroup.procs: no such file or directory", ::getpid(), printable(path));
    os::Fd opened = TRY(std::move(entrance), "entering the cgroup");
    if (folder.version == 1) {
      out.v1.push_back(std::move(opened));
    } else {
      out.v2 = std::move(opened);
      out.v2_folder = TRY(os::open_file(path, O_PATH | O_DIRECTORY), "entering the cgroup");
    }
  }
  return out;
}

Result<std::vector<pid_t>> Cgroups::processes() const {
  std::vector<pid_t> out;
  if (folders_.empty())
    return Error(Code::unsupported, "the container has no cgroup, so its processes are not known");
  const CgroupFolder* folder = find("");
  if (folder == nullptr) folder = find("devices");
  if (folder == nullptr) folder = &folders_.front();
  collect(folder->path, out);
  std::sort(out.begin(), out.end());
  return out;
}

bool Cgroups::is_frozen() const {
  if (const CgroupFolder* folder = find("freezer"); folder != nullptr && folder->version == 1)
    return read_trimmed(os::join(folder->path, "freezer.state")) != "THAWED" &&
           os::exists(os::join(folder->path, "freezer.state"));
  if (const CgroupFolder* folder = find(""); folder != nullptr)
    return read_trimmed(os::join(folder->path, "cgroup.freeze")) == "1";
  return false;
}

Result<void> Cgroups::freeze(bool frozen) const {
  constexpr int kTries = 2000;
  const CgroupFolder* v1 = find("freezer");
  if (v1 != nullptr && v1->version == 1) {
    const std::string path = os::join(v1->path, "freezer.state");
    const char* wanted = frozen ? "FROZEN" : "THAWED";
    for (int i = 0; i < kTries; ++i) {
      TRY(write_file(path, wanted));
      if (read_trimmed(path) == wanted) return {};
      // A process that is just being made can hold freezing up: let go and try again.
      constexpr int kOften = 50;
      if (frozen && i % kOften == kOften - 1) TRY(write_file(path, "THAWED"));
      pause_ms(1);
    }
    return Error(Code::unavailable, "'{}' does not become {}", printable(path), wanted);
  }
  const CgroupFolder* v2 = find("");
  if (v2 == nullptr)
    return Error(Code::unsupported, "the container has no cgroup that can be frozen")
        .hint("run it as root, or where cgroups are delegated to you");
  TRY(write_file(os::join(v2->path, "cgroup.freeze"), frozen ? "1" : "0"));
  const std::string wanted = frozen ? "frozen 1" : "frozen 0";
  for (int i = 0; i < kTries; ++i) {
    if (read_trimmed(os::join(v2->path, "cgroup.events")).find(wanted) != std::string::npos)
      return {};
    pause_ms(1);
  }
  return Error(Code::unavailable, "'{}' does not become {}", printable(v2->path), wanted);
}

Result<void> Cgroups::kill(int signal) const {
  const CgroupFolder* v2 = find("");
  if (signal == SIGKILL && v2 != nullptr &&
      write_file(os::join(v2->path, "cgroup.kill"), "1").has_value())
    return is_frozen() ? freeze(false) : Result<void>();  // Frozen by version 1 they do not die.
  // Frozen, none of them can make another while we go through the list.
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const bool frozen = freeze(true).has_value();
    const auto pids = processes();
    if (pids)
      for (const pid_t pid : *pids) ::kill(pid, signal);
    if (frozen) TRY(freeze(false));
    if (!pids) return pids.error();
    if (frozen || signal != SIGKILL || pids->empty()) return {};
  }
  return {};
}

Result<void> Cgroups::remove() const {
  constexpr int kTries = 500;
  for (const CgroupFolder& folder : folders_) {
    // The last process is reaped before the kernel has taken it out of its cgroup.
    for (int i = 0; !remove_folder(folder.path); ++i) {
      if (i == kTries) return Error::from_errno(errno, "remove '{}'", printable(folder.path));
      pause_ms(i < 10 ? 1 : 10);
    }
  }
  return {};
}

}  // namespace kist::bundle
