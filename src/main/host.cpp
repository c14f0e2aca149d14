#include "main/host.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "launch/paths.h"
#include "os/child.h"

namespace kist {
namespace {

std::string lookup(const launch::Host& host, const char* name) {
  const auto it = host.variables.find(name);
  return it == host.variables.end() ? std::string() : it->second;
}

struct User {
  std::string name;
  std::string home;
};

// Reads /etc/passwd itself: in a static program glibc's getpwuid would load shared objects.
User user_of(uint32_t uid) {
  const auto text = os::read_file("/etc/passwd", 16 << 20);
  if (text) {
    for (const std::string_view line : lines(*text)) {
      const auto fields = split(line, ':');
      if (fields.size() >= 6 && parse_number(fields[2]) == uid)
        return {std::string(fields[0]), std::string(fields[5])};
    }
  }
  return {uid == 0 ? "root" : "user", ""};
}

// $PWD keeps the name by which the person got here (through links), if it still is this folder.
Result<std::string> working_dir(const std::string& logical) {
  struct stat here = {};
  struct stat named = {};
  if (!logical.empty() && logical[0] == '/' && ::stat(".", &here) == 0 &&
      ::stat(logical.c_str(), &named) == 0 && here.st_ino == named.st_ino &&
      here.st_dev == named.st_dev && (logical + "/").find("/../") == std::string::npos)
    return launch::clean_path(logical);
  char buffer[PATH_MAX];
  if (::getcwd(buffer, sizeof buffer) == nullptr)
    return Error::from_errno(errno, "find the working folder").hint("`cd` to a folder that exists");
  return std::string(buffer);
}

}  // namespace

Result<launch::Host> read_host() {
  launch::Host host;
  for (const std::string& entry : os::current_env()) {
    const size_t equals = entry.find('=');
    if (equals != std::string::npos && equals > 0)
      host.variables.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  host.uid = ::getuid();
  host.gid = ::getgid();
  host.umask = ::umask(022);
  ::umask(host.umask);
  host.home = lookup(host, "HOME");
  host.user_name = lookup(host, "USER");
  // sudo and su leave USER of somebody else behind, so it counts only for the uid that owns HOME.
  if (host.user_name.empty() || host.home.empty() || (host.uid == 0) != (host.user_name == "root")) {
    User user = user_of(host.uid);
    host.user_name = std::move(user.name);
    if (host.home.empty()) host.home = std::move(user.home);
  }
  host.working_dir = TRY(working_dir(lookup(host, "PWD")));
  host.kist_home = lookup(host, "KIST_HOME");
  if (host.kist_home.empty() && host.uid == 0) host.kist_home = "/var/lib/kist";
  if (host.kist_home.empty()) {
    std::string data = lookup(host, "XDG_DATA_HOME");
    if (data.empty() && !host.home.empty()) data = os::join(host.home, ".local/share");
    if (data.empty())
      return Error(Code::invalid, "neither HOME nor KIST_HOME is set: no place for the store")
          .hint("`export KIST_HOME=/some/folder/of/yours`");
    host.kist_home = os::join(data, "kist");
  }
  if (host.kist_home[0] != '/') host.kist_home = os::join(host.working_dir, host.kist_home);
  return host;
}

std::string sibling_program(const char* name) {
  const auto self = os::read_link("/proc/self/exe");
  const std::string folder = self ? os::parent_of(*self) : std::string(".");
  std::string beside = os::join(folder, name);
  if (os::exists(beside)) return beside;
  // Installed, the engine lies in PREFIX/libexec/kist and kist in PREFIX/bin.
  if (std::string_view(name) == "kist") return os::join(os::parent_of(os::parent_of(folder)), "bin/kist");
  return os::join(os::parent_of(folder), fmt::format("libexec/kist/{}", name));
}

}  // namespace kist
