#include "bundle/state_folder.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/text.h"
#include "bundle/json_value.h"
#include "bundle/start_socket.h"
#include "bundle/systemd_scope.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr int kMostMoments = 500;  // Milliseconds.

namespace json = boost::json;

constexpr uint64_t kMostBytes = 16u << 20;
constexpr const char* kDraft = "creating.json";
constexpr const char* kState = "state.json";

Result<os::Fd> open_folder(const std::string& path) {
  return os::open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

// The folder may be taken away and made again by somebody else while we wait for its lock.
bool is_still(const os::Fd& folder, const std::string& path) {
  struct stat ours = {};
  struct stat named = {};
  return ::fstat(folder.get(), &ours) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

Error no_container(const std::string& id) {
  return Error(Code::not_found, "container '{}' does not exist", printable(id))
      .hint("`kist runtime list` shows which there are");
}

Error name_taken(const std::string& id) {
  return Error(Code::exists, "container with id '{}' exists already", printable(id))
      .hint(fmt::format("`kist runtime delete --force {}`", shell_quote(printable(id))));
}

json::object record_json(const Record& record) {
  json::array cgroups;
  for (const CgroupFolder& folder : record.cgroups)
    cgroups.push_back(json::object{
        {"version", folder.version},
        {"controllers", json::array(folder.controllers.begin(), folder.controllers.end())},
        {"path", folder.path},
        {"mount", folder.mount_point}});
  json::object annotations;
  for (const auto& [name, value] : record.state.annotations) annotations[name] = value;
  return {{"id", record.state.id},
          {"oci_version", record.state.oci_version},
          {"pid", record.state.pid},
          {"start_time", record.start_time},
          {"bundle", record.state.bundle},
          {"root", record.state.root},
          {"created", record.state.created},
          {"owner", record.state.owner},
          {"annotations", std::move(annotations)},
          {"cgroups", std::move(cgroups)},
          {"namespaces", record.namespaces},
          {"systemd_unit", record.systemd_unit},
          {"chrooted", record.chrooted}};
}

Result<Record> read_file_of(const std::string& path) {
  const std::string text = TRY(os::read_file(path, kMostBytes));
  return TRY(parse_record(text), "reading '{}'", printable(path));
}

// systemd removes the folders that it has made; the others are ours.
Result<void> end_scope(const std::string& name, const Cgroups& cgroups) {
  TRY(stop_scope(name));
  constexpr int kTries = 200;
  const auto gone = [&] {
    for (const CgroupFolder& folder : cgroups.folders())
      if (folder.version == 2 || folder.controllers == std::vector<std::string>{"name=systemd"})
        return !os::exists(folder.path);
    return true;
  };
  for (int i = 0; i < kTries && !gone(); ++i) {
    const timespec pause = {.tv_sec = 0, .tv_nsec = 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return {};
}

}  // namespace

std::string_view name_of(Status status) {
  switch (status) {
    case Status::creating: return "creating";
    case Status::created: return "created";
    case Status::running: return "running";
    case Status::paused: return "paused";
    case Status::stopped: return "stopped";
  }
  return "unknown";
}

Result<void> check_id(const std::string& id) {
  constexpr size_t kLongest = 255;  // Of a file's name; it becomes that of cgroups too.
  const bool plain = id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_+-.") == std::string::npos;
  if (id.empty() || id.size() > kLongest || !plain || id[0] == '.')
    return Error(Code::invalid,
                 "container id '{}': want 1 to {} letters, digits and _+-. (no . in front)",
                 printable(id), kLongest);
  return {};
}

std::string record_text(const Record& record) { return json::serialize(record_json(record)); }

Result<Record> parse_record(std::string_view text) {
  Document document(text);
  const Value root = document.root();
  Record record;
  root["id"].to(record.state.id);
  root["oci_version"].to(record.state.oci_version);
  root["pid"].to(record.state.pid);
  root["start_time"].to(record.start_time);
  root["bundle"].to(record.state.bundle);
  root["root"].to(record.state.root);
  root["created"].to(record.state.created);
  root["owner"].to(record.state.owner);
  root["annotations"].members([&](std::string_view name, const Value& value) {
    value.to(record.state.annotations[std::string(name)]);
  });
  root["cgroups"].each([&](const Value& item) {
    CgroupFolder folder;
    item["version"].to(folder.version);
    item["controllers"].to(folder.controllers);
    item["path"].to(folder.path);
    item["mount"].to(folder.mount_point);
    record.cgroups.push_back(std::move(folder));
  });
  root["namespaces"].to(record.namespaces);
  root["systemd_unit"].to(record.systemd_unit);
  root["chrooted"].to(record.chrooted);
  if (document.error()) return Error(Code::corrupt, "{}", document.error()->message());
  return record;
}

Result<StateFolder> StateFolder::claim(const std::string& state_root, const std::string& id) {
  TRY(check_id(id));
  const std::string path = os::join(state_root, id);
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    if (::mkdir(path.c_str(), 0700) != 0) {
      if (errno == ENOENT) {
        TRY(os::make_folders(state_root, 0711), "making the folder for the state of containers");
        continue;
      }
      if (errno != EEXIST) return Error::from_errno(errno, "create '{}'", printable(path));
    }
    auto opened = open_folder(path);
    if (!opened) continue;
    os::Fd folder = std::move(*opened);
    if (os::exists(os::join(path, kState)) || ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0)
      return name_taken(id);
    if (!is_still(folder, path)) continue;
    if (os::exists(os::join(path, kState))) return name_taken(id);
    if (const auto draft = read_draft(state_root, id))
      TRY(clean_up(*draft), "cleaning up after a crash while '{}' was made", printable(id));
    const auto names = os::list_folder(path);
    if (names)
      for (const std::string& name : *names) TRY(os::remove_tree(os::join(path, name)));
    return StateFolder(path, std::move(folder));
  }
  return Error(Code::unavailable, "'{}' comes and goes", printable(path));
}

Result<StateFolder> StateFolder::lock(const std::string& state_root, const std::string& id) {
  TRY(check_id(id));
  const std::string path = os::join(state_root, id);
  while (true) {
    auto opened = open_folder(path);
    if (!opened && opened.error().code() == Code::not_found) return no_container(id);
    os::Fd folder = TRY(std::move(opened));
    while (::flock(folder.get(), LOCK_EX) != 0)
      if (errno != EINTR) return Error::from_errno(errno, "lock '{}'", printable(path));
    if (is_still(folder, path)) return StateFolder(path, std::move(folder));
  }
}

Result<void> StateFolder::write_draft(const Record& record) const {
  // In place: nobody reads a draft while its folder is locked, and one write is one step for who
  // looks after we were killed. What is longer in the old one is covered with spaces.
  const os::Fd fd = TRY(os::open_file(os::join(path_, kDraft), O_WRONLY | O_CREAT, 0600));
  std::string text = record_text(record);
  struct stat st = {};
  if (::fstat(fd.get(), &st) == 0 && static_cast<size_t>(st.st_size) > text.size())
    text.resize(static_cast<size_t>(st.st_size), ' ');
  return os::write_all(fd, text);
}

Result<void> StateFolder::commit() const {
  if (::rename(os::join(path_, kDraft).c_str(), os::join(path_, kState).c_str()) != 0)
    return Error::from_errno(errno, "rename '{}'", printable(os::join(path_, kDraft)));
  return {};
}

Result<void> StateFolder::write_config(std::string_view bytes) const {
  const os::Fd fd =
      TRY(os::open_file(os::join(path_, "config.json"), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  return os::write_all(fd, bytes);
}

Result<void> StateFolder::remove() const {
  // Without state.json it is a leftover, whatever else is still there.
  ::unlink(os::join(path_, kState).c_str());
  for (const char* name : {"config.json", "start", kDraft})
    ::unlink(os::join(path_, name).c_str());
  if (::rmdir(path_.c_str()) == 0 || errno == ENOENT) return {};
  return os::remove_tree(path_);
}

Result<Record> read_record(const std::string& state_root, const std::string& id) {
  TRY(check_id(id));
  const std::string path = os::join(os::join(state_root, id), kState);
  auto record = read_file_of(path);
  // A command may have begun, and be seen, a moment before its container is there by name.
  for (int i = 0; i < kMostMoments && !record; ++i) {
    const bool is_made = os::exists(os::join(os::join(state_root, id), kDraft));
    const auto draft = read_draft(state_root, id);
    if (draft && (draft->state.pid == 0 || !is_alive(*draft))) break;
    if (is_made) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    record = read_file_of(path);
    if (!is_made) break;
  }
  if (!record && record.error().code() == Code::not_found) return no_container(id);
  return record;
}

std::optional<Record> read_draft(const std::string& state_root, const std::string& id) {
  auto record = read_file_of(os::join(os::join(state_root, id), kDraft));
  return record ? std::optional(std::move(*record)) : std::nullopt;
}

Result<std::vector<std::string>> list_ids(const std::string& state_root) {
  auto names = os::list_folder(state_root);
  if (!names && names.error().code() == Code::not_found) return std::vector<std::string>();
  std::vector<std::string> out;
  if (!names) return std::move(names).error();
  for (std::string& name : *names)
    if (name[0] != '.') out.push_back(std::move(name));
  return out;
}

uint64_t start_time_of(pid_t pid) {
  if (pid <= 0) return 0;
  const auto text = os::read_file(fmt::format("/proc/{}/stat", pid), 1 << 16);
  if (!text) return 0;
  // The name in parentheses may hold anything; what follows it does not.
  const size_t end = text->rfind(')');
  if (end == std::string::npos) return 0;
  const auto fields = split(std::string_view(*text).substr(end + 2), ' ');
  constexpr size_t kStartTime = 19;
  if (fields.size() <= kStartTime || fields[0] == "Z" || fields[0] == "X") return 0;
  return parse_number(fields[kStartTime]).value_or(0);
}

bool is_alive(const Record& record) {
  return record.start_time != 0 && start_time_of(record.state.pid) == record.start_time;
}

Status status_of(const std::string& state_root, const Record& record) {
  if (!is_alive(record)) return Status::stopped;
  const std::string folder = os::join(state_root, record.state.id);
  if (is_waiting_to_start(folder)) return Status::created;
  return Cgroups(record.cgroups).is_frozen() ? Status::paused : Status::running;
}

Result<void> clean_up(const Record& record) {
  const Cgroups cgroups(record.cgroups);
  const bool alive = is_alive(record);
  if (alive) {
    const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, record.state.pid, 0)));
    // Between the look and the open it may have ended, and another have got its number.
    if (process.is_open() && is_alive(record))
      (void)::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  }
  // Without a PID namespace of their own the others outlive the first; a frozen one does not die.
  if ((record.namespaces & CLONE_NEWPID) == 0 || (alive && cgroups.is_frozen()))
    (void)cgroups.kill(SIGKILL).has_value();
  constexpr int kTries = 1000;
  for (int i = 0; alive && i < kTries && is_alive(record); ++i) {
    const timespec pause = {.tv_sec = 0, .tv_nsec = i < 20 ? 500'000 : 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
  if (!record.systemd_unit.empty()) TRY(end_scope(record.systemd_unit, cgroups));
  return cgroups.remove();
}

}  // namespace kist::bundle
