#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "base/text.h"
#include "images/import.h"

namespace kist::images {
namespace {

namespace json = boost::json;

Error bad(std::string_view instruction, std::string_view why) {
  return Error(Code::invalid, "--change '{}': {}", printable(instruction), why);
}

// ["a", "b"]; empty when it is not one.
std::optional<std::vector<std::string>> exec_form(std::string_view text) {
  boost::system::error_code failed;
  const json::value value = json::parse({text.data(), text.size()}, failed);
  if (failed || !value.is_array()) return std::nullopt;
  std::vector<std::string> out;
  for (const json::value& item : value.get_array()) {
    if (!item.is_string()) return std::nullopt;
    out.emplace_back(std::string_view(item.get_string()));
  }
  return out;
}

std::vector<std::string> command(std::string_view text, const oci::RunConfig& run) {
  if (auto exec = exec_form(text)) return *exec;
  std::vector<std::string> out = run.shell;
  if (out.empty()) out = {"/bin/sh", "-c"};
  out.emplace_back(text);
  return out;
}

// Words at blanks; quotes group and are dropped, a backslash takes the next byte as it is.
Result<std::vector<std::string>> words(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
      else word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) out.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) return bad(text, "a quote is not closed");
  if (in_word) out.push_back(std::move(word));
  return out;
}

void set_variable(std::vector<std::string>& env, const std::string& name,
                  const std::string& value) {
  const std::string prefix = name + "=";
  for (std::string& entry : env)
    if (entry.starts_with(prefix)) return void(entry = prefix + value);
  env.push_back(prefix + value);
}

using Pair = std::pair<std::string, std::string>;

// "A=1 B='x y'", or "A x y" as old Dockerfiles have it.
Result<std::vector<Pair>> pairs(std::string_view text, bool has_old_form) {
  const std::vector<std::string> all = TRY(words(text));
  std::vector<Pair> out;
  if (all.empty()) return bad(text, "wants NAME=VALUE");
  if (has_old_form && all[0].find('=') == std::string::npos) {
    const size_t blank = text.find_first_of(" \t");
    if (blank == std::string_view::npos) return bad(text, "wants NAME=VALUE");
    out.emplace_back(text.substr(0, blank), trim(text.substr(blank)));
    return out;
  }
  for (const std::string& word : all) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return bad(text, fmt::format("'{}' is not NAME=VALUE", printable(word)));
    out.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return out;
}

void add_sorted(std::vector<std::string>& list, std::string text) {
  const auto at = std::lower_bound(list.begin(), list.end(), text);
  if (at == list.end() || *at != text) list.insert(at, std::move(text));
}

Result<void> expose(std::string_view text, oci::RunConfig& run) {
  const std::vector<std::string> ports = TRY(words(text));
  for (const std::string& port : ports) {
    const std::string number = port.substr(0, port.find('/'));
    const std::string first = number.substr(0, number.find('-'));
    if (!parse_number(first) || *parse_number(first) > 65535)
      return bad(text, fmt::format("'{}' is no port", printable(port)));
    add_sorted(run.exposed_ports, port.find('/') == std::string::npos ? port + "/tcp" : port);
  }
  return {};
}

// "30s", "1m30s", "1.5h".
std::optional<int64_t> duration_ns(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
  double sum = 0;
  while (!text.empty()) {
    double value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || value < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const std::string_view unit = text.substr(0, text.find_first_of("0123456789."));
    double factor = 0;
    for (const auto& [name, nanoseconds] : kUnits)
      if (name == unit) factor = nanoseconds;
    if (factor == 0) return std::nullopt;
    sum += value * factor;
    text.remove_prefix(unit.size());
  }
  return static_cast<int64_t>(sum);
}

