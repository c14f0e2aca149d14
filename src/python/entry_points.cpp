#include "python/entry_points.h"

#include <algorithm>
#include <map>

#include "base/text.h"

namespace kist::python {
namespace {

constexpr size_t kMaxScripts = 10'000;
constexpr size_t kMaxScriptName = 250;  // NAME_MAX, less what a temporary name adds.
// What the kernel reads of a first line, BINPRM_BUF_SIZE before Linux 5.1, less its NUL.
constexpr size_t kMaxShebang = 127;

bool is_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
         (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

// "a.b.c": it is written into a program, so nothing but names may pass.
bool is_dotted_name(std::string_view text) {
  for (const std::string_view part : split(text, '.')) {
    if (part.empty() || (part.front() >= '0' && part.front() <= '9')) return false;
    if (!std::all_of(part.begin(), part.end(), is_word)) return false;
  }
  return true;
}

Result<void> check_name(std::string_view name) {
  const bool bad_byte = std::any_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f || c == '/' || c == '\\';
  });
  if (name.empty() || name == "." || name == ".." || bad_byte || name.size() > kMaxScriptName)
    return Error(Code::invalid, "script '{}' has a name that cannot be a file's", printable(name));
  if (is_reserved_script_name(name))
    return Error(Code::invalid, "script '{}' would replace the environment's own", printable(name));
  return {};
}

Result<Script> parse_script(std::string_view name, std::string_view value) {
  TRY(check_name(name));
  const std::string_view reference = trim(value.substr(0, value.find('[')));
  const size_t colon = reference.find(':');
  Script script{.name = std::string(name), .module = "", .attribute = ""};
  if (colon != std::string_view::npos) {
    script.module = trim(reference.substr(0, colon));
    script.attribute = trim(reference.substr(colon + 1));
  }
  if (!is_dotted_name(script.module) || !is_dotted_name(script.attribute))
    return Error(Code::invalid, "script '{}' calls '{}', want 'module:function'", printable(name),
                 printable(value));
  return script;
}

}  // namespace

Result<std::vector<Script>> parse_entry_points(std::string_view text) {
  if (!is_valid_utf8(text)) return Error(Code::invalid, "entry_points.txt is not UTF-8");
  std::map<std::string, Script> console;
  std::map<std::string, Script> gui;
  std::map<std::string, Script>* group = nullptr;
  // As importlib.metadata reads it, line by line: no continuation lines, names as they are.
  for (std::string_view line : lines(text)) {
    line = trim(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      const std::string_view section = trim(line.substr(1, line.size() - 2));
      group = section == "console_scripts" ? &console : section == "gui_scripts" ? &gui : nullptr;
      continue;
    }
    if (group == nullptr) continue;
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos)
      return Error(Code::invalid, "entry_points.txt has the line '{}', want 'name = value'",
                   printable(line));
    const Script script =
        TRY(parse_script(trim(line.substr(0, equals)), trim(line.substr(equals + 1))));
    (*group)[script.name] = script;
    if (console.size() + gui.size() > kMaxScripts)
      return Error(Code::invalid, "entry_points.txt has more than {} scripts", kMaxScripts);
  }
  for (auto& [name, script] : gui) console[name] = std::move(script);
  std::vector<Script> out;
  for (auto& [name, script] : console) out.push_back(std::move(script));
  return out;
}

bool is_reserved_script_name(std::string_view name) {
  std::string stem = to_lower(name);
  for (const std::string_view ending : {".py", ".exe"})
    if (stem.ends_with(ending)) stem.resize(stem.size() - ending.size());
  if (stem == "pythonw" || stem == "graalpy") return true;
  // "python", "python3", "python3.13t", "pypy3.10": nothing but digits and dots follow, perhaps a
  // "t". Not every "pypy…": a real package has the command "pypyr".
  for (const std::string_view start : {"python", "pypy"}) {
    if (!stem.starts_with(start)) continue;
    std::string_view version = std::string_view(stem).substr(start.size());
    if (version.ends_with('t')) version.remove_suffix(1);
    return version.find_first_not_of("0123456789.") == std::string_view::npos;
  }
  return false;
}

bool is_wrapper_of(std::string_view file_name, std::string_view script) {
  const std::string lower = to_lower(file_name);
  for (const std::string_view ending : {".exe", "-script.py", ".pya"}) {
    if (lower.ends_with(ending))
      return file_name.substr(0, file_name.size() - ending.size()) == script;
  }
  return file_name == script;
}

std::string shebang(std::string_view prefix) {
  const std::string python = fmt::format("{}/bin/python", prefix);
  std::string simple = fmt::format("#!{}\n", python);
  if (simple.size() <= kMaxShebang && python.find(' ') == std::string::npos) return simple;
  // To sh, the second line replaces it by Python; to Python, both are one string.
  return fmt::format("#!/bin/sh\n'''exec' '{}' \"$0\" \"$@\"\n' '''\n", python);
}

std::string script_text(const Script& script, std::string_view shebang_lines) {
  const std::string_view first =
      std::string_view(script.attribute).substr(0, script.attribute.find('.'));
  return fmt::format(
      "{}"
      "# -*- coding: utf-8 -*-\n"
      "import sys\n"
      "from {} import {}\n"
      "if __name__ == \"__main__\":\n"
      "    if sys.argv[0].endswith(\"-script.pyw\"):\n"
      "        sys.argv[0] = sys.argv[0][:-11]\n"
      "    elif sys.argv[0].endswith(\".exe\"):\n"
      "        sys.argv[0] = sys.argv[0][:-4]\n"
      "    sys.exit({}())\n",
      shebang_lines, script.module, first, script.attribute);
}

}  // namespace kist::python
