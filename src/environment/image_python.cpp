// What is known of a Python without asking it: its minor version by its name or by its library's folder,
// the rest of the version by a header or by the text that it gives as sys.version, its C library by what it
// is linked with. Distributions differ in where these lie; each place here is one that an image was seen with.

#include "environment/image_python.h"

#include <elf.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "debian/elf.h"
#include "environment/interpreter_layout.h"
#include "os/files.h"
#include "python/pylock.h"
#include "store/tree_links.h"

namespace kist::environment {
namespace {

using store::Entry;
using store::Tree;

constexpr uint64_t kMaxProgramBytes = 256u << 20;
constexpr size_t kMaxVersionBytes = 16;
constexpr const char* kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string triplet_of(const std::string& platform) {
  return platform == "linux/arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
}

std::string musl_name(const std::string& platform) {
  return platform == "linux/arm64" ? "ld-musl-aarch64.so.1" : "ld-musl-x86_64.so.1";
}

std::string platform_of_machine(uint16_t machine) {
  if (machine == EM_X86_64) return "linux/amd64";
  if (machine == EM_AARCH64) return "linux/arm64";
  return fmt::format("a machine that kist does not know (ELF number {})", machine);
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "3.12" of "python3.12", "3.13t" of "python3.13t"; empty for other names.
std::string minor_in_name(std::string_view name) {
  constexpr std::string_view kStart = "python3.";
  if (!name.starts_with(kStart)) return {};
  std::string_view digits = name.substr(kStart.size());
  if (digits.ends_with('t')) digits.remove_suffix(1);
  return is_digits(digits) && digits.size() <= 2 ? std::string(name.substr(6)) : std::string();
}

Result<std::string> read_bounded(const ReadEntry& read, const Entry& entry) {
  if (entry.size_bytes > kMaxProgramBytes)
    return Error(Code::invalid, "'/{}' has {}, want at most {}", printable(entry.path),
                 human_bytes(entry.size_bytes), human_bytes(kMaxProgramBytes));
  return read(entry);
}

// The text between two NULs that starts with "3.12." and goes on like a version.
std::string version_text(std::string_view bytes, const std::string& minor) {
  const std::string start = std::string(1, '\0') + minor + ".";
  for (size_t at = bytes.find(start); at != std::string_view::npos; at = bytes.find(start, at + 1)) {
    const std::string_view rest = bytes.substr(at + 1, kMaxVersionBytes);
    std::string_view text = rest.substr(0, rest.find('\0'));
    if (text.size() == rest.size()) continue;  // No end.
    if (text.ends_with('+')) text.remove_suffix(1);
    const std::string_view micro = text.substr(start.size() - 1);
    const size_t end = std::min(micro.find_first_not_of("0123456789"), micro.size());
    const std::string_view suffix = micro.substr(end);
    if (end == 0) continue;
    if (suffix.empty()) return std::string(text);
    const bool is_early = suffix.starts_with("rc") || suffix.starts_with('a') || suffix.starts_with('b');
    if (is_early && is_digits(suffix.substr(suffix.starts_with("rc") ? 2 : 1))) return std::string(text);
  }
  return {};
}

class Finder {
 public:
  explicit Finder(const ImagePythonRequest& request) : request_(request) {}

  Result<ImagePython> run() {
    if (!request_.named.empty()) return named();
    const std::string path = request_.path.empty() ? kUsualPath : request_.path;
    std::vector<std::string> names = {"python3", "python"};
    const auto wanted = split(request_.wanted, '.');
    if (wanted.size() > 1) names.insert(names.begin(), fmt::format("python{}.{}", wanted[0], wanted[1]));
    for (const std::string& name : names)
      for (const std::string_view folder : split(path, ':')) {
        if (!folder.starts_with('/')) continue;
        const Entry* const program = program_at(os::join(std::string(folder), name));
        if (program == nullptr) continue;
        auto found = examine(*program);
        if (found || found.error().code() != Code::unsupported) return found;
        // Something better may come later on the PATH; else this is why there is none.
        if (!refusal_) refusal_ = std::move(found).error();
      }
    if (refusal_) return std::move(*refusal_);
    return Error(Code::not_found, "there is no python3 on its PATH ({})", printable(path));
  }

 private:
  Result<ImagePython> named() {
    const Entry* const program = program_at(request_.named);
    if (program == nullptr)
      return Error(Code::not_found, "there is no program '{}' in it", printable(request_.named));
    return examine(*program);
  }

  const Entry* program_at(const std::string& path) const {
    const Entry* const entry = store::follow(request_.tree, path);
    const bool is_program = entry != nullptr && entry->kind == store::Kind::file && (entry->mode & 0111) != 0;
    return is_program ? entry : nullptr;
  }

  Result<ImagePython> examine(const Entry& program) {
    const std::string path = "/" + program.path;
    const std::string_view name = os::name_of(path);
    // It is written into the lock, and into files that have no way to quote it.
    if (!python::is_program_path(path))
      return refuse(path, "cannot be named in a lock: it lies in no folder, or its path has a blank or a byte beyond ASCII");
    if (name.starts_with("pypy")) return refuse(path, "is PyPy, and kist's environments are of CPython");
    const std::string bytes = TRY(read_bounded(request_.read, program));
    const auto elf = debian::read_elf(bytes);
    if (!elf) return refuse(path, "is a script, and no interpreter itself");
    if (platform_of_machine(elf->machine) != request_.platform)
      return Error(Code::invalid, "'{}' is for {}, want {}", printable(path), platform_of_machine(elf->machine),
                   request_.platform);
    ImagePython out{.program = path, .version = {}, .libc = {}};
    const std::string home = os::parent_of(os::parent_of(path));
    const std::string minor = TRY(minor_of(path, home));
    TRY(check_access(program));
    out.version = TRY(version_of(home, minor, bytes));
    out.libc = TRY(libc_of(path, *elf));
    return out;
  }

  static Error refuse(const std::string& path, std::string_view why) {
    return Error(Code::unsupported, "'{}' {}", printable(path), why);
  }

  // By its name; else its library is the only one beside it.
  Result<std::string> minor_of(const std::string& path, const std::string& home) const {
    std::vector<std::string> minors;
    if (const std::string minor = minor_in_name(os::name_of(path)); !minor.empty()) minors = {minor};
    for (int minor = 8; minors.empty() && minor < 100; ++minor)
      if (has_library(home, fmt::format("3.{}", minor))) minors.push_back(fmt::format("3.{}", minor));
    if (minors.size() == 1 && minors[0].ends_with('t'))
      return refuse(path, "is free-threaded, which kist does not support yet");
    if (minors.size() == 1 && has_library(home, minors[0])) return minors[0];
    return refuse(path, fmt::format("has no standard library beside it, want {}/lib/python{}/os.py", home,
                                    minors.empty() ? "3.X" : minors[0]));
  }

  bool has_library(const std::string& home, const std::string& minor) const {
    return store::follow(request_.tree, "/" + library_folder(request_.tree, home, minor) + "/os.py") != nullptr;
  }

  // An image's program is not root, and neither is who develops.
  Result<void> check_access(const Entry& program) const {
    for (std::string path = program.path; path != "." && !path.empty(); path = os::parent_of(path)) {
      const Entry* const entry = request_.tree.find(path);
      const uint32_t wanted = entry->kind == store::Kind::folder ? 0001 : 0005;
      if ((entry->mode & wanted) == wanted) continue;
      return refuse("/" + program.path, fmt::format("is for its owner alone: '/{}' has mode {:o}", printable(path),
                                                     entry->mode));
    }
    return {};
  }

  Result<std::string> version_of(const std::string& home, const std::string& minor, std::string_view program) {
    const Entry* const header =
        store::follow(request_.tree, fmt::format("{}/include/python{}/patchlevel.h", home, minor));
    if (header != nullptr && header->kind == store::Kind::file) {
      const std::string text = TRY(read_bounded(request_.read, *header));
      if (const std::string version = version_in_header(text); version.starts_with(minor + ".")) return version;
    }
    if (const std::string version = version_text(program, minor); !version.empty()) return version;
    const std::string triplet = "lib/" + triplet_of(request_.platform);
    for (const std::string& folder : {std::string("lib"), std::string("lib64"), triplet}) {
      const Entry* const library =
          store::follow(request_.tree, fmt::format("{}/{}/libpython{}.so.1.0", home, folder, minor));
      if (library == nullptr || library->kind != store::Kind::file) continue;
      const std::string bytes = TRY(read_bounded(request_.read, *library));
      if (const std::string version = version_text(bytes, minor); !version.empty()) return version;
    }
    return minor;
  }

  Result<std::string> libc_of(const std::string& path, const debian::ElfFacts& elf) const {
    const bool is_linked = std::any_of(elf.needed.begin(), elf.needed.end(), [](const std::string& name) {
      return name == "libc.so.6" || name.starts_with("libc.musl-");
    });
    if (!is_linked) return refuse(path, "is linked with no C library, so no wheel with compiled code could be used");
    return find_image_libc(request_.tree, request_.read, request_.platform);
  }

  const ImagePythonRequest& request_;
  std::optional<Error> refusal_;
};

}  // namespace

Result<ImagePython> find_image_python(const ImagePythonRequest& request) { return Finder(request).run(); }

Result<std::string> find_image_libc(const Tree& tree, const ReadEntry& read, const std::string& platform) {
  const std::string triplet = triplet_of(platform);
  for (const std::string& folder : {"lib/" + triplet, "usr/lib/" + triplet, std::string("lib64"),
                                   std::string("usr/lib64"), std::string("lib"), std::string("usr/lib")}) {
    const Entry* const library = store::follow(tree, folder + "/libc.so.6");
    if (library == nullptr || library->kind != store::Kind::file) continue;
    const std::string bytes = TRY(read_bounded(read, *library));
    if (const std::string version = glibc_version(bytes); !version.empty()) return "glibc " + version;
  }
  const Entry* const musl = store::follow(tree, "lib/" + musl_name(platform));
  if (musl != nullptr && musl->kind == store::Kind::file) {
    const std::string bytes = TRY(read_bounded(read, *musl));
    if (const std::string version = musl_version(bytes); !version.empty()) return "musl " + version;
  }
  return Error(Code::not_found, "there is no C library in it, neither glibc nor musl");
}

std::string library_folder(const Tree& tree, const std::string& home, const std::string& minor) {
  const std::string below = home.starts_with('/') ? home.substr(1) : home;
  const auto folder_in = [&](const char* lib) {
    return below.empty() ? fmt::format("{}/python{}", lib, minor) : fmt::format("{}/{}/python{}", below, lib, minor);
  };
  const std::string other = folder_in("lib64");
  const std::string usual = folder_in("lib");
  const bool is_other = tree.find(usual + "/os.py") == nullptr && tree.find(other + "/os.py") != nullptr;
  return is_other ? other : usual;
}

// "GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36."
std::string glibc_version(std::string_view bytes) {
  const size_t at = bytes.find("GNU C Library (");
  if (at == std::string_view::npos) return {};
  const std::string_view line = bytes.substr(at, 256);
  constexpr std::string_view kStart = "release version 2.";
  const size_t version = line.find(kStart);
  if (version == std::string_view::npos) return {};
  const std::string_view rest = line.substr(version + kStart.size());
  const std::string_view minor = rest.substr(0, rest.find_first_not_of("0123456789"));
  return is_digits(minor) && minor.size() <= 2 ? fmt::format("2.{}", minor) : std::string();
}

// "musl libc (x86_64)\nVersion %s\n", and the version elsewhere, as a text of its own: "1.2.4", or
// "1.2.4_git20230717" of a distribution.
std::string musl_version(std::string_view bytes) {
  if (bytes.find("musl libc") == std::string_view::npos) return {};
  const std::string start("\0" "1.", 3);
  for (size_t at = bytes.find(start); at != std::string_view::npos; at = bytes.find(start, at + 1)) {
    const std::string_view rest = bytes.substr(at + start.size(), 32);
    const std::string_view text = rest.substr(0, rest.find('\0'));
    const size_t dot = text.find('.');
    if (text.size() == rest.size() || dot == std::string_view::npos || dot > 1) continue;
    const std::string_view micro = text.substr(dot + 1);
    if (!is_digits(text.substr(0, dot)) || !is_digits(micro.substr(0, micro.find_first_of("_-")))) continue;
    return fmt::format("1.{}", text.substr(0, dot));
  }
  return {};
}

}  // namespace kist::environment
