// bundle::read_spec: a hostile config.json is refused or becomes a Spec whose words are all known.
#include "bundle/cgroup_settings.h"
#include "bundle/seccomp_profile.h"
#include "bundle/spec_reader.h"
#include "bundle/spec_writer.h"
#include "bundle/state_folder.h"
#include "fuzz.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  return {R"({"ociVersion":"1.2.0","root":{"path":"r","readonly":true},"hostname":"h",
    "process":{"terminal":true,"cwd":"/","args":["sh"],"env":["A=b"],"user":{"uid":0,"gid":0,"additionalGids":[1]},
      "capabilities":{"bounding":["CAP_KILL"],"ambient":["CAP_X"]},
      "rlimits":[{"type":"RLIMIT_NOFILE","soft":1,"hard":2}],"oomScoreAdj":5,
      "scheduler":{"policy":"SCHED_BATCH","nice":1},"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":4}},
    "mounts":[{"destination":"/m","type":"bind","source":"/s","options":["rbind","rro","mode=1"],
      "uidMappings":[{"containerID":0,"hostID":1,"size":2}],"gidMappings":[{"containerID":0,"hostID":1,"size":2}]}],
    "hooks":{"prestart":[{"path":"/h","args":["h"],"env":["A=b"],"timeout":3}]},"annotations":{"a":"b"}})",
          R"({"ociVersion":"1.0.0","root":{"path":"/"},"linux":{"namespaces":[{"type":"pid","path":"/p"}],
    "uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"timeOffsets":{"boottime":{"secs":-1,"nanosecs":5}},
    "devices":[{"path":"/dev/x","type":"c","major":1,"minor":2,"fileMode":438}],"cgroupsPath":"/a",
    "resources":{"devices":[{"allow":false,"access":"rwm"}],"memory":{"limit":-1,"swap":5},
      "cpu":{"shares":2,"quota":-1,"period":5},"pids":{"limit":3},"blockIO":{"weight":10,
      "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5}]},"hugepageLimits":[{"pageSize":"2MB","limit":1}],
      "rdma":{"mlx":{"hcaHandles":1}},"unified":{"memory.high":"1"}},
    "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],
      "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]},
    "rootfsPropagation":"rslave","maskedPaths":["/proc/x"],"sysctl":{"net.a":"1"},"personality":{"domain":"LINUX"}}})",
    R"({"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
      "syscalls":[{"names":["bpf"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"],"minKernel":"4.8"},
      "excludes":{"arches":["s390"]}}]})"};
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view bytes = fuzz::text_of(data, size);
  (void)bundle::parse_record(bytes).has_value();
  (void)bundle::read_seccomp_profile(bytes, 1u << 21).has_value();
  const auto spec = bundle::read_spec(bytes);
  if (!spec) return 0;
  fuzz::expect(!spec->root_path.empty(), "a root has a path");
  for (const bundle::Mount& mount : spec->mounts)
    fuzz::expect(mount.destination.starts_with('/'), "a destination is absolute");
  (void)bundle::cgroup_settings_v1(spec->resources);
  (void)bundle::cgroup_settings_v2(spec->resources);
  const std::string text = bundle::spec_text(*spec);
  const auto again = bundle::read_spec(text);
  fuzz::expect(again.has_value(), "what is written can be read");
  fuzz::expect(bundle::spec_text(*again) == text, "and says the same");
  return 0;
}
