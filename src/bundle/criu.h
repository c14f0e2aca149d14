// What checkpoint.cpp and restore.cpp share: how CRIU is called, and what is kept beside its images.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bundle/checkpoint.h"

namespace kist::bundle {

/// What came from outside when it was written.
struct Externals {
  std::vector<std::string> mounts;   // Where they are in the container.
  std::vector<std::string> streams;  // 0, 1 and 2 as CRIU names them; empty: it needs no help.
  std::string network;               // A joined network namespace: "net[INODE]:NAME" without the inode.
};

std::string externals_text(const Externals& externals);
Result<Externals> parse_externals(std::string_view text);
constexpr const char* kExternalsFile = "kist.json";

/// One line of /proc/PID/mountinfo.
struct SeenMount {
  uint64_t id = 0;
  std::string device;  // "254:0"
  std::string root;
  std::string at;
  std::string type;
};
std::vector<SeenMount> parse_mounts(std::string_view mountinfo);
/// Those that CRIU cannot make anew by itself: of another kind than the ones it knows, or seen by the
/// host too.
std::vector<std::string> external_mounts(const std::vector<SeenMount>& inside, const std::vector<SeenMount>& host);

/// Errors: unsupported when there is none, or it is too old; denied when we are not root.
Result<void> check_criu(const std::string& program);
/// Whether the kernel can do this for it, by CRIU's name of it. Errors: unsupported.
Result<void> check_criu_feature(const std::string& program, const char* feature);
/// The work folder, made.
Result<std::string> work_folder(const CriuOptions& options);
/// The command line up to what only one direction knows.
std::vector<std::string> criu_command(const char* verb, const CriuOptions& options, const std::string& work,
                                      const std::string& log);
/// Why it failed, from the end of its log.
Error criu_failed(const char* verb, const std::string& log);

}  // namespace kist::bundle
