// The commands of `kist runtime`.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bundle/container.h"
#include "runtime_cli/arguments.h"
#include "runtime_cli/log.h"
#include "runtime_cli/runtime_cli.h"

namespace kist::runtime_cli {

/// What every command gets.
struct Context {
  bundle::Runtime runtime;
  const Log* log;
  const Caller* caller;
  std::string criu;
};

struct Command {
  std::string_view name;
  std::string_view words;  // "<container-id> [signal]"
  std::string_view help;
  std::span<const Option> options;
  size_t least_words;
  size_t most_words;
  bool stop_at_word;
  /// The exit status.
  Result<int> (*run)(const Context& context, const Arguments& arguments);
};

std::span<const Command> commands();

/// A bundle's config.json, and what the options say of it.
struct Bundle {
  bundle::Spec spec;
  bundle::CreateOptions options;
};

// commands_life.cpp
Result<Bundle> read_bundle(const Context& context, const Arguments& arguments);
Result<int> run_create(const Context& context, const Arguments& arguments);
Result<int> run_run(const Context& context, const Arguments& arguments);
Result<int> run_start(const Context& context, const Arguments& arguments);
Result<int> run_exec(const Context& context, const Arguments& arguments);
// commands_control.cpp
Result<int> run_kill(const Context& context, const Arguments& arguments);
Result<int> run_delete(const Context& context, const Arguments& arguments);
Result<int> run_pause(const Context& context, const Arguments& arguments);
Result<int> run_resume(const Context& context, const Arguments& arguments);
Result<int> run_update(const Context& context, const Arguments& arguments);
// commands_checkpoint.cpp
Result<int> run_checkpoint(const Context& context, const Arguments& arguments);
Result<int> run_restore(const Context& context, const Arguments& arguments);
// commands_show.cpp
Result<int> run_list(const Context& context, const Arguments& arguments);
Result<int> run_ps(const Context& context, const Arguments& arguments);
Result<int> run_state(const Context& context, const Arguments& arguments);
Result<int> run_events(const Context& context, const Arguments& arguments);
// commands_static.cpp
Result<int> run_spec(const Context& context, const Arguments& arguments);
Result<int> run_features(const Context& context, const Arguments& arguments);

/// JSON as people read it, with `indent` for each level.
std::string pretty(std::string_view json, std::string_view indent);
/// Writes to standard output. Errors: of write.
Result<void> print(std::string_view text);

}  // namespace kist::runtime_cli
