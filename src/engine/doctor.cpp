#include "engine/doctor.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/text.h"
#include "debian/base_set.h"
#include "debian/mirror.h"
#include "debian/release.h"
#include "environment/root_variant.h"

namespace kist::engine {
namespace {

using environment::Context;
using State = Check::State;

// Runs `probe` in a child, since what it tries (a namespace) cannot be undone. 0 or an errno.
template <class Probe>
int in_child(Probe probe) {
  const pid_t pid = ::fork();
  if (pid < 0) return errno;
  if (pid == 0) ::_exit(probe());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
}

int write_map(const char* path, uint32_t outside) {
  const auto fd = os::open_file(path, O_WRONLY);
  if (!fd) return EPERM;
  return os::write_all(*fd, fmt::format("0 {} 1", outside)) ? 0 : EPERM;
}

int enter_user_namespace() {
  const uint32_t uid = ::getuid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return errno;
  return write_map("/proc/self/uid_map", uid);
}

int try_overlay(bool user_namespace) {
  if (user_namespace) {
    if (const int error = enter_user_namespace(); error != 0) return error;
  } else if (::unshare(CLONE_NEWNS) != 0) {
    return errno;
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  if (::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) != 0) return errno;
  for (const char* folder : {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/root"})
    if (::mkdir(folder, 0755) != 0) return errno;
  const char* options = user_namespace
                            ? "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work,userxattr"
                            : "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work";
  return ::mount("overlay", "/tmp/root", "overlay", 0, options) == 0 ? 0 : errno;
}

std::string reason(int error) { return std::string(::strerrordesc_np(error)); }

Check check_kernel() {
  utsname name = {};
  ::uname(&name);
  int major = 0;
  int minor = 0;
  (void)std::sscanf(name.release, "%d.%d", &major, &minor);
  Check check{.name = "kernel", .detail = name.release};
  if (major * 1000 + minor < 5011) {
    check.state = State::bad;
    check.detail += ", older than 5.11: no overlay in user namespaces";
    check.fix = "install a kernel of 5.11 or later";
  }
  return check;
}

Check check_user_namespaces(const Context& context) {
  Check check{.name = "user namespaces", .detail = "can be made"};
  if (context.host.uid == 0) check.detail = "not needed by root";
  const int error = in_child(enter_user_namespace);
  if (error == 0 || context.host.uid == 0) return check;
  check.state = State::bad;
  check.detail = reason(error);
  check.fix = os::exists("/proc/sys/kernel/unprivileged_userns_clone")
                  ? "as root: `sysctl -w kernel.unprivileged_userns_clone=1`"
              : os::exists("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
                  ? "as root: `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
                  : "as root: `sysctl -w user.max_user_namespaces=15000`";
  return check;
}

Check check_overlay(const Context& context) {
  const bool user = context.host.uid != 0;
  const int error = in_child([&] { return try_overlay(user); });
  Check check{.name = "overlay file system", .detail = user ? "works in a user namespace" : "works"};
  if (error == 0) return check;
  check.state = State::bad;
  check.detail = reason(error);
  check.fix = "as root: `modprobe overlay`";
  return check;
}

Check check_cgroups() {
  Check check{.name = "cgroups"};
  const auto mounts = os::read_file("/proc/self/mountinfo", 16 << 20);
  const bool v1 = mounts && mounts->find(" - cgroup ") != std::string::npos;
  const bool v2 = mounts && mounts->find(" - cgroup2 ") != std::string::npos;
  const auto controllers = os::read_file("/sys/fs/cgroup/cgroup.controllers", 4096);
  check.detail = v1 && v2 ? "hybrid (v1 and v2)" : v2 ? "v2" : v1 ? "v1" : "none mounted";
  if (controllers) check.detail += fmt::format(", controllers: {}", trim(*controllers));
  if (!v1 && !v2) {
    check.state = State::warning;
    check.fix = "limits (--memory, --cpus, --pids-limit) need cgroups; all else works";
  }
  return check;
}

Check check_subordinate_ids(const Context& context) {
  Check check{.name = "subordinate ids", .detail = "not needed"};
  const auto ranges = os::read_file("/etc/subuid", 1 << 20);
  const bool given = ranges && (("\n" + *ranges).find("\n" + context.host.user_name + ":") != std::string::npos);
  if (given) check.detail = "a range is given; kist runs without one as well";
  return check;
}

// Only root has a choice; that links do as well is why this is never bad.
Check check_roots(const Context& context) {
  Check check{.name = "roots", .detail = "folders of links to the store's objects"};
  if (context.host.uid != 0) return check;
  if (environment::variant_of(context) == store::Variant::erofs) {
    check.detail = "EROFS images, mounted from their files";
    return check;
  }
  check.state = State::warning;
  check.detail += ", slower to make than EROFS images";
  check.fix = "a kernel of 6.12 or later, and a KIST_HOME that is not on a tmpfs";
  return check;
}

Check check_disk(const Context& context) {
  Check check{.name = "store", .detail = context.store.home()};
  const auto free = os::free_bytes(context.store.home());
  if (!free) {
    check.state = State::bad;
    check.detail = free.error().message();
    check.fix = fmt::format("`mkdir -p {}`", shell_quote(context.store.home()));
    return check;
  }
  check.detail += fmt::format(", {} free", human_bytes(*free));
  if (*free < (5ull << 30)) {
    check.state = State::warning;
    check.fix = "`kist gc`, or set KIST_HOME to a larger disk";
  }
  return check;
}

Check check_fuse() {
  Check check{.name = "/dev/fuse", .detail = "can be opened"};
  const auto fd = os::open_file("/dev/fuse", O_RDWR);
  if (!fd) check.detail = fd.error().message() + "; kist runs without it";
  return check;
}

Check check_certificates(const http::Config& network) {
  constexpr std::array kBundles = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                   "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
  Check check{.name = "certificates", .detail = network.ca_file};
  for (const char* bundle : kBundles)
    if (check.detail.empty() && os::exists(bundle)) check.detail = bundle;
  if (!check.detail.empty() && os::exists(check.detail)) return check;
  check.state = State::bad;
  check.detail = check.detail.empty() ? "no bundle found" : check.detail + " does not exist";
  check.fix = "as root: `apt-get install ca-certificates`, or set SSL_CERT_FILE";
  return check;
}

Check check_index(const Context& context) {
  Check check{.name = "Python index"};
  if (context.default_index.empty()) {
    check.state = State::warning;
    check.detail = "none is configured";
    check.fix = "`export UV_DEFAULT_INDEX=https://…/simple`";
    return check;
  }
  http::GetOptions options;
  options.headers = {"Accept: application/vnd.pypi.simple.v1+json, text/html;q=0.1"};
  const auto got = context.client.get(os::join(context.default_index, "uv/"), options);
  check.detail = http::redact(context.default_index);
  if (got) return check;
  check.state = State::bad;
  check.detail = got.error().message();
  check.fix = got.error().hint_text();
  return check;
}

Check check_mirror(const Context& context) {
  Check check{.name = "Debian mirror"};
  const auto apt = context.apt();
  const auto pockets = apt ? debian::find_pockets(*apt, debian::known_suites().front())
                           : Result<std::vector<debian::Pocket>>(apt.error());
  if (!pockets) {
    check.state = State::bad;
    check.detail = pockets.error().message();
    check.fix = pockets.error().hint_text();
    return check;
  }
  const debian::Archive& archive = pockets->front().archives.front();
  const std::string url = fmt::format("{}/dists/{}/InRelease", archive.uri, archive.suite);
  const auto got = context.client.get(url, {});
  check.detail = http::redact(archive.uri);
  if (got) return check;
  check.state = State::bad;
  check.detail = got.error().message();
  check.fix = got.error().hint_text();
  return check;
}

}  // namespace

std::vector<Check> examine(const Context& context, const http::Config& network) {
  return {check_kernel(),        check_user_namespaces(context),
          check_overlay(context), check_cgroups(),
          check_subordinate_ids(context), check_disk(context),
          check_roots(context),  check_fuse(),
          check_certificates(network), check_index(context),
          check_mirror(context)};
}

}  // namespace kist::engine
