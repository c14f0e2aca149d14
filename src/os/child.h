// Other programs: run them without a shell, in bounded memory.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "os/fd.h"

namespace kist::os {

struct Command {
  std::vector<std::string> args;      // args[0] is a path, or a name to look up on PATH.
  std::vector<std::string> env;       // "NAME=value"; the child gets exactly these.
  std::string working_dir;            // Empty: ours.
  std::string input;                  // Given on stdin; stdin is empty otherwise.
  size_t output_limit = 64u << 20;    // Of stdout and of stderr each, in bytes.
};

struct Output {
  int status = 0;  // Exit status, or 128 + signal.
  std::string out;
  std::string err;
};

/// Runs to the end and collects both streams. The child dies with us (PR_SET_PDEATHSIG).
/// Errors: not_found / denied (cannot be executed), invalid (more output than the limit).
Result<Output> run(const Command& command);

/// Our own environment, as "NAME=value".
std::vector<std::string> current_env();

}  // namespace kist::os
