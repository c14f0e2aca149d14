#include "bundle/cgroup_devices.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/text.h"

namespace kist::bundle {
namespace {

DeviceRule allow(char type, std::optional<uint32_t> major, std::optional<uint32_t> minor,
                 bool use = true) {
  return {.allow = true, .type = type, .major = major, .minor = minor, .read = use, .write = use,
          .make = true};
}

std::string number_or_star(const std::optional<uint32_t>& number) {
  return number ? fmt::format("{}", *number) : std::string("*");
}

std::string rule_text(const DeviceRule& rule) {
  std::string access;
  if (rule.read) access += 'r';
  if (rule.write) access += 'w';
  if (rule.make) access += 'm';
  return fmt::format("{} {}:{} {}", rule.type, number_or_star(rule.major),
                     number_or_star(rule.minor), access);
}

constexpr bool is_everything(const DeviceRule& rule) {
  return rule.type == 'a' && !rule.major && !rule.minor && rule.read && rule.write && rule.make;
}

bpf_insn instruction(int code, int destination, int source, int offset, int32_t immediate) {
  bpf_insn out = {};
  out.code = static_cast<uint8_t>(code);
  out.dst_reg = static_cast<uint8_t>(destination) & 0xf;
  out.src_reg = static_cast<uint8_t>(source) & 0xf;
  out.off = static_cast<int16_t>(offset);
  out.imm = immediate;
  return out;
}

constexpr int kType = BPF_REG_2;
constexpr int kAccess = BPF_REG_3;
constexpr int kMajor = BPF_REG_4;
constexpr int kMinor = BPF_REG_5;

bpf_insn load(int destination, size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, destination, BPF_REG_1, static_cast<int>(offset), 0);
}

// if (`checks` hold) return `answer`;
void add_rule(const DeviceRule& rule, std::vector<bpf_insn>& out) {
  std::vector<bpf_insn> checks;
  // A jump's offset is filled in when the length is known.
  const auto leave_unless = [&](int reg, int32_t value) {
    checks.push_back(instruction(BPF_JMP | BPF_JNE | BPF_K, reg, 0, 0, value));
  };
  if (rule.type != 'a') leave_unless(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK
                                                             : BPF_DEVCG_DEV_CHAR);
  int32_t access = 0;
  if (rule.read) access |= BPF_DEVCG_ACC_READ;
  if (rule.write) access |= BPF_DEVCG_ACC_WRITE;
  if (rule.make) access |= BPF_DEVCG_ACC_MKNOD;
  if (access != (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD)) {
    // An allowing rule must cover all that is asked for, a denying one any of it.
    checks.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, kAccess, 0, 0));
    const int32_t mask = rule.allow ? ~access : access;
    checks.push_back(instruction(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_6, 0, 0, mask));
    checks.push_back(instruction(BPF_JMP | (rule.allow ? BPF_JNE : BPF_JEQ) | BPF_K, BPF_REG_6, 0, 0,
                                 0));
  }
  if (rule.major) leave_unless(kMajor, static_cast<int32_t>(*rule.major));
  if (rule.minor) leave_unless(kMinor, static_cast<int32_t>(*rule.minor));
  checks.push_back(
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, rule.allow ? 1 : 0));
  checks.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  for (size_t i = 0; i < checks.size(); ++i)
    if (BPF_CLASS(checks[i].code) == BPF_JMP && checks[i].code != (BPF_JMP | BPF_EXIT))
      checks[i].off = static_cast<int16_t>(checks.size() - i - 1);
  out.insert(out.end(), checks.begin(), checks.end());
}

long bpf(int command, bpf_attr& attr) { return ::syscall(SYS_bpf, command, &attr, sizeof attr); }

// Those that an update replaces. A program of somebody else stays: all of them must agree.
Result<std::vector<uint32_t>> attached_programs(const os::Fd& cgroup) {
  std::vector<uint32_t> ids(64);
  bpf_attr attr = {};
  attr.query.target_fd = static_cast<uint32_t>(cgroup.get());
  attr.query.attach_type = BPF_CGROUP_DEVICE;
  attr.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
  attr.query.prog_cnt = static_cast<uint32_t>(ids.size());
  if (bpf(BPF_PROG_QUERY, attr) != 0) return Error::from_errno(errno, "ask for device programs");
  ids.resize(attr.query.prog_cnt);
  return ids;
}

