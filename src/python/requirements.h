// Requirements: one of them (PEP 508), and whole requirements.txt files with all that pip reads in
// them. What they resolve to is uv's business; this is for knowing which files an environment
// depends on, what lies on this machine, whether hashes are asked for, and for saying precisely
// what is wrong.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "python/inputs_files.h"
#include "python/pylock.h"
#include "python/tags.h"

namespace kist::python {

struct Requirement {
  enum class Kind { index, url, vcs, path };
  Kind kind = Kind::index;
  std::string text;  // As written, without options and comments.
  std::string name;  // Normalized; empty when only an address or a path was given.
  std::vector<std::string> extras;
  std::string specifiers;  // ">=2,<3"
  std::string address;     // url, vcs: as written, may hold credentials. path: the path.
  std::string marker;
  bool editable = false;
  std::vector<std::string> hashes;  // "sha256:…", lower-case.
  std::string file;                 // Where it stood; empty: not in a file.
  uint32_t line = 0;
};

/// One requirement: "requests[socks]>=2; python_version < '3.9'", "x @ https://…",
/// "./folder[extra]", "git+https://…". Errors: invalid (got, offset, wanted).
Result<Requirement> parse_requirement(std::string_view text);

/// What a requirements.txt and the files that it includes say.
struct Requirements {
  std::vector<Requirement> requirements, constraints;
  std::vector<std::string> files;         // Every file read, in order, relative to the project.
  std::vector<std::string> remote_files;  // -r https://…: read by uv alone.
  std::vector<std::string> find_links;    // Local folders, relative to the project.
  std::vector<std::string> variables;     // NAMEs of ${NAME} that were set.
  bool require_hashes = false;            // Asked for, or some requirement has hashes.
};

/// Reads `path` and what it includes. Paths are relative to the project, as is what comes back.
/// `variables`: for ${NAME}; one that is not set stays as written, as with pip.
///
/// Errors: not_found (a file; says who asked for it), invalid ("FILE:LINE: …, got, wanted"; a file
/// that includes itself; too large, too many).
Result<Requirements> read_requirements(const std::string& path, const ProjectFiles& files,
                                       const std::map<std::string, std::string>& variables);

/// The same file as pip understands it, for tools that read less of the format: UTF-8 without a
/// mark, "\n", one line a line, no comments, and variables replaced but for those in addresses and
/// options, which may be secrets. Errors: invalid (neither UTF-8 nor UTF-16).
Result<std::string> plain_requirements(std::string bytes, const std::string& path,
                                       const std::map<std::string, std::string>& variables = {});

/// The names (or, without a name, the texts) that are asked for on the target, sorted, each once.
Result<std::vector<std::string>> requested_names(const std::vector<Requirement>& requirements,
                                                 const Target& target);

/// With hashes in the requirements, only files with one of them may be installed, and every package
/// must have one; uv's resolution does not look at them. Takes the other files out of the lock.
/// Errors: invalid (no hash for a package; no file of it has one of the hashes).
Result<void> apply_hashes(const Requirements& requirements, const Target& target, Lock& lock);

}  // namespace kist::python
