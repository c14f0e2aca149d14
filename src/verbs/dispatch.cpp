#include "verbs/dispatch.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <functional>

#include "cli/progress_view.h"
#include "cli/run_args.h"
#include "cli/verbs.h"
#include "engine/bytecode_job.h"
#include "http/curl_client.h"
#include "verbs/container_archive.h"
#include "verbs/image_verbs.h"
#include "verbs/machine.h"
#include "verbs/project.h"
#include "verbs/prune.h"
#include "verbs/registry.h"
#include "verbs/registry_verbs.h"
#include "verbs/run.h"

namespace kist::verbs {
namespace {

constexpr int kKistFailed = 125;  // As docker.

bool is_run(const cli::VerbSpec& verb) {
  return verb.name == "run" || verb.name == "shell" || verb.name == "task" || verb.name == "create";
}


cli::ProgressView::Options progress_options(const cli::Terminal& terminal, const cli::Parsed& parsed,
                                            bool is_run_verb) {
  (void)is_run_verb;
  return {.is_terminal = terminal.err_is_terminal(),
          .color = terminal.color(),
          .quiet = parsed.has("--quiet")};
}

using Work = std::function<Result<int>(const environment::Context& context)>;

Result<int> with_context(const Machine& machine, Progress& progress, bool offline,
                         const Work& work) {
  auto client = TRY(http::make_curl_client(machine.network));
  os::Workers workers(os::core_count() - 1);
  auto opened = store::Store::open(machine.host.kist_home);
  // A store that cannot be written to can still be listed and run from.
  if (!opened && opened.error().code() == Code::denied)
    opened = store::Store::open(machine.host.kist_home, true);
  const store::Store store = TRY(std::move(opened));
  const environment::Context context{
      .host = machine.host,
      .store = store,
      .client = *client,
      .progress = progress,
      .workers = workers,
      .apt = [] { return debian::read_apt_config({}); },
      .index_variables = machine.index_variables,
      .index_folders = machine.index_folders,
      .default_index = machine.default_index,
      .network = &machine.network,
      .default_registry = machine.default_registry,
      .now_s = ::time(nullptr),
      .offline = offline,
  };
  return work(context);
}

Result<int> run_in_context(const cli::VerbSpec& verb, const cli::Parsed& parsed,
                           const Machine& machine, cli::Terminal& terminal) {
  cli::ProgressView progress(progress_options(terminal, parsed, is_run(verb)));
  const auto work = [&](const environment::Context& context) -> Result<int> {
    if (is_run(verb) && parsed.has("--image")) return make_image_ready(parsed, context);
    if (is_run(verb)) {
      const auto request = TRY(cli::run_request(verb, parsed, machine.host));
      return run_verb(context, request, terminal);
    }
    if (is_machine_verb(verb.name))
      return machine_verb(verb.name, parsed, context, machine.network, terminal);
    if (verb.name == "info") return system_info(parsed, context, terminal);
    if (verb.name == "system df") return system_df(parsed, context, terminal);
    if (is_prune_verb(verb.name)) return prune_verb(verb.name, parsed, context, terminal);
    if (is_container_archive_verb(verb.name)) return container_archive_verb(verb.name, parsed, context, terminal);
    if (is_transfer_verb(verb.name)) return transfer_verb(verb.name, parsed, context, terminal);
    if (is_image_verb(verb.name)) return image_verb(verb.name, parsed, context, terminal);
    return project_verb(verb.name, parsed, context, terminal);
  };
  return with_context(machine, progress, parsed.has("--offline"), work);
}

// Nobody sees this process's output (os/helper.h), so why it failed is left in a file.
int bytecode_job(const std::string& ready_path, const Machine& machine) {
  NoProgress progress;
  const auto done =
      with_context(machine, progress, true, [&](const environment::Context& context) -> Result<int> {
        const auto compiled = engine::run_bytecode_job(context, ready_path);
        if (compiled) return 0;
        (void)os::write_file_atomically(context.cache("bytecode/last-error"),
                                        compiled.error().render() + "\n");
        return 1;
      });
  return done ? *done : 1;
}

bool is_help(const std::string& word) { return word == "--help" || word == "-h"; }

int show_group(const std::string& word, cli::Terminal& terminal) {
  terminal.text(cli::group_help(word));
  return 0;
}

int show_help(const cli::VerbSpec* verb, cli::Terminal& terminal) {
  terminal.text(verb == nullptr ? cli::overview() : cli::help(*verb));
  return 0;
}

// Verbs that need neither a store nor a network.
std::optional<int> plain_verb(const std::vector<std::string>& args, cli::Terminal& terminal) {
  if (args.empty() || is_help(args[0])) return show_help(nullptr, terminal);
  const bool is_group = cli::find_verb(args[0]) == nullptr && cli::is_group(args[0]);
  // As docker: the word alone asks what there is.
  if (is_group && (args.size() == 1 || (args.size() == 2 && is_help(args[1]))))
    return show_group(args[0], terminal);
  if ((args[0] == "version" && args.size() == 1) || args[0] == "--version" || args[0] == "-v") {
    terminal.line("kist " KIST_VERSION);
    return 0;
  }
  if (args[0] == "help") {
    if (args.size() >= 2 && args[1] == "--markdown") {
      terminal.text(cli::reference());
      return 0;
    }
    if (args.size() < 2) return show_help(nullptr, terminal);
    const auto named = cli::joined_words({args.begin() + 1, args.end()});
    if (const cli::VerbSpec* verb = cli::find_verb(named[0])) return show_help(verb, terminal);
    if (named.size() == 1 && cli::is_group(named[0])) return show_group(named[0], terminal);
    terminal.error(cli::unknown_verb(args[1]));
    return 2;
  }
  if (args[0] == "completion" && args.size() == 2 && args[1] != "--help") {
    const auto script = cli::completion(args[1]);
    if (!script) {
      terminal.error(script.error());
      return 2;
    }
    terminal.text(*script);
    return 0;
  }
  return std::nullopt;
}

// With the image ready, the starter does as it would have done at first. As the person's shell would
// call it: what main/ changed for the engine is changed back.
int start_again(const std::vector<std::string>& args, const Machine& machine, cli::Terminal& terminal) {
  std::vector<char*> argv{const_cast<char*>("kist")};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  ::umask(machine.host.umask);
  ::signal(SIGPIPE, SIG_DFL);
  // Or it would be pulled again, and again.
  ::setenv(cli::kImageIsReady, "1", 1);
  ::execv(machine.starter.c_str(), argv.data());
  terminal.error(Error::from_errno(errno, "start '{}'", machine.starter));
  return kKistFailed;
}

int run_parsed(const cli::VerbSpec& verb, const std::vector<std::string>& args,
               const Machine& machine, cli::Terminal& terminal) {
  const auto parsed = cli::parse(verb, std::vector<std::string>(args.begin() + 1, args.end()));
  if (!parsed) {
    terminal.error(parsed.error());
    return is_run(verb) ? kKistFailed : 2;
  }
  if (parsed->has("--help")) return show_help(&verb, terminal);
  const auto status = verb.name == "version"            ? version_of(*parsed, terminal)
                      : is_registry_verb(verb.name) ? registry_verb(verb.name, *parsed, machine, terminal)
                                                  : run_in_context(verb, *parsed, machine, terminal);
  if (status && *status == kStartAgain) return start_again(args, machine, terminal);
  if (status) return *status;
  terminal.error(status.error());
  return is_run(verb) ? kKistFailed : cli::exit_status(status.error());
}

}  // namespace

int dispatch(const std::vector<std::string>& given, const Machine& machine) {
  const std::vector<std::string> args = cli::joined_words(without_image_word(given));
  if (args.size() == 2 && args[0] == engine::kBytecodeJob) return bytecode_job(args[1], machine);
  const bool no_color = machine.host.variables.count("NO_COLOR") != 0;
  cli::Terminal terminal("auto", no_color);
  int status = 0;
  if (const auto done = plain_verb(args, terminal)) {
    status = *done;
  } else if (const cli::VerbSpec* verb = cli::find_verb(args[0])) {
    status = run_parsed(*verb, args, machine, terminal);
  } else {
    terminal.error(cli::unknown_verb(args[0]));
    status = 2;
  }
  const auto finished = terminal.finish();
  if (finished) return status;
  terminal.error(finished.error());
  return status != 0 ? status : 1;
}

}  // namespace kist::verbs
