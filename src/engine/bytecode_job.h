// Completing an environment with byte-code, in a process of its own, while a program runs in it.
#pragma once

#include <string>

#include "engine/prepare.h"

namespace kist::engine {

/// Below a project's home: what Python compiled for itself while byte-code was missing.
inline constexpr std::string_view kPythonCaches = ".cache/kist/python";

/// The argument by which kist-engine is told to be that process; the ready file's path follows. No
/// verb: nobody types it, so it is in no help.
inline constexpr std::string_view kBytecodeJob = "--compile-bytecode";

/// Where an environment's plan lies.
std::string bytecode_plan_path(const Project& project);

/// Compiles what the ready file's plan still lacks, keeping each group of packages as soon as it is
/// compiled, then switches the ready file to the complete tree. May be killed at any time; the next
/// one goes on from there. One at a time works on a store, others wait.
/// Errors: those of compiling. The ready file then asks for no more, since trying again with every
/// run would not help.
Result<void> run_bytecode_job(const environment::Context& context, const std::string& ready_path);

}  // namespace kist::engine
