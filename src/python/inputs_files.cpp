#include "python/inputs_files.h"

#include "base/text.h"
#include "os/files.h"

namespace kist::python {
namespace {

constexpr uint64_t kMaxBytes = 64u << 20;

}  // namespace

std::string normal_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..")
      parts.pop_back();
    else if (part != ".." || !path.starts_with('/'))
      parts.push_back(part);
  }
  std::string out = path.starts_with('/') ? "/" : "";
  for (size_t i = 0; i < parts.size(); ++i) (out += i == 0 ? "" : "/") += parts[i];
  return out.empty() ? "." : out;
}

std::string path_from(std::string_view folder, std::string_view path) {
  if (path.starts_with('/')) return normal_path(path);
  return normal_path(fmt::format("{}/{}", folder.empty() ? "." : folder, path));
}

std::string ProjectFolder::resolve(const std::string& path) const {
  return path.starts_with('/') ? path : os::join(folder_, path);
}

bool ProjectFolder::is_folder(const std::string& path) const {
  return os::is_folder(resolve(path));
}

bool ProjectFolder::is_file(const std::string& path) const {
  const std::string full = resolve(path);
  return os::stamp(full).has_value() && !os::is_folder(full);
}

Result<std::string> ProjectFolder::read(const std::string& path) const {
  return os::read_file(resolve(path), kMaxBytes);
}

std::vector<std::string> ProjectFolder::list(const std::string& path) const {
  return os::list_folder(resolve(path)).value_or(std::vector<std::string>());
}

bool MemoryFiles::is_file(const std::string& path) const {
  return files_.contains(normal_path(path));
}

bool MemoryFiles::is_folder(const std::string& path) const {
  const std::string folder = normal_path(path);
  if (folder == ".") return true;
  const auto next = files_.lower_bound(folder + "/");
  return next != files_.end() && next->first.starts_with(folder + "/");
}

Result<std::string> MemoryFiles::read(const std::string& path) const {
  const auto found = files_.find(normal_path(path));
  if (found == files_.end()) {
    return Error(Code::not_found, "open '{}': No such file or directory", printable(path));
  }
  return found->second;
}

std::vector<std::string> MemoryFiles::list(const std::string& path) const {
  const std::string folder = normal_path(path);
  const std::string prefix = folder == "." ? "" : folder + "/";
  std::vector<std::string> out;
  for (const auto& [name, content] : files_) {
    if (!name.starts_with(prefix)) continue;
    std::string first = name.substr(prefix.size());
    first.resize(std::min(first.find('/'), first.size()));
    if (out.empty() || out.back() != first) out.push_back(std::move(first));
  }
  return out;
}

}  // namespace kist::python
