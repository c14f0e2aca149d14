#include "environment/interpreter_paths.h"

#include <array>

#include "base/text.h"
#include "os/files.h"

namespace kist::environment {
namespace {

constexpr std::array<std::string_view, 8> kToolKeys = {"CC",       "CXX",        "LINKCC", "BLDSHARED",
                                                       "LDSHARED", "LDCXXSHARED", "AR",     "MAINCC"};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || c == '+';
}

// Whether a path can begin here: not in the middle of another, but behind -I, -L and the like.
bool starts_path(std::string_view text, size_t at) {
  if (at == 0) return true;
  const char before = text[at - 1];
  if (before == '/') return false;
  if (!is_word(before)) return true;
  return at >= 2 && text[at - 2] == '-' && before >= 'A' && before <= 'Z';
}

std::string with_home(std::string_view text, std::string_view prefix, std::string_view home) {
  std::string out;
  size_t done = 0;
  for (size_t at = text.find(prefix); at != std::string_view::npos; at = text.find(prefix, at)) {
    const size_t end = at + prefix.size();
    if (!starts_path(text, at) || (end < text.size() && is_word(text[end]))) {
      at = end;
      continue;
    }
    out += text.substr(done, at - done);
    out += home;
    done = at = end;
  }
  return out + std::string(text.substr(done));
}

std::string tool_for(std::string_view program) {
  const std::string_view name = os::name_of(program);
  if (name == "clang" || name.starts_with("clang-")) return "cc";
  if (name == "clang++" || name.starts_with("clang++-")) return "c++";
  if (name == "llvm-ar") return "ar";
  return std::string(name);
}

// `'CC': 'clang -pthread',` or `"CC": "clang -pthread",`: the value's first word.
std::string with_tools(std::string_view line) {
  const size_t key_quote = line.find_first_of("'\"");
  if (key_quote == std::string_view::npos) return std::string(line);
  const char quote = line[key_quote];
  const size_t key_end = line.find(quote, key_quote + 1);
  if (key_end == std::string_view::npos) return std::string(line);
  const std::string_view key = line.substr(key_quote + 1, key_end - key_quote - 1);
  bool is_tool = false;
  for (const std::string_view tool : kToolKeys) is_tool = is_tool || key == tool;
  const size_t colon = line.find(':', key_end);
  const size_t value = colon == std::string_view::npos ? colon : line.find(quote, colon);
  if (!is_tool || value == std::string_view::npos) return std::string(line);
  const size_t start = value + 1;
  const size_t end = std::min(line.find_first_of(std::string("' \""), start), line.size());
  if (end == start) return std::string(line);
  return fmt::format("{}{}{}", line.substr(0, start), tool_for(line.substr(start, end - start)),
                     line.substr(end));
}

bool is_sysconfig(std::string_view name) {
  return (name.starts_with("_sysconfigdata") && name.ends_with(".py")) ||
         (name.starts_with("_sysconfig_vars") && name.ends_with(".json"));
}

std::string with_all_tools(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    const size_t size = newline == std::string_view::npos ? text.size() : newline + 1;
    out += with_tools(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out;
}

// "#!/install/bin/python3.12 -E": arguments stay. Other scripts find Python beside themselves.
std::string with_shebang(std::string text, std::string_view home) {
  const size_t line_end = std::min(text.find('\n'), text.size());
  const size_t end = std::min(text.find(' '), line_end);
  const std::string_view name = os::name_of(std::string_view(text).substr(0, end));
  if (!text.starts_with("#!") || !name.starts_with("python3")) return text;
  return fmt::format("#!{}/bin/{}{}", home, name, std::string_view(text).substr(end));
}

}  // namespace

bool has_own_paths(std::string_view path, std::string_view python_minor) {
  const std::string_view name = os::name_of(path);
  const std::string folder = os::parent_of(path);
  if (folder == "bin") return true;
  if (folder == fmt::format("lib/python{}", python_minor))
    return is_sysconfig(name) || name == "build-details.json";
  return folder == "lib/pkgconfig" && name.ends_with(".pc");
}

std::string build_prefix(std::string_view sysconfigdata) {
  constexpr std::string_view kKey = "'prefix': '";
  const size_t key = sysconfigdata.find(kKey);
  if (key == std::string_view::npos) return {};
  const size_t start = key + kKey.size();
  const size_t end = sysconfigdata.find('\'', start);
  if (end == std::string_view::npos) return {};
  std::string_view prefix = sysconfigdata.substr(start, end - start);
  while (prefix.size() > 1 && prefix.ends_with('/')) prefix.remove_suffix(1);
  const bool good = prefix.size() > 1 && prefix.size() < 1024 && prefix.starts_with('/') && prefix != "/usr";
  return good ? std::string(prefix) : std::string();
}

std::string fix_interpreter_text(std::string_view path, std::string_view text,
                                 std::string_view prefix, std::string_view home) {
  const bool is_script = os::parent_of(path) == "bin";
  // Tools first: what lay in the build's own prefix is not there any more.
  std::string out = is_sysconfig(os::name_of(path)) ? with_all_tools(text) : std::string(text);
  if (!prefix.empty()) out = with_home(out, prefix, home);
  return is_script ? with_shebang(std::move(out), home) : out;
}

}  // namespace kist::environment
