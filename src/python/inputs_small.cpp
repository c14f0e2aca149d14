// The inputs of a line or two: .python-version, runtime.txt, apt.txt.
#include <algorithm>

#include "base/text.h"
#include "python/inputs.h"
#include "python/tags.h"

namespace kist::python {

Result<std::string> parse_python_version_file(std::string_view text, std::string_view file) {
  for (std::string_view line : lines(text)) {
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::string_view version = line;
    for (const std::string_view prefix : {"cpython-", "cpython@", "cpython", "python-", "python"})
      if (version.starts_with(prefix)) {
        version.remove_prefix(prefix.size());
        break;
      }
    auto target = make_target("linux/amd64", version, 36);
    if (target) return std::string(version);
    Error error = std::move(target.error())
                      .context(fmt::format("{}: '{}'", printable(file), printable(line)));
    return std::move(error).hint("write it as `3.11`");
  }
  return std::string();
}

Result<std::string> parse_runtime_file(std::string_view text, std::string_view file,
                                       std::vector<std::string>& warnings) {
  const std::string_view line = trim(text);
  if (line.starts_with("python-")) return parse_python_version_file(line, file);
  if (!line.empty())
    warnings.push_back(fmt::format("{}: '{}' is not read, only python-X.Y is", printable(file),
                                   printable(line, 60)));
  return std::string();
}

Result<std::vector<std::string>> parse_apt_file(std::string_view text, std::string_view file) {
  std::vector<std::string> out;
  uint32_t number = 0;
  for (std::string_view line : lines(text)) {
    ++number;
    line = trim(line.substr(0, line.find('#')));
    for (const std::string_view piece : split(line, ' ')) {
      const std::string_view name = trim(piece);
      if (name.empty()) continue;
      constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789+-.:=~";
      if (name.size() < 2 || name.find_first_not_of(kAllowed) != std::string_view::npos ||
          name.front() == '-') {
        return Error(Code::invalid, "{}:{}: '{}' is not the name of a Debian package",
                     printable(file), number, printable(name));
      }
      if (std::find(out.begin(), out.end(), name) == out.end()) out.emplace_back(name);
    }
  }
  return out;
}

}  // namespace kist::python
