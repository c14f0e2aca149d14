// A lock: everything that an environment is made of, pinned by hash. On disk it is a PEP 751 file;
// what PEP 751 has no field for stands under [tool.kist]. docs/formats/lock.md has the details.
//
//   const python::Lock lock = TRY(python::parse_lock(text, "pylock.kist.toml", warnings));
//   const std::string text = python::write_lock(lock);
//   const auto packages = TRY(python::select(lock, target));     // pylock_select.h
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"

namespace kist::python {

/// A file of a package: a wheel, an sdist or an archive.
struct LockedFile {
  std::string name;  // The file's name, decoded; never empty, safe as a file name.
  std::string url;   // Without credentials. Exactly one of url and path is given.
  std::string path;  // As written: relative to the lock's folder, or absolute. Always '/'.
  std::optional<uint64_t> size_bytes;
  std::map<std::string, std::string> hashes;  // "sha256" -> lower-case hex.
  std::string upload_time;                    // RFC 3339, as written; often empty.
  std::string subdirectory;                   // Archives only.

  /// Empty when the lock has only other algorithms.
  std::optional<oci::Digest> sha256() const;
  bool operator==(const LockedFile&) const = default;
};

struct LockedVcs {
  std::string type;  // "git" …
  std::string url, path;
  std::string requested_revision;  // What was asked for: a branch, a tag.
  std::string commit_id;           // What it was.
  std::string subdirectory;
  bool operator==(const LockedVcs&) const = default;
};

/// A folder on this machine: the project itself, or a local dependency.
struct LockedDirectory {
  std::string path;  // Relative to the lock's folder, or absolute; "." is the project.
  bool editable = false;
  std::string subdirectory;
  bool operator==(const LockedDirectory&) const = default;
};

/// One [[packages]] entry. Of vcs, directory, archive and (sdist and wheels) exactly one is given.
struct LockedPackage {
  std::string name;     // Normalized (PEP 503).
  std::string version;  // Empty: only known after a build (folders).
  std::string marker;   // Empty: always.
  std::string requires_python;
  std::string index;  // Base address of the index it came from, without credentials.
  std::optional<LockedVcs> vcs;
  std::optional<LockedDirectory> directory;
  std::optional<LockedFile> archive;
  std::optional<LockedFile> sdist;
  std::vector<LockedFile> wheels;
  bool operator==(const LockedPackage&) const = default;
};

struct LockedDebianPackage {
  std::string name, version, architecture;  // "libc6", "2.36-9+deb12u10", "amd64"
  std::string suite, component;             // "bookworm", "bookworm-security" …; "main"
  std::string path;                         // "pool/main/g/glibc/libc6_….deb", below any mirror.
  uint64_t size_bytes = 0;
  oci::Digest sha256{oci::Digest::Bytes{}};
  /// Only in the container that runs maintainer scripts, if any must run; not in the environment.
  bool tool = false;
  bool operator==(const LockedDebianPackage&) const = default;
};

/// An interpreter that does not come from the base: an archive given in kist.toml.
struct LockedInterpreter {
  std::string url;   // Without credentials. Exactly one of url and path is given.
  std::string path;  // As written: relative to the lock's folder (kist.toml's), or absolute.
  std::optional<uint64_t> size_bytes;
  oci::Digest sha256{oci::Digest::Bytes{}};
  bool operator==(const LockedInterpreter&) const = default;
};

/// An OCI image that is the base, and what of it the environment stands on.
struct LockedImage {
  oci::Digest digest{oci::Digest::Bytes{}};  // Of the manifest for the lock's platform.
  std::string python;  // "/usr/local/bin/python3.12", without links; empty: an interpreter of the project's own.
  std::string libc;    // "glibc 2.36", "musl 1.2"
  bool operator==(const LockedImage&) const = default;
};

/// One wheel of those that a package without a wheel is built with.
struct LockedBuildRequirement {
  std::string package;        // What is built, normalized.
  std::string name, version;  // What it needs for that.
  oci::Digest sha256{oci::Digest::Bytes{}};
  bool operator==(const LockedBuildRequirement&) const = default;
};

/// What [tool.kist] holds. Only in locks that kist wrote.
struct KistSection {
  static constexpr int kVersion = 2;  // Of this section's format; a later one is refused.

  uint32_t recipe = 0;                  // Version of the rules that make trees and layers from it.
  std::string environment = "default";  // Name in kist.toml.
  std::string platform;                 // "linux/amd64"
  std::string python;                   // "3.11" or "3.11.2": what is in the base.
  std::string base;                     // "debian:bookworm", or an image's name, as kist.toml has it.
  std::string inputs;                   // "sha256:…" over the inputs' content (inputs.h).
  std::string source;                   // What the inputs were: "requirements.txt", for people.
  std::string gpu;                      // "cu126" …; empty: none.
  std::vector<std::string> requested;   // Names that the project asks for itself, normalized.
  std::vector<std::string> system;      // Debian packages that the project asks for.
  std::optional<LockedImage> image;     // When the base is one.
  std::optional<LockedInterpreter> interpreter;
  std::vector<LockedDebianPackage> debian;
  /// Packages of which everything that they are built with is locked, in the two that follow.
  std::vector<std::string> builds;
  std::vector<LockedBuildRequirement> build_requirements;
  /// In the container of a build only. One of `debian` that is here too counts as it is here.
  std::vector<LockedDebianPackage> build_debian;
  bool operator==(const KistSection&) const = default;
};

struct Lock {
  std::vector<std::string> environments;  // Markers; empty: any.
  std::string requires_python;
  std::vector<std::string> extras, dependency_groups, default_groups;
  std::string created_by = "kist";
  std::vector<LockedPackage> packages;
  std::optional<KistSection> kist;
  bool operator==(const Lock&) const = default;
};

/// Reads any PEP 751 file. `file` is for messages. `warnings` gets a line for what is odd but
/// harmless (a later minor version). URLs lose their credentials, names are normalized, hashes
/// lower-cased; unknown keys are ignored, as the PEP asks for, except under [tool.kist].
///
/// Errors: invalid (file, line, column, got and wanted), unsupported (another major lock-version,
/// or [tool.kist] of a later kist).
Result<Lock> parse_lock(std::string_view text, std::string_view file,
                        std::vector<std::string>& warnings);

/// The same lock gives the same bytes: packages sorted by name (then version, marker), a block per
/// package, a line per wheel and per Debian package. Always ends with a newline.
std::string write_lock(const Lock& lock);

/// "pylock.kist.toml"; with an environment but "default", "pylock.kist-gpu.toml"; with a platform
/// that is not the environment's first, "pylock.kist@linux-arm64.toml".
std::string lock_file_name(std::string_view environment, std::string_view other_platform = {});
/// Of a name that lock_file_name() makes: the environment. Empty for any other name.
std::optional<std::string> environment_of_lock(std::string_view file_name);

/// An absolute path of a program below some folder, without "." and ".." and odd bytes.
bool is_program_path(std::string_view path);

/// PEP 503: lower-case, runs of "-", "_" and "." become one "-".
std::string normalize_name(std::string_view name);
/// A valid name by PEP 508: letters, digits, and inside ".", "_", "-".
bool is_valid_name(std::string_view name);

}  // namespace kist::python
