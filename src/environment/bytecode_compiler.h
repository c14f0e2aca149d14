// The environment's interpreter at work on sources. Module-private.
#pragma once

#include <string>
#include <vector>

#include "environment/context.h"
#include "python/bytecode.h"
#include "python/pylock.h"
#include "runtime/container.h"

namespace kist::environment {

struct CompilerRun {
  oci::Digest tree;             // The environment that compiles.
  std::string python;           // Its interpreter, inside.
  python::BytecodeTarget target;
  std::string work_folder;      // The list goes there, and the byte-code into `out` in it.
  std::vector<runtime::Mount> mounts;  // What the tree does not have.
  std::string sources = "/";           // Where the sources' paths begin, inside.
};

/// Errors: those of run_step(), internal (the compiler failed).
Result<void> run_compiler(const Context& context, const CompilerRun& run,
                          const std::vector<std::string>& sources, store::Transaction& tx);

/// Which compiler it is: the distribution's full version, since a rebuild with a patch may compile
/// otherwise.
std::string interpreter_id(const python::Lock& lock, const std::string& minor);

}  // namespace kist::environment
