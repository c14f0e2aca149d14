#include "launch/ready.h"

#include "base/text.h"
#include "launch/lease.h"
#include "launch/line_file.h"

namespace kist::launch {
namespace {

// Changes whenever an old file would be read wrongly; such a file is then simply made anew.
constexpr std::string_view kHeader = "kist-ready 1 " KIST_VERSION;

void put_watched(std::string& out, const Watched& watched) {
  if (!watched.stamp) return put_line(out, "absent", watched.path);
  const os::Stamp& s = *watched.stamp;
  out += fmt::format("watch {} {} {} {} {}\n", s.size_bytes, s.mtime_ns, s.ctime_ns, s.inode,
                     percent_encode(watched.path));
}

bool read_watched(std::string_view value, std::vector<Watched>& out) {
  const auto fields = split(value, ' ');
  if (fields.size() != 5) return false;
  os::Stamp stamp;
  auto path = percent_decode(fields[4]);
  if (!path || !read_number(fields[0], stamp.size_bytes) ||
      !read_number(fields[1], stamp.mtime_ns) || !read_number(fields[2], stamp.ctime_ns) ||
      !read_number(fields[3], stamp.inode))
    return false;
  out.push_back({std::move(*path), stamp});
  return true;
}

// One "key value" line. False when the value does not fit the key.
bool read_line(std::string_view key, std::string_view raw, Ready& ready) {
  if (key == "watch") return read_watched(raw, ready.watched);
  auto value = percent_decode(raw);
  if (!value) return false;
  struct Text {
    std::string_view key;
    std::string* field;
  };
  const Text texts[] = {
      {"project", &ready.project},       {"environment", &ready.environment},
      {"tree", &ready.tree},             {"lease", &ready.root_lease},
      {"erofs", &ready.erofs_image},     {"objects", &ready.objects},
      {"home", &ready.home},             {"bytecode", &ready.bytecode_plan},
      {"python-cache", &ready.python_cache}, {"shell", &ready.shell},
  };
  for (const Text& text : texts) {
    if (key != text.key) continue;
    *text.field = std::move(*value);
    return true;
  }
  if (key == "absent") return ready.watched.push_back({std::move(*value), std::nullopt}), true;
  if (key == "lower") return ready.lowers.push_back(std::move(*value)), true;
  if (key == "base-variable") return ready.base_variables.push_back(std::move(*value)), true;
  if (key == "variable") return ready.variables.push_back(std::move(*value)), true;
  if (key == "mount") return ready.mounts.push_back(std::move(*value)), true;
  if (key == "memory") return read_number(*value, ready.memory_bytes);
  if (key == "cpus") return read_number(*value, ready.cpus);
  if (key == "pids") return read_number(*value, ready.pids);
  if (key == "network") return ready.no_network = *value == "none", true;
  if (key == "task") {
    const size_t equals = value->find('=');
    if (equals == std::string::npos) return false;
    ready.tasks[value->substr(0, equals)] = value->substr(equals + 1);
    return true;
  }
  return false;
}

}  // namespace

std::string project_folder(std::string_view kist_home, std::string_view project) {
  return os::join(os::join(kist_home, "projects"), text_key(project));
}

std::string ready_path(std::string_view kist_home, std::string_view project,
                       std::string_view environment) {
  return os::join(project_folder(kist_home, project), fmt::format("{}.ready", environment));
}

std::string script_environment(std::string_view script_path) {
  return "script-" + text_key(script_path);
}

std::string encode(const Ready& ready) {
  std::string out(kHeader);
  out += '\n';
  put_line(out, "project", ready.project);
  put_line(out, "environment", ready.environment);
  for (const Watched& watched : ready.watched) put_watched(out, watched);
  put_line(out, "tree", ready.tree);
  put_line(out, "lease", ready.root_lease);
  if (!ready.erofs_image.empty()) put_line(out, "erofs", ready.erofs_image);
  put_line(out, "objects", ready.objects);
  for (const std::string& lower : ready.lowers) put_line(out, "lower", lower);
  if (!ready.bytecode_plan.empty()) put_line(out, "bytecode", ready.bytecode_plan);
  if (!ready.python_cache.empty()) put_line(out, "python-cache", ready.python_cache);
  put_line(out, "home", ready.home);
  if (!ready.shell.empty()) put_line(out, "shell", ready.shell);
  for (const std::string& variable : ready.base_variables) put_line(out, "base-variable", variable);
  for (const std::string& variable : ready.variables) put_line(out, "variable", variable);
  for (const std::string& mount : ready.mounts) put_line(out, "mount", mount);
  for (const auto& [name, command] : ready.tasks) put_line(out, "task", name + "=" + command);
  if (ready.memory_bytes != 0) put_line(out, "memory", fmt::format("{}", ready.memory_bytes));
  if (ready.cpus != 0) put_line(out, "cpus", fmt::format("{}", ready.cpus));
  if (ready.pids != 0) put_line(out, "pids", fmt::format("{}", ready.pids));
  if (ready.no_network) put_line(out, "network", "none");
  out += "end\n";  // A file that was cut off is not taken for a short one.
  return out;
}

Result<Ready> decode(std::string_view text) {
  const auto all = lines(text);
  if (all.size() < 2 || all.front() != kHeader || all.back() != "end")
    return Error(Code::corrupt, "not a whole ready file of this version");
  Ready ready;
  for (size_t i = 1; i + 1 < all.size(); ++i) {
    const size_t space = all[i].find(' ');
    const std::string_view key = all[i].substr(0, space);
    const std::string_view value =
        space == std::string_view::npos ? std::string_view() : all[i].substr(space + 1);
    if (!read_line(key, value, ready))
      return Error(Code::corrupt, "ready file, line {}: bad '{}'", i + 1, printable(key));
  }
  return ready;
}

os::Fd hold_lease(const Ready& ready) { return hold_lease(ready.root_lease); }

bool is_fresh(const Ready& ready) {
  for (const Watched& watched : ready.watched)
    if (os::stamp(watched.path) != watched.stamp) return false;
  return true;
}

}  // namespace kist::launch
