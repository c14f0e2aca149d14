#include "containers/memory_folder.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fmt/format.h>

namespace kist::containers {
namespace {

bool is_in_memory(const std::string& folder) {
  struct statfs info = {};
  return ::statfs(folder.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

// Where others may write, a folder of this name may be theirs, or lead elsewhere.
bool is_ours(const std::string& folder) {
  struct stat info = {};
  return ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
         (info.st_mode & 077) == 0;
}

}  // namespace

std::string memory_folder(const std::string& runtime_dir, const std::string& otherwise) {
  const std::string candidates[] = {runtime_dir.empty() ? "" : runtime_dir + "/kist",
                                    ::geteuid() == 0 ? "/run/kist" : "",
                                    fmt::format("/dev/shm/kist-{}", ::geteuid())};
  for (const std::string& folder : candidates) {
    if (folder.empty() || !is_in_memory(folder.substr(0, folder.rfind('/')))) continue;
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) continue;
    if (is_ours(folder)) return folder;
  }
  return otherwise;
}

}  // namespace kist::containers
