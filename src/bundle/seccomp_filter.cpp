#include "bundle/seccomp_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "os/files.h"
#include "runtime/seccomp_generator/profile.h"

namespace kist::bundle {
namespace {

constexpr size_t kMaxProgramBytes = BPF_MAXINSNS * sizeof(sock_filter);
constexpr uint64_t kMostCacheBytes = 32u << 20;
constexpr uint32_t kFormat = 2;  // Of the cache; changes whenever the same profile compiles anew.

uint32_t action_of(SeccompAction action, const std::optional<uint32_t>& number) {
  switch (action) {
    case SeccompAction::kill_process: return SCMP_ACT_KILL_PROCESS;
    case SeccompAction::kill_thread: return SCMP_ACT_KILL_THREAD;
    case SeccompAction::trap: return SCMP_ACT_TRAP;
    case SeccompAction::error_number: return SCMP_ACT_ERRNO(number.value_or(EPERM) & 0xffff);
    case SeccompAction::trace: return SCMP_ACT_TRACE(number.value_or(EPERM) & 0xffff);
    case SeccompAction::allow: return SCMP_ACT_ALLOW;
    case SeccompAction::log: return SCMP_ACT_LOG;
    case SeccompAction::notify: return SCMP_ACT_NOTIFY;
  }
  return SCMP_ACT_KILL_PROCESS;
}

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

// libseccomp of Debian 12 ends at Linux 5.17.
int number_of_call(const std::string& name) {
  const int known = seccomp_syscall_resolve_name(name.c_str());
  if (known != __NR_SCMP_ERROR) return known;
  for (const auto& newer : seccomp_generator::kNewer)
    if (name == newer.name) return newer.number;
#if defined(__x86_64__)
  for (const auto& newer : seccomp_generator::kNewerX86)
    if (name == newer.name) return newer.number;
#endif
  return __NR_SCMP_ERROR;
}

Error refused(int error, const std::string& what) {
  return Error::from_errno(-error, "linux.seccomp: {}", what);
}

Result<void> add_architectures(const Context& context, const Seccomp& profile) {
  for (const uint32_t architecture : profile.architectures) {
    const int added = seccomp_arch_add(context.get(), architecture);
    if (added != 0 && added != -EEXIST && added != -EDOM)
      return refused(added, "an architecture is not supported here");
  }
  return {};
}

Result<void> add_call(const Context& context, uint32_t action, int number,
                      const std::vector<scmp_arg_cmp>& arguments, const std::string& name) {
  const int added =
      seccomp_rule_add_array(context.get(), action, number,
                             static_cast<unsigned>(arguments.size()), arguments.data());
  // EFAULT, EDOM: the call is not on this architecture.
  if (added != 0 && added != -EEXIST && added != -EDOM && added != -EFAULT)
    return refused(added, fmt::format("the rule for '{}'", printable(name)));
  return {};
}

Result<void> add_rule(const Context& context, const SeccompRule& rule, uint32_t default_action,
                      long& highest) {
  const uint32_t action = action_of(rule.action, rule.error_number);
  // The library refuses a rule that says what holds anyway.
  const bool is_default = action == default_action;
  std::vector<scmp_arg_cmp> arguments;
  std::array<int, 6> uses = {};
  bool repeated = false;
  for (const SeccompArgument& argument : rule.arguments) {
    repeated |= ++uses[argument.index] > 1;
    arguments.push_back({.arg = argument.index,
                         .op = static_cast<scmp_compare>(argument.operation),
                         .datum_a = argument.value,
                         .datum_b = argument.value_two});
  }
  for (const std::string& name : rule.names) {
    const int number = number_of_call(name);
    if (number == __NR_SCMP_ERROR) continue;
    highest = std::max(highest, static_cast<long>(number));
    if (is_default) continue;
    if (!repeated) {
      TRY(add_call(context, action, number, arguments, name));
      continue;
    }
    // One rule can look at an argument only once. Then, as in runc, any of the conditions will do.
    for (const scmp_arg_cmp& argument : arguments)
      TRY(add_call(context, action, number, {argument}, name));
  }
  return {};
}

Result<std::vector<sock_filter>> exported(const Context& context) {
  const os::Fd memory(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory.is_open()) return Error::from_errno(errno, "make a file in memory");
  if (const int done = seccomp_export_bpf(context.get(), memory.get()); done != 0)
    return refused(done, "the filter cannot be compiled");
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) return Error::from_errno(errno, "rewind a file");
  const std::string bytes = TRY(os::read_all(memory, kMaxProgramBytes));
  std::vector<sock_filter> program(bytes.size() / sizeof(sock_filter));
  std::memcpy(program.data(), bytes.data(), program.size() * sizeof(sock_filter));
  return program;
}

constexpr uint32_t native_audit_architecture() {
#if defined(__x86_64__)
  return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  return AUDIT_ARCH_AARCH64;
#else
#error "no seccomp for this architecture"
#endif
}

sock_filter statement(int code, uint32_t value, uint8_t yes = 0, uint8_t no = 0) {
  return {static_cast<uint16_t>(code), yes, no, value};
}

// On our own architecture, a number above all that the profile names is "no such call".
void prepend_missing(std::vector<sock_filter>& program, long highest) {
  constexpr uint32_t kX32Bit = 0x40000000;
  const std::vector<sock_filter> prelude = {
      statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      statement(BPF_JMP | BPF_JEQ | BPF_K, native_audit_architecture(), 0, 4),
      statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      statement(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0),
      statement(BPF_JMP | BPF_JGT | BPF_K, static_cast<uint32_t>(highest), 0, 1),
      statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
  };
  program.insert(program.begin(), prelude.begin(), prelude.end());
}

template <class T>
void add_bytes(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void add_text(std::string& out, const std::string& text) {
  add_bytes(out, static_cast<uint32_t>(text.size()));
  out += text;
}

// All that the filter depends on. Compared whole, so that no hash has to be trusted.
std::string key_of(const Seccomp& profile) {
  std::string out;
  const scmp_version* version = seccomp_version();
  add_bytes(out, kFormat);
  add_bytes(out, *version);
  add_bytes(out, native_audit_architecture());
  add_bytes(out, action_of(profile.default_action, profile.default_error_number));
  for (const uint32_t architecture : profile.architectures) add_bytes(out, architecture);
  add_bytes(out, uint32_t{0});
  add_bytes(out, profile.flags);
  for (const SeccompRule& rule : profile.rules) {
    add_bytes(out, action_of(rule.action, rule.error_number));
    add_bytes(out, static_cast<uint32_t>(rule.names.size()));
    for (const std::string& name : rule.names) add_text(out, name);
    add_bytes(out, static_cast<uint32_t>(rule.arguments.size()));
    for (const SeccompArgument& argument : rule.arguments) {
      add_bytes(out, argument.index);
      add_bytes(out, argument.operation);
      add_bytes(out, argument.value);
      add_bytes(out, argument.value_two);
    }
  }
  return out;
}

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

// KEY_SIZE KEY PROGRAM
std::optional<std::vector<sock_filter>> read_cache(const std::string& path, const std::string& key) {
  const auto fd = os::open_file(path, O_RDONLY | O_NOFOLLOW);
  if (!fd) return std::nullopt;
  struct stat st = {};
  constexpr mode_t kOthersWrite = 022;
  if (::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid() ||
      (st.st_mode & kOthersWrite) != 0)
    return std::nullopt;
  const auto bytes = os::read_all(*fd, kMostCacheBytes);
  uint64_t key_size = 0;
  if (!bytes || bytes->size() < sizeof key_size) return std::nullopt;
  std::memcpy(&key_size, bytes->data(), sizeof key_size);
  std::string_view rest = std::string_view(*bytes).substr(sizeof key_size);
  if (key_size != key.size() || !rest.starts_with(key)) return std::nullopt;
  rest.remove_prefix(key.size());
  if (rest.empty() || rest.size() % sizeof(sock_filter) != 0 || rest.size() > kMaxProgramBytes)
    return std::nullopt;
  std::vector<sock_filter> program(rest.size() / sizeof(sock_filter));
  std::memcpy(program.data(), rest.data(), rest.size());
  return program;
}

void write_cache(const std::string& path, const std::string& key,
                 const std::vector<sock_filter>& program) {
  std::string bytes;
  add_bytes(bytes, uint64_t{key.size()});
  bytes += key;
  bytes.append(reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter));
  // No cache is slower, and else the same.
  if (!os::exists(os::parent_of(path)))
    (void)os::make_folders(os::parent_of(path), 0700).has_value();
  (void)os::write_file_atomically(path, bytes, 0600).has_value();
}

SeccompFilter with_flags(const Seccomp& profile, std::vector<sock_filter> program) {
  SeccompFilter out{.program = std::move(program), .flags = profile.flags};
  for (const SeccompRule& rule : profile.rules)
    out.notifies |= rule.action == SeccompAction::notify;
  return out;
}

}  // namespace

