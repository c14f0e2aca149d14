#include "bundle/systemd_scope.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "bundle/container.h"
#include "os/child.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr uint64_t kMostBytes = 1u << 20;

void pause_ms(long milliseconds) {
  const timespec pause = {.tv_sec = 0, .tv_nsec = milliseconds * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

Result<void> check_there() {
  if (!os::is_folder("/run/systemd/system"))
    return Error(Code::unsupported, "--systemd-cgroup: systemd does not run here")
        .hint("leave it out: cgroups are then made directly");
  return {};
}

void add_properties(std::vector<std::string>& args, const std::vector<UnitProperty>& properties) {
  args.push_back(fmt::format("{}", properties.size()));
  for (const UnitProperty& property : properties) {
    args.push_back(property.name);
    args.push_back(property.signature);
    args.insert(args.end(), property.words.begin(), property.words.end());
  }
}

// What busctl says is "Call failed: WHY".
Result<void> call(const char* method, const char* signature, const std::vector<std::string>& words) {
  std::vector<std::string> args = {"busctl"};
  if (acts_for_a_user()) args.emplace_back("--user");
  // A word that begins with - is a value and no option.
  for (const char* word : {"call", "--", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                           "org.freedesktop.systemd1.Manager", method, signature})
    args.emplace_back(word);
  args.insert(args.end(), words.begin(), words.end());
  const auto said = os::run({.args = args, .env = os::current_env(), .working_dir = {}, .input = {}});
  if (!said && said.error().code() == Code::not_found)
    return Error(Code::unsupported, "--systemd-cgroup: systemd is asked by busctl, which is missing")
        .hint("install the package systemd, which has it, or leave --systemd-cgroup out");
  if (!said) return said.error();
  if (said->status == 0) return {};
  std::string_view why = trim(said->err);
  constexpr std::string_view kPrefix = "Call failed: ";
  if (why.starts_with(kPrefix)) why.remove_prefix(kPrefix.size());
  const bool no_bus = why.find("connect to bus") != std::string_view::npos ||
                      why.find("set bus address") != std::string_view::npos;
  Error error(no_bus ? Code::unsupported : Code::invalid, "--systemd-cgroup: systemd ({}) says: {}",
              method, printable(why));
  if (no_bus && acts_for_a_user())
    return std::move(error).hint("log in so that your service manager runs: `loginctl enable-linger`");
  return error;
}

// In the tree that systemd keeps: version 2, or the named one of version 1.
std::string cgroup_of(pid_t pid) {
  const auto text = os::read_file(fmt::format("/proc/{}/cgroup", pid), kMostBytes);
  if (!text) return {};
  std::string unified;
  for (const std::string_view line : lines(*text)) {
    constexpr std::string_view kNamed = ":name=systemd:";
    constexpr std::string_view kUnified = "0::";
    if (const size_t at = line.find(kNamed); at != std::string_view::npos)
      return std::string(line.substr(at + kNamed.size()));
    if (line.starts_with(kUnified)) unified = line.substr(kUnified.size());
  }
  return unified;
}

bool is_taken(const Error& error) {
  return error.message().find("already loaded") != std::string::npos ||
         error.message().find("already exists") != std::string::npos;
}

}  // namespace

Result<Placeholder> Placeholder::make() {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "make a process for the scope");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (::getppid() == parent) ::pause();
    ::_exit(0);
  }
  return Placeholder(pid);
}

void Placeholder::close() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

int systemd_version(const Cgroups& cgroups) {
  for (const CgroupFolder& folder : cgroups.folders())
    if (folder.version == 1) return 1;
  return 2;
}

Result<std::string> start_scope(const SystemdUnit& unit, const std::string& description,
                                const std::vector<UnitProperty>& properties, pid_t pid) {
  TRY(check_there());
  std::vector<UnitProperty> all = {
      {"Description", "s", {description}}, {"Slice", "s", {unit.slice}},
      {"Delegate", "b", {"true"}},         {"DefaultDependencies", "b", {"false"}},
      {"MemoryAccounting", "b", {"true"}}, {"CPUAccounting", "b", {"true"}},
      {"TasksAccounting", "b", {"true"}},  {"IOAccounting", "b", {"true"}},
      // One whose processes were killed is forgotten as any other.
      {"CollectMode", "s", {"inactive-or-failed"}},
      {"PIDs", "au", {"1", fmt::format("{}", pid)}}};
  all.insert(all.end(), properties.begin(), properties.end());
  std::vector<std::string> words = {unit.name, "replace"};
  add_properties(words, all);
  words.emplace_back("0");
  // One that has just ended may still be known.
  constexpr int kTries = 20;
  for (int i = 0;; ++i) {
    Result<void> made = call("StartTransientUnit", "ssa(sv)a(sa(sv))", words);
    if (made) break;
    if (!is_taken(made.error()) || i == kTries) return std::move(made).error();
    (void)call("ResetFailedUnit", "s", {unit.name}).has_value();
    pause_ms(50);
  }
  constexpr int kWaits = 6000;
  for (int i = 0; i < kWaits; ++i) {
    std::string path = cgroup_of(pid);
    if (path.ends_with("/" + unit.name)) return path;
    pause_ms(5);
  }
  return Error(Code::unavailable, "systemd has not made '{}' within 30 seconds", printable(unit.name))
      .hint(fmt::format("`systemctl status {}`", shell_quote(unit.name)));
}

Result<void> change_scope(const std::string& name, const std::vector<UnitProperty>& properties) {
  if (properties.empty()) return {};
  std::vector<std::string> words = {name, "true"};
  add_properties(words, properties);
  return call("SetUnitProperties", "sba(sv)", words);
}

Result<void> stop_scope(const std::string& name) {
  Result<void> stopped = call("StopUnit", "ss", {name, "replace"});
  if (!stopped && stopped.error().message().find("not loaded") == std::string::npos) return stopped;
  return {};
}

}  // namespace kist::bundle
