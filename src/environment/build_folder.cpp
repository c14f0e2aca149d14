#include "environment/build_folder.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "os/files.h"

namespace kist::environment {
namespace {

constexpr size_t kMaxFiles = 100'000;
constexpr size_t kMaxDepth = 64;

// Not sources: what tools leave behind, and what each build makes anew.
constexpr std::array<std::string_view, 12> kNoSources = {
    ".git", ".hg", ".venv", "venv", "__pycache__", "node_modules", ".tox", ".nox",
    ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"};

bool is_source(std::string_view name) {
  return std::find(kNoSources.begin(), kNoSources.end(), name) == kNoSources.end() &&
         !name.ends_with(".pyc");
}

class Walk {
 public:
  Result<void> folder(const std::string& path, const std::string& shown, size_t depth) {
    if (depth > kMaxDepth)
      return Error(Code::unsupported, "'{}' lies more than {} folders deep", printable(path), kMaxDepth);
    const auto names = TRY(os::list_folder(path));
    for (const std::string& name : names) {
      if (!is_source(name)) continue;
      TRY(entry(os::join(path, name), os::join(shown, name), depth));
    }
    return {};
  }
  std::string finish() { return hash_.finish().hex(); }

 private:
  Result<void> entry(const std::string& path, const std::string& shown, size_t depth) {
    if (++count_ > kMaxFiles)
      return Error(Code::unsupported, "there are more than {} files in it", kMaxFiles)
          .hint("depend on the folder that has only the package");
    struct stat st = {};
    if (::lstat(path.c_str(), &st) != 0) return Error::from_errno(errno, "look at '{}'", printable(path));
    if (S_ISDIR(st.st_mode)) return folder(path, shown, depth + 1);
    if (S_ISLNK(st.st_mode)) {
      const std::string target = TRY(os::read_link(path));
      add('l', shown, target);
    } else if (S_ISREG(st.st_mode)) {
      const std::string bytes = TRY(os::read_file(path));
      add((st.st_mode & 0111) != 0 ? 'x' : 'f', shown, oci::Sha256::of(bytes).hex());
    }
    return {};
  }

  void add(char kind, const std::string& shown, const std::string& content) {
    hash_.update(fmt::format("{} {} {}:{}\n", kind, shown.size(), shown, content));
  }

  oci::Sha256 hash_;
  size_t count_ = 0;
};

bool is_native(std::string_view name) {
  for (const std::string_view ending : {".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90", ".for"})
    if (name.ends_with(ending)) return true;
  return name == "CMakeLists.txt" || name == "meson.build";
}

Result<bool> has_native(const std::string& folder, size_t depth, size_t& count) {
  const auto names = TRY(os::list_folder(folder));
  for (const std::string& name : names) {
    if (!is_source(name) || ++count > kMaxFiles) continue;
    if (is_native(name)) return true;
    const std::string path = os::join(folder, name);
    struct stat st = {};
    if (depth >= kMaxDepth || ::lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) continue;
    const bool found = TRY(has_native(path, depth + 1, count));
    if (found) return true;
  }
  return false;
}

}  // namespace

Result<bool> has_native_sources(const std::string& folder) {
  size_t count = 0;
  return has_native(folder, 0, count);
}

std::vector<std::string> build_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const char* name : {"pyproject.toml", "setup.py", "setup.cfg"})
    files.push_back(os::join(folder, name));
  return files;
}

Result<std::string> digest_of_sources(const std::string& folder) {
  Walk walk;
  TRY(walk.folder(folder, "", 0));
  return walk.finish();
}

Result<std::string> digest_of_build_files(const std::string& folder) {
  oci::Sha256 hash;
  for (const std::string& path : build_files(folder)) {
    const auto text = os::read_file(path, 16u << 20);
    if (!text && text.error().code() != Code::not_found) return text.error();
    hash.update(text ? "there " + oci::Sha256::of(*text).hex() : std::string("absent"));
    hash.update("\n");
  }
  return hash.finish().hex();
}

}  // namespace kist::environment