Result<SeccompFilter> compile_seccomp(const Seccomp& profile) {
  const uint32_t default_action = action_of(profile.default_action, profile.default_error_number);
  const Context context(seccomp_init(default_action));
  if (context == nullptr) return Error(Code::unsupported, "linux.seccomp.defaultAction: unknown");
  TRY(add_architectures(context, profile));
  (void)seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_NNP, 0);
  // A binary tree of comparisons instead of a chain, where the library can.
  (void)seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  long highest = 0;
  for (const SeccompRule& rule : profile.rules)
    TRY(add_rule(context, rule, default_action, highest));
  std::vector<sock_filter> program = TRY(exported(context));
  if (profile.default_action == SeccompAction::error_number && highest > 0 &&
      profile.default_error_number.value_or(EPERM) == EPERM)
    prepend_missing(program, highest);
  if (program.size() > BPF_MAXINSNS)
    return Error(Code::invalid, "linux.seccomp: a filter of {} steps, the kernel takes {}",
                 program.size(), BPF_MAXINSNS);
  return with_flags(profile, std::move(program));
}

Result<SeccompFilter> cached_seccomp(const Seccomp& profile, const std::string& cache_folder) {
  const std::string key = key_of(profile);
  const std::string path = fmt::format("{}/{:016x}.bpf", cache_folder, hash_of(key));
  if (auto program = read_cache(path, key)) return with_flags(profile, std::move(*program));
  SeccompFilter filter = TRY(compile_seccomp(profile));
  write_cache(path, key, filter.program);
  return filter;
}

Result<os::Fd> install_seccomp(const SeccompFilter& filter) {
  const sock_fprog program = {.len = static_cast<unsigned short>(filter.program.size()),
                              .filter = const_cast<sock_filter*>(filter.program.data())};
  uint32_t flags = filter.flags;
  if (filter.notifies) {
    flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Together they need an own flag, and we have one thread.
    flags &= ~static_cast<uint32_t>(SECCOMP_FILTER_FLAG_TSYNC);
  }
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (result < 0) return Error::from_errno(errno, "install the seccomp filter");
  return filter.notifies ? os::Fd(static_cast<int>(result)) : os::Fd();
}

}  // namespace kist::bundle
