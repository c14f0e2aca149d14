// Which ready file belongs to a request, found with a handful of system calls.
#include <array>

#include "launch/paths.h"
#include "launch/request.h"

namespace kist::launch {
namespace {

// What makes a folder a project, when we look upward from where the person stands.
constexpr std::array<const char*, 16> kMarkers = {
    "kist.toml",       "pyproject.toml", "requirements.txt", "pylock.kist.toml",
    "uv.lock",         "pylock.toml",    "environment.yml",  "environment.yaml",
    "poetry.lock",     "Pipfile.lock",   "Pipfile",          "pixi.lock",
    "conda-lock.yml",  "runtime.txt",    "apt.txt",          "requirements.in"};
constexpr size_t kMaxDepth = 64;

// Scripts larger than this are not searched for metadata, which by custom stands at the top.
constexpr uint64_t kMaxScriptBytes = 1 << 20;

bool has_marker(const std::string& folder) {
  for (const char* marker : kMarkers)
    if (os::exists(os::join(folder, marker))) return true;
  return false;
}

std::optional<Ready> load(const std::string& path, const std::string& project,
                          const std::string& environment) {
  const auto text = os::read_file(path, 16 << 20);
  if (!text) return std::nullopt;
  auto ready = decode(*text);
  if (!ready || ready->project != project || ready->environment != environment) return std::nullopt;
  if (!is_fresh(*ready)) return std::nullopt;
  return std::move(*ready);
}

}  // namespace

std::optional<std::string> script_of(const std::vector<std::string>& args) {
  if (args.empty()) return std::nullopt;
  if (args[0].ends_with(".py")) return args[0];
  const std::string_view program = os::name_of(args[0]);
  if (args.size() >= 2 && (program == "python" || program == "python3") && args[1].ends_with(".py"))
    return args[1];
  return std::nullopt;
}

bool has_inline_metadata(std::string_view text) {
  constexpr std::string_view kOpen = "# /// script";
  for (size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, at + 1)) {
    const bool at_line_start = at == 0 || text[at - 1] == '\n';
    const size_t end = at + kOpen.size();
    if (at_line_start && (end == text.size() || text[end] == '\n' || text[end] == '\r')) return true;
  }
  return false;
}

std::string find_project(const std::string& start) {
  std::string folder = start;
  for (size_t depth = 0; depth < kMaxDepth; ++depth) {
    if (has_marker(folder)) return folder;
    // A repository is the largest thing that a project can be.
    if (os::exists(os::join(folder, ".git")) || folder == "/") return "";
    folder = os::parent_of(folder);
  }
  return "";
}

std::optional<Ready> find_ready(const RunRequest& request, const Host& host) {
  // With these the inputs are not the detected ones, or are not to be looked at: for the engine.
  if (!request.from.empty() || request.frozen) return std::nullopt;
  if (const auto script = script_of(request.args);
      script && request.what == RunRequest::What::command && request.environment == "default") {
    const std::string path = host_path(*script, host.working_dir);
    const auto text = os::read_file(path, kMaxScriptBytes);
    if (text && has_inline_metadata(*text)) {
      const std::string folder = os::parent_of(path);
      const std::string environment = script_environment(path);
      return load(ready_path(host.kist_home, folder, environment), folder, environment);
    }
  }
  std::string project = request.project.empty() ? find_project(host.working_dir)
                                                : host_path(request.project, host.working_dir);
  if (project.empty()) project = host.working_dir;
  return load(ready_path(host.kist_home, project, request.environment), project,
              request.environment);
}

}  // namespace kist::launch