Result<void> health_flag(std::string_view flag, std::string_view whole, oci::Healthcheck& health) {
  const size_t equals = flag.find('=');
  const std::string_view name = flag.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? "" : flag.substr(equals + 1);
  if (name == "--retries") {
    const auto number = parse_number(value);
    if (!number || *number > 1'000'000) return bad(whole, "--retries wants a number");
    health.retries = static_cast<int64_t>(*number);
    return {};
  }
  const std::pair<std::string_view, int64_t*> durations[] = {
      {"--interval", &health.interval_ns},
      {"--timeout", &health.timeout_ns},
      {"--start-period", &health.start_period_ns},
      {"--start-interval", &health.start_interval_ns}};
  for (const auto& [known, field] : durations) {
    if (known != name) continue;
    const auto parsed = duration_ns(value);
    if (!parsed || value.empty())
      return bad(whole, fmt::format("{} wants a duration such as 30s", name));
    *field = *parsed;
    return {};
  }
  return bad(whole, fmt::format("unknown flag '{}'", printable(name)));
}

Result<void> healthcheck(std::string_view text, oci::RunConfig& run) {
  oci::Healthcheck health;
  std::string_view rest = text;
  while (rest.starts_with("--")) {
    const size_t blank = std::min(rest.find(' '), rest.size());
    TRY(health_flag(rest.substr(0, blank), text, health));
    rest = trim(rest.substr(blank));
  }
  if (to_lower(rest) == "none") {
    health.test = {"NONE"};
  } else if (to_lower(rest.substr(0, 4)) == "cmd ") {
    const std::string_view what = trim(rest.substr(4));
    if (const auto exec = exec_form(what)) {
      health.test = {"CMD"};
      health.test.insert(health.test.end(), exec->begin(), exec->end());
    } else {
      health.test = {"CMD-SHELL", std::string(what)};
    }
  } else {
    return bad(text, "HEALTHCHECK wants NONE or CMD");
  }
  run.healthcheck = std::move(health);
  return {};
}

Result<void> volume(std::string_view text, oci::RunConfig& run) {
  std::vector<std::string> paths;
  if (auto exec = exec_form(text)) paths = std::move(*exec);
  else paths = TRY(words(text));
  for (std::string& path : paths) add_sorted(run.volumes, std::move(path));
  return {};
}

void working_dir(std::string_view text, oci::RunConfig& run) {
  const bool is_absolute = text.starts_with('/') || run.working_dir.empty();
  if (text.starts_with('/')) run.working_dir = std::string(text);
  else run.working_dir = (is_absolute ? "/" : run.working_dir + "/") + std::string(text);
}

}  // namespace

Result<void> apply_change(std::string_view change, oci::RunConfig& run) {
  const std::string_view all = trim(change);
  const size_t blank = std::min(all.find_first_of(" \t"), all.size());
  const std::string name = to_lower(all.substr(0, blank));
  const std::string_view value = trim(all.substr(blank));
  if (value.empty()) return bad(change, "wants an instruction and its value, such as CMD [\"sh\"]");
  if (name == "cmd") return run.cmd = command(value, run), Result<void>();
  if (name == "entrypoint") return run.entrypoint = command(value, run), Result<void>();
  if (name == "expose") return expose(value, run);
  if (name == "healthcheck") return healthcheck(value, run);
  if (name == "volume") return volume(value, run);
  if (name == "workdir") return working_dir(value, run), Result<void>();
  if (name == "user") return run.user = std::string(value), Result<void>();
  if (name == "stopsignal") return run.stop_signal = std::string(value), Result<void>();
  if (name == "onbuild") return run.on_build.emplace_back(value), Result<void>();
  if (name == "shell") {
    const auto exec = exec_form(value);
    if (!exec) return bad(change, "SHELL wants [\"program\", \"argument\"]");
    return run.shell = *exec, Result<void>();
  }
  if (name == "env" || name == "label") {
    const std::vector<Pair> set = TRY(pairs(value, true));
    for (const auto& [key, text] : set) {
      if (name == "label") run.labels[key] = text;
      else set_variable(run.env, key, text);
    }
    return {};
  }
  return bad(change, fmt::format("'{}' is no instruction of an image", printable(name)));
}

}  // namespace kist::images
