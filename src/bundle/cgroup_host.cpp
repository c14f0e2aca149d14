#include "bundle/cgroup_host.h"

#include <algorithm>

#include "base/text.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

// "ID:CONTROLLERS:PATH"
struct OwnCgroup {
  std::string_view controllers;
  std::string_view path;
};
std::vector<OwnCgroup> parse_own(std::string_view self_cgroup) {
  std::vector<OwnCgroup> out;
  for (const std::string_view line : lines(self_cgroup)) {
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    out.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
  }
  return out;
}

bool belongs(const OwnCgroup& own, bool v2, const std::vector<std::string_view>& options) {
  if (v2 || own.controllers.empty()) return v2 && own.controllers.empty();
  const auto names = split(own.controllers, ',');
  return std::find(options.begin(), options.end(), names[0]) != options.end();
}

}  // namespace

bool Hierarchy::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::string unescaped_path(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      out += text[i];
      continue;
    }
    out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
    i += 3;
  }
  return out;
}

// "36 35 98:0 ROOT POINT options [tags] - TYPE SOURCE SUPER_OPTIONS"
std::vector<Hierarchy> parse_cgroup_hierarchies(std::string_view self_cgroup,
                                                std::string_view mountinfo) {
  const std::vector<OwnCgroup> owns = parse_own(self_cgroup);
  std::vector<Hierarchy> out;
  for (const std::string_view line : lines(mountinfo)) {
    if (line.find(" - cgroup") == std::string_view::npos) continue;
    const std::vector<std::string_view> fields = split(line, ' ');
    size_t dash = 6;
    while (dash < fields.size() && fields[dash] != "-") ++dash;
    if (dash + 3 >= fields.size()) continue;
    const bool v2 = fields[dash + 1] == "cgroup2";
    if (!v2 && fields[dash + 1] != "cgroup") continue;
    const auto options = split(fields[dash + 3], ',');
    for (const OwnCgroup& own : owns) {
      if (!belongs(own, v2, options)) continue;
      Hierarchy hierarchy{.version = v2 ? 2 : 1,
                          .controllers = {},
                          .mount_point = unescaped_path(fields[4]),
                          .mount_root = unescaped_path(fields[3]),
                          .own_path = std::string(own.path)};
      if (!v2)
        for (const std::string_view name : split(own.controllers, ','))
          hierarchy.controllers.emplace_back(name);
      const auto same = [&](const Hierarchy& other) {
        return other.version == hierarchy.version && other.controllers == hierarchy.controllers;
      };
      if (std::none_of(out.begin(), out.end(), same)) out.push_back(std::move(hierarchy));
    }
  }
  return out;
}

Result<std::vector<Hierarchy>> read_cgroup_hierarchies() {
  constexpr uint64_t kMost = 64u << 20;
  const std::string own = TRY(os::read_file("/proc/self/cgroup", kMost));
  const std::string mounts = TRY(os::read_file("/proc/self/mountinfo", kMost));
  std::vector<Hierarchy> hierarchies = parse_cgroup_hierarchies(own, mounts);
  for (Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.version != 2) continue;
    const auto offered =
        os::read_file(os::join(hierarchy.mount_point, "cgroup.controllers"), 1 << 16);
    if (!offered) continue;
    for (const std::string_view name : split(trim(*offered), ' '))
      if (!name.empty()) hierarchy.controllers.emplace_back(name);
  }
  return hierarchies;
}

Result<std::string> cgroup_folder(const Hierarchy& hierarchy, const std::string& cgroups_path,
                                  const std::string& id) {
  const std::string& wanted = cgroups_path.empty() ? id : cgroups_path;
  for (const std::string_view part : split(wanted, '/'))
    if (part == "..")
      return Error(Code::invalid, "linux.cgroupsPath: '{}' has '..' in it", printable(wanted));
  std::string folder = hierarchy.mount_point;
  if (wanted[0] != '/') {
    std::string own = hierarchy.own_path;
    if (hierarchy.version == 2) own = own == "/" ? own : os::parent_of(own);
    if (hierarchy.mount_root != "/" && own.starts_with(hierarchy.mount_root))
      own.erase(0, hierarchy.mount_root.size());
    if (own.find("/..") != std::string::npos) own.clear();  // Above what is mounted here.
    folder += "/" + own;
  }
  folder += "/" + wanted;
  std::string clean;
  for (const std::string_view part : split(folder, '/'))
    if (!part.empty() && part != ".") clean.append("/").append(part);
  if (clean == hierarchy.mount_point)
    return Error(Code::invalid, "linux.cgroupsPath: '{}' is the top of the tree",
                 printable(wanted));
  return clean;
}

}  // namespace kist::bundle
