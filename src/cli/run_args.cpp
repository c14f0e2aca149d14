#include "cli/run_args.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "os/files.h"

namespace kist::cli {
namespace {

using launch::Host;
using launch::RunRequest;

// "NAME=value" as it is; "NAME" with the host's value, or nothing when the host has none.
std::optional<std::string> variable_of(std::string_view text, const Host& host) {
  if (text.find('=') != std::string_view::npos) return std::string(text);
  const auto it = host.variables.find(std::string(text));
  if (it == host.variables.end()) return std::nullopt;
  return fmt::format("{}={}", text, it->second);
}

Result<void> check_name(std::string_view variable, std::string_view where) {
  const std::string_view name = variable.substr(0, variable.find('='));
  if (name.empty() || name.find_first_of(" \t\"'\0") != std::string_view::npos)
    return Error(Code::invalid, "{}: '{}' is not a variable's name", where, printable(name));
  return {};
}

Result<double> parse_cpus(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0.01 || value > 1e6)
    return Error(Code::invalid, "--cpus: '{}' is not a number of processors, for example 1.5",
                 printable(text));
  return value;
}

// --env is the environment's name; with '=' in it, the hands that know docker meant a variable.
Result<void> read_variables(const Parsed& parsed, const Host& host, RunRequest& request) {
  for (const std::string& path : parsed.values("--env-file")) {
    const std::string text = TRY(os::read_file(path, 1 << 20), "--env-file");
    auto more = TRY(parse_env_file(text, path, host));
    for (std::string& variable : more) request.variables.push_back(std::move(variable));
  }
  const auto add = [&](const std::string& text, const char* flag) -> Result<void> {
    TRY(check_name(text, flag));
    if (auto variable = variable_of(text, host)) request.variables.push_back(std::move(*variable));
    return {};
  };
  bool named = false;
  for (const std::string& value : parsed.values("--env")) {
    if (value.find('=') != std::string::npos) {
      TRY(add(value, "--env"));
      continue;
    }
    if (named) return Error(Code::invalid, "--env names two environments: '{}' and '{}'",
                            printable(request.environment), printable(value));
    named = true;
    request.environment = value;
  }
  for (const std::string& value : parsed.values("--variable")) TRY(add(value, "-e"));
  return {};
}

Result<void> read_mounts(const Parsed& parsed, const Host& host, RunRequest& request) {
  for (const std::string& text : parsed.values("--volume")) {
    auto mount = TRY(launch::parse_volume(text, host), "-v {}", printable(text));
    request.mounts.push_back(std::move(mount));
  }
  for (const std::string& text : parsed.values("--mount")) {
    auto mount = TRY(launch::parse_mount(text, host), "--mount {}", printable(text));
    request.mounts.push_back(std::move(mount));
  }
  for (const std::string& text : parsed.values("--tmpfs")) {
    auto mount = TRY(launch::parse_tmpfs(text), "--tmpfs {}", printable(text));
    request.mounts.push_back(std::move(mount));
  }
  return {};
}

Result<void> read_limits(const Parsed& parsed, RunRequest& request) {
  if (parsed.has("--memory"))
    request.memory_bytes = TRY(launch::parse_size(parsed.value("--memory")), "--memory");
  if (parsed.has("--shm-size"))
    request.shm_bytes = TRY(launch::parse_size(parsed.value("--shm-size")), "--shm-size");
  if (parsed.has("--cpus")) request.cpus = TRY(parse_cpus(parsed.value("--cpus")));
  if (parsed.has("--pids-limit")) {
    const std::string text = parsed.value("--pids-limit");
    const auto value = parse_number(text);
    if (!value) return Error(Code::invalid, "--pids-limit: '{}' is not a number", printable(text));
    request.pids = *value;
  }
  if (parsed.has("--network")) {
    const std::string text = parsed.value("--network");
    if (text != "host" && text != "none")
      return Error(Code::invalid, "--network: '{}' is neither host nor none", printable(text));
    request.network_none = text == "none";
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> parse_env_file(std::string_view text, std::string_view path,
                                                const Host& host) {
  std::vector<std::string> out;
  size_t number = 0;
  for (const std::string_view line : lines(text)) {
    ++number;
    // docker keeps what follows the name verbatim, blanks and quotes included.
    const std::string_view start = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
    if (start.empty() || start.front() == '#') continue;
    TRY(check_name(start, fmt::format("{}:{}", printable(path), number)));
    if (auto variable = variable_of(start, host)) out.push_back(std::move(*variable));
  }
  return out;
}

Result<RunRequest> run_request(const VerbSpec& verb, const Parsed& parsed, const Host& host) {
  RunRequest request;
  request.what = verb.name == "shell"  ? RunRequest::What::shell
                 : verb.name == "task" ? RunRequest::What::task
                                       : RunRequest::What::command;
  request.args = parsed.positionals();
  request.from = parsed.value("--from");
  request.project = parsed.value("--project");
  request.locked = parsed.has("--locked");
  request.frozen = parsed.has("--frozen");
  request.offline = parsed.has("--offline");
  request.quiet = parsed.has("--quiet");
  request.verbose = parsed.has("--verbose");
  request.working_dir = parsed.value("--workdir");
  request.read_only = parsed.has("--read-only");
  request.as_root = parsed.has("--root");
  request.hostname = parsed.value("--hostname");
  request.best_effort = parsed.has("--best-effort");
  if (request.locked && request.frozen)
    return Error(Code::invalid, "--locked and --frozen exclude each other");
  TRY(read_variables(parsed, host, request));
  TRY(read_mounts(parsed, host, request));
  TRY(read_limits(parsed, request));
  return request;
}

}  // namespace kist::cli
