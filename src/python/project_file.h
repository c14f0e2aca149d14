// kist.toml, or [tool.kist] in pyproject.toml: what a project says to kist alone. The keys are in
// docs/formats/kist-toml.md. Also pyproject.toml itself (pyproject_file.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "python/pylock.h"
#include "toml/toml.h"

namespace kist::python {

/// One [environment] or [environment.NAME], with what it inherits.
struct EnvironmentSettings {
  std::string name = "default";
  std::string python;                              // "3.11"; empty: not said.
  std::optional<std::vector<std::string>> inputs;  // Files; not given: detected.
  std::vector<std::string> packages;               // Requirements, in addition to the inputs.
  std::vector<std::string> system;                 // Debian packages.
  std::string base;                    // "debian:bookworm", an OCI reference; empty: not said.
  std::vector<std::string> platforms;  // "linux/amd64"; empty: this machine's.
  std::vector<std::string> extras;     // Of the project (pyproject.toml).
  std::vector<std::string> groups;     // PEP 735, in addition to the default groups.
  std::optional<bool> default_groups;  // Whether the default groups are in; not given: yes.
  std::string gpu;                     // "cu126", "cpu" …: uv's --torch-backend.
  /// Python as an archive, by address and hash: of a platform, or with "" for its name, of all.
  std::map<std::string, LockedInterpreter> interpreters;
  std::string image_python;  // "/opt/conda/bin/python": which of the base image's; empty: the one on its PATH.

  /// Null when the platform's environment has the base's own Python.
  const LockedInterpreter* interpreter_for(const std::string& platform) const;
};

/// Whether a base is the name of an image: all that is not "debian:SUITE". With a digest behind,
/// "debian:…@sha256:…" is an image too.
bool is_image_base(std::string_view base);

struct MountSetting {
  std::string source;  // As written: "~/data", "./x", or absolute.
  std::string target;  // Absolute.
  bool read_only = false;
  bool operator==(const MountSetting&) const = default;
};

struct PortSetting {
  uint16_t host = 0, container = 0;
  bool operator==(const PortSetting&) const = default;
};

struct RunSettings {
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<MountSetting> mounts;
  std::vector<PortSetting> ports;
  std::optional<uint64_t> memory_bytes;
  std::string network;  // "host", "none" or a name; empty: not said.
};

struct TaskSettings {
  std::string name;
  std::string shell;  // For `sh -c`; empty when arguments are given.
  std::vector<std::string> arguments;
};

struct ImageSettings {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> include;  // Paths; empty: all that is not ignored.
  std::string user;                  // "10001", "10001:10001"; empty: not said.
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<std::string> ports;    // "8888/tcp", "53/udp"
  std::vector<std::pair<std::string, std::string>> labels;
  bool is_minimal = false;           // Without a shell.
};

struct ProjectFile {
  std::map<std::string, EnvironmentSettings> environments;  // Always with "default".
  RunSettings run;
  std::vector<TaskSettings> tasks;  // In the order of the file.
  ImageSettings image;

  /// Errors: not_found (says what there is, and the nearest).
  Result<EnvironmentSettings> environment(std::string_view name) const;
  const TaskSettings* task(std::string_view name) const;
};

/// Errors: invalid ("kist.toml:LINE:COLUMN: …"; unknown keys come with the nearest known one).
Result<ProjectFile> parse_project_file(std::string_view text, std::string_view file = "kist.toml");
/// The same from a table that was read elsewhere: [tool.kist].
Result<ProjectFile> parse_project_table(toml::Fields fields);

/// "8g", "512m", "1.5GiB", "1000": bytes. Units are powers of 1024, as with Docker.
Result<uint64_t> parse_memory(std::string_view text);
/// "SOURCE:TARGET[:ro|rw]". Errors: invalid.
Result<MountSetting> parse_mount(std::string_view text);
/// "8888", "8080:80". Errors: invalid.
Result<PortSetting> parse_port(std::string_view text);

}  // namespace kist::python
