// spec: a config.json to begin with, the same as that of runc; features: what there is.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <seccomp.h>

#include "base/text.h"
#include "bundle/spec_words.h"
#include "os/files.h"
#include "runtime_cli/command.h"

namespace kist::runtime_cli {
namespace {

namespace json = boost::json;

// In the order in which people read it, so it is text. What differs without root is put in.
constexpr const char* kProcess = R"({
"ociVersion":"1.2.0",
"process":{"terminal":true,"user":{"uid":0,"gid":0},"args":["sh"],
"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","TERM=xterm"],"cwd":"/",
"capabilities":{"bounding":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],
"effective":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],
"permitted":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"]},
"rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}],
"noNewPrivileges":true},
"root":{"path":"rootfs","readonly":true},
"hostname":"kist",
"mounts":[
{"destination":"/proc","type":"proc","source":"proc"},
{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755","size=65536k"]},
)";
constexpr const char* kPtsOfRoot =
    R"({"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620","gid=5"]},
)";
constexpr const char* kPtsOfUser =
    R"({"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620"]},
)";
constexpr const char* kSharedMemory =
    R"({"destination":"/dev/shm","type":"tmpfs","source":"shm","options":["nosuid","noexec","nodev","mode=1777","size=65536k"]},
{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue","options":["nosuid","noexec","nodev"]},
)";
constexpr const char* kSysOfRoot =
    R"({"destination":"/sys","type":"sysfs","source":"sysfs","options":["nosuid","noexec","nodev","ro"]},
)";
constexpr const char* kSysOfUser =
    R"({"destination":"/sys","type":"none","source":"/sys","options":["rbind","nosuid","noexec","nodev","ro"]},
)";
constexpr const char* kCgroups =
    R"({"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["nosuid","noexec","nodev","relatime","ro"]}]
,"linux":{)";
constexpr const char* kResourcesOfRoot =
    R"("resources":{"devices":[{"allow":false,"access":"rwm"}]},
"namespaces":[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"})";
constexpr const char* kNamespacesOfUser =
    R"("namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"user"})";
constexpr const char* kLast = R"(],
"maskedPaths":["/proc/acpi","/proc/asound","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/timer_list","/proc/timer_stats","/proc/sched_debug","/sys/firmware","/proc/scsi"],
"readonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]}})";

std::string spec_text(bool rootless) {
  std::string out = kProcess;
  out += rootless ? kPtsOfUser : kPtsOfRoot;
  out += kSharedMemory;
  out += rootless ? kSysOfUser : kSysOfRoot;
  out += kCgroups;
  if (rootless) {
    constexpr const char* kMap = R"("{}":[{{"containerID":0,"hostID":{},"size":1}}],)";
    out += fmt::format(kMap, "uidMappings", ::geteuid());
    out += fmt::format(kMap, "gidMappings", ::getegid());
  }
  out += rootless ? kNamespacesOfUser : kResourcesOfRoot;
  out += kLast;
  std::erase(out, '\n');
  return pretty(out, "\t");
}

json::array names_of(std::span<const bundle::Word> words) {
  std::vector<std::string_view> names;
  for (const bundle::Word& word : words) names.push_back(word.name);
  std::sort(names.begin(), names.end());
  return json::array(names.begin(), names.end());
}

json::object seccomp_features() {
  return {{"enabled", true},
          {"actions", names_of(bundle::seccomp_action_words())},
          {"operators", names_of(bundle::seccomp_operator_words())},
          {"archs", names_of(bundle::seccomp_architecture_words())},
          {"knownFlags", names_of(bundle::seccomp_flag_words())},
          {"supportedFlags", names_of(bundle::seccomp_flag_words())}};
}

json::object linux_features() {
  json::array capabilities;
  for (const bundle::Word& word : bundle::capability_words()) capabilities.emplace_back(word.name);
  return {{"namespaces", names_of(bundle::namespace_words())},
          {"capabilities", std::move(capabilities)},
          {"cgroup",
           {{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", true}, {"rdma", true}}},
          {"seccomp", seccomp_features()},
          {"apparmor", {{"enabled", true}}},
          {"selinux", {{"enabled", true}}},
          {"intelRdt", {{"enabled", false}}},
          {"mountExtensions", {{"idmap", {{"enabled", true}}}}}};
}

}  // namespace

Result<int> run_spec(const Context&, const Arguments& arguments) {
  const std::string path = os::join(arguments.text("bundle", "."), "config.json");
  const os::Fd file = TRY(os::open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0666),
                          "file config.json exists already, or cannot be made");
  TRY(os::write_all(file, spec_text(arguments.has("rootless"))));
  return 0;
}

Result<int> run_features(const Context&, const Arguments&) {
  const auto options = bundle::mount_option_names();
  const scmp_version* library = seccomp_version();
  const json::object features = {
      {"ociVersionMin", "1.0.0"},
      {"ociVersionMax", "1.2.0"},
      {"hooks", {"prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                 "poststop"}},
      {"mountOptions", json::array(options.begin(), options.end())},
      {"linux", linux_features()},
      {"annotations",
       {{"io.github.seccomp.libseccomp.version",
         fmt::format("{}.{}.{}", library->major, library->minor, library->micro)},
        {"org.opencontainers.runc.checkpoint.enabled", "true"}}},
      {"potentiallyUnsafeConfigAnnotations", json::array()}};
  TRY(print(pretty(json::serialize(features), "    ") + "\n"));
  return 0;
}

}  // namespace kist::runtime_cli
