// Steps that must be executed (resolving, building a source distribution, byte-compiling, a
// maintainer script) run here: in a container, with their output captured and bounded.
#pragma once

#include <string>
#include <vector>

#include "os/files.h"
#include "runtime/container.h"

namespace kist::environment {

struct Step {
  std::string name;  // For messages: "building cython-thing 1.0".
  runtime::RootSource root;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::vector<runtime::Mount> mounts;
  std::string working_dir = "/";
  std::string input;         // Given on stdin.
  std::string upper_folder;  // Kept and harvested by the caller; empty: dies with the step.
  bool network = false;
  bool as_root = true;       // Shown uid 0, as installers expect.
  bool privileged = false;   // All capabilities of the container's own user namespace.
  size_t output_limit_bytes = 16u << 20;
};

struct StepOutput {
  int status = 0;
  std::string out;  // At most the limit; what is beyond it is dropped.
  std::string err;
};

/// Runs it to the end. Threads: any number at once. Errors: those of runtime::run(), and not_found
/// or denied when the program cannot be executed; a status that is not 0 is not an error here.
Result<StepOutput> run_step(const Step& step);

/// The last `count` lines of a step's output, for messages, printable.
std::string tail_of(const StepOutput& output, size_t count = 12);

}  // namespace kist::environment