void detach(const os::Fd& cgroup, uint32_t id) {
  bpf_attr get = {};
  get.prog_id = id;
  const os::Fd program(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, get)));
  if (!program.is_open()) return;
  bpf_attr attr = {};
  attr.target_fd = static_cast<uint32_t>(cgroup.get());
  attr.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attr.attach_type = BPF_CGROUP_DEVICE;
  (void)bpf(BPF_PROG_DETACH, attr);
}

}  // namespace

std::vector<DeviceRule> device_rules(const Spec& spec) {
  std::vector<DeviceRule> rules = spec.resources.devices;
  // Who says nothing means what every container has, as with runc, and not the host's disks.
  if (rules.empty())
    rules.push_back({.allow = false, .type = 'a', .read = true, .write = true, .make = true});
  // Making nodes harms nobody; opening them is what is guarded.
  rules.push_back(allow('c', {}, {}, false));
  rules.push_back(allow('b', {}, {}, false));
  constexpr uint32_t kMemory = 1;
  for (const uint32_t minor : {3u, 5u, 7u, 8u, 9u}) rules.push_back(allow('c', kMemory, minor));
  constexpr uint32_t kTerminals = 5;
  for (const uint32_t minor : {0u, 1u, 2u}) rules.push_back(allow('c', kTerminals, minor));
  constexpr uint32_t kPseudoTerminals = 136;
  rules.push_back(allow('c', kPseudoTerminals, {}));
  return rules;
}

bool allows_everything(const std::vector<DeviceRule>& rules) {
  bool everything = true;
  for (const DeviceRule& rule : rules) {
    if (is_everything(rule))
      everything = rule.allow;
    else if (!rule.allow)
      everything = false;
  }
  return everything;
}

std::vector<DeviceWrite> device_writes(const std::vector<DeviceRule>& rules) {
  std::vector<DeviceWrite> out;
  for (const DeviceRule& rule : rules) {
    // "a" has no numbers there: it is everything.
    std::string text = is_everything(rule) ? "a" : rule_text(rule);
    const char* file = rule.allow ? "devices.allow" : "devices.deny";
    if (rule.type == 'a' && !is_everything(rule)) {
      DeviceRule part = rule;
      for (const char type : {'c', 'b'}) {
        part.type = type;
        out.push_back({file, rule_text(part)});
      }
      continue;
    }
    out.push_back({file, std::move(text)});
  }
  return out;
}

std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules) {
  constexpr int32_t kTypeMask = 0xffff;
  constexpr int32_t kAccessShift = 16;
  std::vector<bpf_insn> out = {
      load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, kAccess, kType, 0, 0),
      instruction(BPF_ALU64 | BPF_AND | BPF_K, kType, 0, 0, kTypeMask),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, kAccess, 0, 0, kAccessShift),
      load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    add_rule(*rule, out);
    // The kernel refuses a program of which a part is never reached.
    if (is_everything(*rule)) return out;
  }
  out.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0));
  out.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return out;
}

Result<void> attach_device_program(const os::Fd& cgroup, const std::vector<DeviceRule>& rules) {
  const std::vector<bpf_insn> program = device_program(rules);
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = reinterpret_cast<uint64_t>(program.data());
  attr.insn_cnt = static_cast<uint32_t>(program.size());
  static constexpr char kLicense[] = "Apache-2.0";
  attr.license = reinterpret_cast<uint64_t>(kLicense);
  const os::Fd loaded(static_cast<int>(bpf(BPF_PROG_LOAD, attr)));
  if (!loaded.is_open()) return Error::from_errno(errno, "load the program of the device rules");
  const std::vector<uint32_t> old = TRY(attached_programs(cgroup));
  bpf_attr attach = {};
  attach.target_fd = static_cast<uint32_t>(cgroup.get());
  attach.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attach) != 0)
    return Error::from_errno(errno, "attach the program of the device rules");
  for (const uint32_t id : old) detach(cgroup, id);
  return {};
}

}  // namespace kist::bundle
