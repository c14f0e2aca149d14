// Where in an archive Python is, and what of it is taken. Pure; names and texts are hostile.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::environment {

struct InterpreterLayout {
  std::string folder;  // "python", "python/install"; empty: the archive's top.
  std::string minor;   // "3.12"

  /// A path of the archive, seen from the folder; empty optional: not below it.
  std::optional<std::string> inside(std::string_view path) const;
  /// The other way round, for messages.
  std::string whole(std::string_view inside) const;
  /// What an environment has no use for: byte-code, which is made anew, packages of the
  /// interpreter's own, which a virtual environment does not see, and what only links with Python.
  bool is_left_out(std::string_view inside) const;
  /// Of the header that has the whole version.
  std::string header_path() const;
};

/// Takes the paths of all entries, then says where Python is.
class InterpreterLayoutFinder {
 public:
  void add(std::string_view path);
  /// Errors: invalid (none, or several), unsupported (only free-threaded ones).
  Result<InterpreterLayout> finish() &&;

 private:
  std::map<std::string, std::set<std::string>> programs_;   // Folder to "3.12", "3.13t".
  std::map<std::string, std::set<std::string>> libraries_;
};

/// A link's target as a path below the folder that the link's path starts from; empty when it is
/// absolute, or leads out.
std::optional<std::string> resolve_link(std::string_view path, std::string_view target);

/// "3.12.7" of patchlevel.h; "3.13.0" when it says "3.13.0+". Empty when it says nothing.
std::string version_in_header(std::string_view text);

/// Where the OpenSSL in an ELF file looks for certificates, as a path of a tree, when that is a
/// place that the base does not have already.
std::optional<std::string> openssl_folder(std::string_view elf);

}  // namespace kist::environment
