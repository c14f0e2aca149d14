#include "python/install_layout.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"

namespace kist::python {
namespace {

bool starts_with_folder(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

class Planner {
 public:
  Planner(const WheelInfo& info, const InstallTarget& target, const std::vector<Script>& scripts)
      : info_(info), site_packages_(target.site_packages()), scripts_(scripts) {
    headers_ = fmt::format("include/site/python{}/{}", target.python_minor, info.name);
  }

  Result<void> place(const archive::ZipEntry& entry) {
    TRY(check_type(entry));
    if (entry.is_folder) return {};
    if (starts_with_folder(entry.name, info_.dist_info) && is_ours(entry)) return {};
    const uint32_t mode = (entry.unix_mode & 0111) != 0 ? 0755 : 0644;
    if (!starts_with_folder(entry.name, info_.data)) {
      add(entry, fmt::format("{}/{}", site_packages_, entry.name), mode, false);
      return {};
    }
    return place_data(entry, entry.name.substr(info_.data.size() + 1), mode);
  }

  Layout finish() && { return std::move(layout_); }

 private:
  // The wheel format has no links. Other installers write them as files with the target's name in
  // them, which helps nobody; a real link could lead what is unpacked after it out of the folder.
  Result<void> check_type(const archive::ZipEntry& entry) const {
    const uint32_t type = entry.unix_mode & S_IFMT;
    const bool good = type == 0 || (entry.is_folder ? type == S_IFDIR : type == S_IFREG);
    if (good) return {};
    return Error(Code::invalid, "entry '{}' is a {}, want a {}", printable(entry.name),
                 S_ISLNK(type)   ? "symbolic link"
                 : S_ISDIR(type) ? "folder"
                 : S_ISREG(type) ? "file"
                                 : "special file",
                 entry.is_folder ? "folder" : "file");
  }

  // Files of the .dist-info folder that belong to the installer, not to the wheel.
  bool is_ours(const archive::ZipEntry& entry) {
    const std::string_view name = entry.name.substr(info_.dist_info.size() + 1);
    if (name == "RECORD") return true;
    if (name != "INSTALLER" && name != "REQUESTED" && name != "direct_url.json") return false;
    layout_.warnings.push_back(fmt::format("left out '{}', which only an installer writes", name));
    return true;
  }

  Result<void> place_data(const archive::ZipEntry& entry, std::string_view rest, uint32_t mode) {
    const size_t slash = rest.find('/');
    const std::string_view kind = rest.substr(0, slash);
    const std::string_view name =
        slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (name.empty())
      return Error(Code::invalid, "entry '{}' is data of no kind", printable(entry.name));
    if (kind == "purelib" || kind == "platlib") {
      add(entry, fmt::format("{}/{}", site_packages_, name), mode, false);
    } else if (kind == "headers") {
      add(entry, fmt::format("{}/{}", headers_, name), mode, false);
    } else if (kind == "scripts") {
      if (name.find('/') != std::string_view::npos)
        return Error(Code::invalid, "script '{}' is in a folder", printable(entry.name));
      return place_in_bin(entry, name, 0755, true);
    } else if (kind == "data") {
      return place_in_prefix(entry, name, mode);
    } else {
      return Error(Code::invalid, "entry '{}' is data of the kind '{}', want purelib, platlib, "
                   "headers, scripts or data", printable(entry.name), printable(kind));
    }
    return {};
  }

  Result<void> place_in_prefix(const archive::ZipEntry& entry, std::string_view name,
                               uint32_t mode) {
    if (starts_with_folder(name, "bin"))
      return place_in_bin(entry, name.substr(4), mode, false);
    // It is what makes the prefix an environment, and names the interpreter.
    if (to_lower(name) == "pyvenv.cfg")
      return Error(Code::invalid, "entry '{}' would replace the environment's own",
                   printable(entry.name));
    // In a virtual environment lib64 is a link to lib.
    if (starts_with_folder(name, "lib64"))
      add(entry, fmt::format("lib/{}", name.substr(6)), mode, false);
    else
      add(entry, std::string(name), mode, false);
    return {};
  }

  Result<void> place_in_bin(const archive::ZipEntry& entry, std::string_view name, uint32_t mode,
                            bool is_script) {
    if (is_reserved_script_name(name))
      return Error(Code::invalid, "entry '{}' would replace the environment's own",
                   printable(entry.name));
    if (name.starts_with("activate"))
      layout_.warnings.push_back(fmt::format("installs 'bin/{}', a name that environments use",
                                             printable(name)));
    const auto makes = [&](const Script& script) { return is_wrapper_of(name, script.name); };
    // An entry point makes this file; what the wheel brings was made for another installer.
    if (std::any_of(scripts_.begin(), scripts_.end(), makes)) return {};
    add(entry, fmt::format("bin/{}", name), mode, is_script);
    return {};
  }

  void add(const archive::ZipEntry& entry, std::string path, uint32_t mode, bool is_script) {
    layout_.files.push_back(
        {.source = &entry, .path = std::move(path), .mode = mode, .is_script = is_script});
  }

  const WheelInfo& info_;
  const std::string site_packages_;
  std::string headers_;
  const std::vector<Script>& scripts_;
  Layout layout_;
};

}  // namespace

Result<Layout> lay_out(const archive::ZipFile& zip, const WheelInfo& info,
                       const InstallTarget& target, const std::vector<Script>& scripts) {
  Planner planner(info, target, scripts);
  for (const archive::ZipEntry& entry : zip.entries()) TRY(planner.place(entry));
  return std::move(planner).finish();
}

std::string record_path(std::string_view path_below_prefix, const InstallTarget& target) {
  const std::string site_packages = target.site_packages();
  if (starts_with_folder(path_below_prefix, site_packages))
    return std::string(path_below_prefix.substr(site_packages.size() + 1));
  // From site-packages up to lib/pythonX.Y, lib, and the prefix, as os.path.relpath writes it.
  if (starts_with_folder(path_below_prefix, site_packages.substr(0, site_packages.rfind('/'))))
    return fmt::format("../{}", path_below_prefix.substr(site_packages.rfind('/') + 1));
  if (starts_with_folder(path_below_prefix, "lib"))
    return fmt::format("../../{}", path_below_prefix.substr(4));
  return fmt::format("../../../{}", path_below_prefix);
}

}  // namespace kist::python
