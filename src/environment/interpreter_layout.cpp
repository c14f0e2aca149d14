#include "environment/interpreter_layout.h"

#include <array>

#include "archive/tar_reader.h"
#include "base/text.h"
#include "os/files.h"

namespace kist::environment {
namespace {

// "python3.12" gives "3.12", "python3.13t" gives "3.13t"; everything else nothing.
std::string version_of(std::string_view name) {
  constexpr std::string_view kStart = "python3.";
  if (!name.starts_with(kStart)) return {};
  std::string_view rest = name.substr(kStart.size());
  if (rest.ends_with('t')) rest.remove_suffix(1);
  const bool good = !rest.empty() && rest.size() <= 2 &&
                    rest.find_first_not_of("0123456789") == std::string_view::npos;
  return good ? std::string(name.substr(6)) : std::string();
}

std::string above(std::string_view path, int levels) {
  for (int i = 0; i < levels; ++i) {
    const size_t slash = path.rfind('/');
    path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  }
  return std::string(path);
}

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

Error no_python() {
  return Error(Code::invalid, "there is no Python in it: want a folder with bin/python3.X and lib/python3.X/os.py")
      .hint("take an archive whose name ends in `install_only.tar.gz`");
}

}  // namespace

std::optional<std::string> InterpreterLayout::inside(std::string_view path) const {
  if (folder.empty()) return std::string(path);
  if (path == folder) return std::string();
  if (!is_below(path, folder)) return std::nullopt;
  return std::string(path.substr(folder.size() + 1));
}

std::string InterpreterLayout::whole(std::string_view inside) const {
  return folder.empty() ? std::string(inside) : fmt::format("{}/{}", printable(folder), inside);
}

std::string InterpreterLayout::header_path() const {
  return fmt::format("include/python{}/patchlevel.h", minor);
}

bool InterpreterLayout::is_left_out(std::string_view path) const {
  const std::string_view name = os::name_of(path);
  if (name == "__pycache__" || path.find("__pycache__/") != std::string_view::npos) return true;
  if (is_below(path, fmt::format("lib/python{}/site-packages", minor))) return true;
  if (name.starts_with("libpython") && name.ends_with(".a")) return true;
  return os::parent_of(path) == "bin" && (name.starts_with("pip") || name.starts_with("easy_install"));
}

void InterpreterLayoutFinder::add(std::string_view path) {
  const std::string_view name = os::name_of(path);
  if (name == "os.py") {
    // FOLDER/lib/python3.12/os.py
    const std::string library = above(path, 1);
    const std::string version = version_of(os::name_of(library));
    const std::string lib = above(path, 2);
    if (!version.empty() && os::name_of(lib) == "lib") libraries_[above(path, 3)].insert(version);
    return;
  }
  const std::string version = version_of(name);
  if (!version.empty() && os::name_of(above(path, 1)) == "bin") programs_[above(path, 2)].insert(version);
}

Result<InterpreterLayout> InterpreterLayoutFinder::finish() && {
  std::optional<InterpreterLayout> best;
  bool several = false;
  bool free_threaded = false;
  for (const auto& [folder, versions] : programs_) {
    for (const std::string& version : versions) {
      if (!libraries_[folder].contains(version)) continue;
      if (version.ends_with('t')) {
        free_threaded = true;
        continue;
      }
      // Whatever else is in it lies deeper: a copy for tests, a virtual environment.
      if (best && folder.size() > best->folder.size()) continue;
      several = best && folder.size() == best->folder.size();
      best = InterpreterLayout{folder, version};
    }
  }
  if (several) return Error(Code::invalid, "there are several Pythons in it, want one");
  if (best) return std::move(*best);
  if (!free_threaded) return no_python();
  return Error(Code::unsupported, "the Python in it is free-threaded, which kist does not support yet")
      .hint("take the build without `freethreaded` in its name");
}

std::optional<std::string> resolve_link(std::string_view path, std::string_view target) {
  if (target.empty() || target.starts_with('/')) return std::nullopt;
  std::string at = above(path, 1);
  for (const std::string_view part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (at.empty()) return std::nullopt;
      at = above(at, 1);
    } else {
      at += at.empty() ? std::string(part) : "/" + std::string(part);
    }
  }
  return at;
}

std::string version_in_header(std::string_view text) {
  for (const std::string_view line : lines(text)) {
    constexpr std::string_view kStart = "#define PY_VERSION";
    if (!line.starts_with(kStart)) continue;
    const auto parts = split(line.substr(kStart.size()), '"');
    if (parts.size() != 3 || !trim(parts[0]).empty()) continue;
    std::string_view version = parts[1];
    if (version.ends_with('+')) version.remove_suffix(1);
    const bool good = version.size() < 20 &&
                      version.find_first_not_of("0123456789.abrc") == std::string_view::npos;
    return good ? std::string(version) : std::string();
  }
  return {};
}

std::optional<std::string> openssl_folder(std::string_view elf) {
  constexpr std::string_view kStart = "OPENSSLDIR: \"";
  const size_t at = elf.find(kStart);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = elf.substr(at + kStart.size(), 1024);
  const size_t end = rest.find('"');
  if (end == std::string_view::npos || !rest.starts_with('/')) return std::nullopt;
  const auto path = archive::clean_tar_path(rest.substr(1, end - 1));
  if (!path || path->empty() || path->find_first_of(std::string_view("\0\n", 2)) != std::string::npos)
    return std::nullopt;
  // What the base has, and what a running container mounts over.
  constexpr std::array<std::string_view, 9> kOthers = {"etc", "usr/lib", "opt/kist", "opt/python", "proc",
                                                       "sys", "dev",     "run",      "tmp"};
  for (const std::string_view other : kOthers)
    if (*path == other || is_below(*path, other)) return std::nullopt;
  return *path;
}

}  // namespace kist::environment
