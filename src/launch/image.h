// The ready image file: all that is read to start a container of an image. It says that the image is
// in the store, whole and durable, where its root is, and what its configuration asks for at run.
//
//   const auto image = launch::find_image(host.kist_home, "busybox");
//   os::Fd lease = image ? launch::hold_lease(*image) : os::Fd();
//   if (!lease.is_open()) …                  // kist-engine makes the root anew, or says what is wrong
//
// $KIST_HOME/images/<key of the name>.ready, and the same by id and by digest.
// docs/formats/image-ready.md describes the bytes. Needs libc and base/ only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/files.h"

namespace kist::launch {

/// As in an image's configuration; times in nanoseconds, 0: the runtime's default.
struct Healthcheck {
  std::vector<std::string> test;  // {"NONE"}, {"CMD", args…}, {"CMD-SHELL", command}; empty: none.
  int64_t interval_ns = 0;
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t start_interval_ns = 0;
  int64_t retries = 0;
  bool operator==(const Healthcheck&) const = default;
};

struct ReadyImage {
  std::string name;    // "busybox:latest", "registry.example:5000/team/tool:1.2"; empty by id.
  std::string id;      // "sha256:…", the digest of the configuration.
  std::string digest;  // "sha256:…", of the manifest.
  std::string os;            // "linux"
  std::string architecture;  // "amd64", as OCI spells it.

  std::string tree;        // "sha256:…", the merged tree: what containers/ids/<id>/roots must list.
  std::string root_lease;  // A file to hold flock(SH) on while the root is in use.
  std::string erofs_image; // runtime::RootSource's form A, or empty
  std::string objects;
  std::vector<std::string> lowers;  // or form B.

  std::vector<std::string> env;  // "NAME=value"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string user;  // "", "name", "uid", "name:group", "uid:gid"
  std::string working_dir;
  std::vector<std::string> exposed_ports;  // "80/tcp"
  std::vector<std::string> volumes;        // "/data"
  std::vector<std::pair<std::string, std::string>> labels;
  std::string stop_signal;         // "SIGTERM", "15"; empty: the default.
  std::vector<std::string> shell;  // Of shell forms; empty: /bin/sh -c.
  Healthcheck healthcheck;

  bool operator==(const ReadyImage&) const = default;
};

/// "busybox" as names of images are kept: "busybox:latest". By text alone; does not check.
std::string image_name(std::string_view text);
/// Below `kist_home`: where the ready file of a name, as image_name() gives it, lies.
std::string image_ready_path(std::string_view kist_home, std::string_view name);
/// The same by the 64 hex digits of an id, and of a manifest's digest.
std::string image_id_path(std::string_view kist_home, std::string_view id_hex);
std::string image_digest_path(std::string_view kist_home, std::string_view digest_hex);

std::string encode(const ReadyImage& image);
/// Errors: corrupt (the caller makes a new one).
Result<ReadyImage> decode_image(std::string_view text);

/// The image that `text` means: a name with or without tag ("busybox", which is also looked for as
/// "localhost/busybox"), "name@sha256:…", an id or manifest digest "sha256:…", or the first digits
/// of exactly one id. A name wins over an id. Empty when there is none, when it is ambiguous, or when
/// an odd file is in the way: all that is the engine's to explain.
std::optional<ReadyImage> find_image(std::string_view kist_home, std::string_view text);

/// Keeps gc from removing the root while the descriptor, or a copy of it, is open. Not open when the
/// root is gone or going. Never waits.
os::Fd hold_lease(const ReadyImage& image);

}  // namespace kist::launch
