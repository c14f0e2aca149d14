#include "runtime_cli/runtime_cli.h"

#include <unistd.h>

#include <cstdio>

#include "base/text.h"
#include "os/files.h"
#include "runtime_cli/command.h"

namespace kist::runtime_cli {
namespace {

constexpr Option kGlobalOptions[] = {
    {"debug", "", "", "log more"},
    {"log", "", "FILE", "append messages to this file instead of standard error"},
    {"log-format", "", "FORMAT", "text (default) or json"},
    {"root", "", "FOLDER", "where the state of containers is kept"},
    {"criu", "", "PROGRAM", "for checkpoint and restore"},
    {"systemd-cgroup", "", "", "let systemd make the cgroups"},
    {"rootless", "", "WHEN", "whether cgroups that cannot be made are no error: true, false, auto"},
    {"help", "h", "", "show help"},
    {"version", "v", "", "print the version"},
};

std::string option_line(const Option& option) {
  std::string left = fmt::format("--{}", option.name);
  if (!option.value.empty()) left += fmt::format(" {}", option.value);
  if (!option.short_name.empty()) left += fmt::format(", -{}", option.short_name);
  return fmt::format("  {:<28} {}\n", left, option.help);
}

std::string help_text() {
  std::string out =
      "An OCI runtime with the command line of runc.\n\n"
      "Usage: kist runtime [options] COMMAND [options] ...\n\nCommands:\n";
  for (const Command& command : commands())
    out += fmt::format("  {:<12} {}\n", command.name, command.help);
  out += "\nOptions:\n";
  for (const Option& option : kGlobalOptions) out += option_line(option);
  return out + "\n`kist runtime COMMAND --help` explains a command. State is kept in /run/kist-runtime, of a user in\n"
               "$XDG_RUNTIME_DIR/kist-runtime.\n";
}

std::string help_text(const Command& command) {
  std::string out = fmt::format("{}\n\nUsage: kist runtime {} [options] {}\n", command.help,
                                command.name, command.words);
  if (!command.options.empty()) out += "\nOptions:\n";
  for (const Option& option : command.options) out += option_line(option);
  return out;
}

const Command* find_command(std::string_view name) {
  for (const Command& command : commands())
    if (command.name == name) return &command;
  return nullptr;
}

Error no_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.emplace_back(command.name);
  Error error(Code::invalid, "no such command: '{}'", printable(name));
  if (const auto near = nearest(name, names))
    return std::move(error).hint(fmt::format("did you mean `kist runtime {}`?", *near));
  return std::move(error).hint("`kist runtime --help` lists the commands");
}

Result<Log> open_log(const Arguments& global) {
  const std::string format = global.text("log-format", "text");
  if (format != "text" && format != "json")
    return Error(Code::invalid, "--log-format: want text or json, got '{}'", printable(format));
  return Log::open(global.text("log"), format == "json" ? Log::Format::json : Log::Format::text,
                   global.has("debug"));
}

Result<bundle::Runtime> runtime_of(const Arguments& global, const Caller& caller) {
  bundle::Runtime runtime;
  runtime.state_root = global.text("root");
  // Root of a user namespace, as podman's, may not write to /run.
  const bool own = !caller.runtime_dir.empty() && bundle::acts_for_a_user();
  if (runtime.state_root.empty() && own)
    runtime.state_root = os::join(caller.runtime_dir, "kist-runtime");
  if (runtime.state_root.empty() && ::geteuid() == 0) runtime.state_root = "/run/kist-runtime";
  if (runtime.state_root.empty())
    return Error(Code::invalid, "XDG_RUNTIME_DIR is not set: no place for the state of containers")
        .hint("`--root FOLDER`");
  if (runtime.state_root[0] != '/') {
    const std::string here = TRY(os::real_path("."));
    runtime.state_root = os::join(here, runtime.state_root);
  }
  runtime.systemd_cgroups = global.has("systemd-cgroup");
  runtime.groups_in_v2 = true;
  const std::string rootless = global.text("rootless", "auto");
  if (rootless == "true" || rootless == "false") runtime.rootless = rootless == "true";
  else if (rootless != "auto")
    return Error(Code::invalid, "--rootless: want true, false or auto, got '{}'",
                 printable(rootless));
  return runtime;
}

// As shells and docker have it, so that callers can tell a missing program from a failure.
int status_of(const Error& error) {
  constexpr int kFailed = 1;
  constexpr int kCannotExecute = 126;
  constexpr int kNotFound = 127;
  if (!bundle::is_of_execve(error)) return kFailed;
  return error.code() == Code::not_found ? kNotFound : kCannotExecute;
}

Result<int> dispatch(const Command& command, const Arguments& arguments, const Arguments& global,
                     const Log& log, const Caller& caller) {
  const size_t count = arguments.words().size();
  if (count < command.least_words || count > command.most_words)
    return Error(Code::invalid, "'{}' wants {}{}", command.name,
                 command.words.empty() ? "no arguments" : command.words,
                 count > command.most_words ? " and no more" : "")
        .hint(fmt::format("`kist runtime {} --help`", command.name));
  Context context = {.runtime = TRY(runtime_of(global, caller)),
                     .log = &log,
                     .caller = &caller,
                     .criu = global.text("criu", "criu")};
  context.runtime.warn = [&log](const std::string& text) {
    log.write(Log::Level::warning, text);
  };
  return command.run(context, arguments);
}

int fail(const Log& log, const Error& error) {
  log.fail(error);
  return status_of(error);
}

int print_help(const std::string& text) { return print(text) ? 0 : 1; }

}  // namespace

int run(const std::vector<std::string>& args, const Caller& caller) {
  const auto global = parse(args, kGlobalOptions, true);
  if (!global) return fail(Log(), global.error());
  const auto log = open_log(*global);
  if (!log) return fail(Log(), log.error());
  if (global->has("version"))
    return print_help("kist-runtime version " KIST_VERSION "\nspec: 1.2.0\n");
  const auto& words = global->words();
  if (global->has("help") || words.empty() || words[0] == "help" || words[0] == "h") {
    const Command* wanted = words.size() > 1 ? find_command(words[1]) : nullptr;
    return print_help(wanted == nullptr ? help_text() : help_text(*wanted));
  }
  const Command* command = find_command(words[0]);
  if (command == nullptr) return fail(*log, no_command(words[0]));
  std::vector<Option> options(command->options.begin(), command->options.end());
  options.push_back({"help", "h", "", "show help"});
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  const auto arguments = parse(rest, options, command->stop_at_word);
  if (!arguments) return fail(*log, arguments.error());
  if (arguments->has("help")) return print_help(help_text(*command));
  log->write(Log::Level::debug, fmt::format("{} of {}", command->name, fmt::join(rest, " ")));
  const auto status = dispatch(*command, *arguments, *global, *log, caller);
  if (status) {
    log->write(Log::Level::debug, fmt::format("{}: status {}", command->name, *status));
    return *status;
  }
  const int failed = fail(*log, status.error());
  // runc: what the command itself could have said must not be taken for it.
  constexpr int kExecFailed = 255;
  return command->name == "exec" ? kExecFailed : failed;
}

bool enters_container(const std::vector<std::string>& args) {
  const auto global = parse(args, kGlobalOptions, true);
  if (!global || global->words().empty()) return false;
  const std::string& name = global->words()[0];
  return name == "create" || name == "exec" || name == "restore";
}

}  // namespace kist::runtime_cli
