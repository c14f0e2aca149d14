#include "runtime/cgroup_layout.h"

#include <vector>

#include "base/text.h"

namespace kist::runtime {
namespace {

struct CgroupMount {
  std::string root;  // The part of the tree that is mounted.
  std::string point;
  bool v2 = false;
  std::vector<std::string_view> options;  // v1: the controllers are among them.
};

// The kernel writes space, tab, newline and backslash of a path as \ooo.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "36 35 98:0 ROOT POINT options [tags] - TYPE SOURCE SUPER_OPTIONS"
std::vector<CgroupMount> cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> out;
  for (const std::string_view line : lines(mountinfo)) {
    const std::vector<std::string_view> fields = split(line, ' ');
    size_t dash = 6;
    while (dash < fields.size() && fields[dash] != "-") ++dash;
    if (dash + 3 >= fields.size()) continue;
    const std::string_view type = fields[dash + 1];
    if (type != "cgroup" && type != "cgroup2") continue;
    out.push_back({.root = unescaped(fields[3]),
                   .point = unescaped(fields[4]),
                   .v2 = type == "cgroup2",
                   .options = split(fields[dash + 3], ',')});
  }
  return out;
}

// Where cgroup `path` is under `mount`; empty if it is in a part that is not mounted there, as
// happens inside other containers.
std::string folder_of(const CgroupMount& mount, std::string_view path) {
  if (path.find("/..") != std::string_view::npos) return {};
  if (mount.root != "/") {
    if (!path.starts_with(mount.root)) return {};
    path.remove_prefix(mount.root.size());
    if (!path.empty() && path[0] != '/') return {};
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  return mount.point + std::string(path);
}

bool has_option(const CgroupMount& mount, std::string_view option) {
  for (const std::string_view got : mount.options)
    if (got == option) return true;
  return false;
}

}  // namespace

CgroupLayout CgroupLayout::parse(std::string_view self_cgroup, std::string_view mountinfo) {
  CgroupLayout layout;
  const std::vector<CgroupMount> mounts = cgroup_mounts(mountinfo);
  for (const std::string_view line : lines(self_cgroup)) {
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    for (const CgroupMount& mount : mounts) {
      const std::string folder = folder_of(mount, path);
      if (folder.empty()) continue;
      if (mount.v2 && controllers.empty()) {
        // Beside us: see `enable` in cgroups.cpp. The root of the tree has no beside.
        layout.v2_parent_ = folder == mount.point ? folder : folder.substr(0, folder.rfind('/'));
      } else if (!mount.v2) {
        for (const std::string_view controller : split(controllers, ','))
          if (has_option(mount, controller))
            layout.v1_.try_emplace(std::string(controller), folder);
      }
    }
  }
  return layout;
}

std::optional<CgroupPlace> CgroupLayout::place(std::string_view controller) const {
  if (const auto found = v1_.find(controller); found != v1_.end())
    return CgroupPlace{.version = 1, .parent = found->second};
  if (v2_parent_.empty()) return std::nullopt;
  return CgroupPlace{.version = 2, .parent = v2_parent_};
}

}  // namespace kist::runtime
