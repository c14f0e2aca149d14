// The names of capabilities, signals and limits; errors in one line.
#include <csignal>

#include "base/text.h"
#include "bundle/spec_words.h"
#include "containers/spec_of.h"

namespace kist::containers {
namespace {

// The specification's words are "CAP_KILL" and "RLIMIT_CORE", people's are "kill" and "core".
Result<int> number_of(const char* what, std::string_view prefix, std::span<const bundle::Word> words, std::string_view got) {
  std::string name = to_lower(got);
  if (name.starts_with(prefix)) name.erase(0, prefix.size());
  std::vector<std::string> names;
  for (const bundle::Word& word : words) {
    names.push_back(to_lower(word.name.substr(prefix.size())));
    if (names.back() == name) return static_cast<int>(word.number);
  }
  Error error(Code::invalid, "'{}' is no {}", printable(got), what);
  const auto near = nearest(name, names);
  return near ? std::move(error).hint(fmt::format("did you mean `{}`?", *near)) : error;
}

}  // namespace

Result<int> capability_number(std::string_view name) {
  return number_of("capability", "cap_", bundle::capability_words(), name);
}

Result<int> signal_number(std::string_view given) {
  if (const auto number = parse_number(given); number && *number > 0 && *number <= static_cast<uint64_t>(SIGRTMAX))
    return static_cast<int>(*number);
  std::string name = to_lower(given);
  if (name.starts_with("sig")) name.erase(0, 3);
  for (int i = 1; i < 32; ++i) {
    const char* known = ::sigabbrev_np(i);
    if (known != nullptr && to_lower(known) == name) return i;
  }
  if (name.starts_with("rtmin")) {
    const auto more = name.size() == 5 ? std::optional<uint64_t>(0) : parse_number(name.substr(6));
    if (more && *more <= static_cast<uint64_t>(SIGRTMAX - SIGRTMIN)) return SIGRTMIN + static_cast<int>(*more);
  }
  return Error(Code::invalid, "'{}' is no signal", printable(given)).hint("`kill -l` lists them");
}

std::string message_of(const Error& error) {
  std::string out;
  const std::string text = error.render();
  for (const std::string_view line : lines(text)) {
    std::string_view part = trim(line);
    if (part.starts_with("hint:") || part.empty()) continue;
    for (const std::string_view label : {"error: ", "cause: "})
      if (part.starts_with(label)) part.remove_prefix(label.size());
    out += (out.empty() ? "" : ": ") + std::string(part);
  }
  return out;
}

Result<int> ulimit_number(std::string_view name) {
  return number_of("limit", "rlimit_", bundle::rlimit_words(), name);
}

}  // namespace kist::containers
