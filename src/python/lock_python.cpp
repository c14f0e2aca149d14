#include "python/lock_python.h"

#include <boost/json.hpp>

#include "base/text.h"
#include "toml/toml.h"
#include "python/versions.h"

namespace kist::python {
namespace {

namespace json = boost::json;

std::string text_at(const toml::Value& root, std::initializer_list<std::string_view> keys) {
  const toml::Value* value = &root;
  for (const std::string_view key : keys) {
    const auto* table = value->as<toml::Table>();
    value = table == nullptr ? nullptr : table->find(key);
    if (value == nullptr) return {};
  }
  const auto* text = value->as<std::string>();
  return text == nullptr ? std::string() : *text;
}

// The first number that is not zero may not change: "^3.9" is ">=3.9,<4", "^0.2.3" ">=0.2.3,<0.3".
std::string caret(std::string_view version) {
  std::string upper;
  for (const std::string_view part : split(version, '.')) {
    const auto number = parse_number(part);
    if (!number) return {};
    if (*number != 0) return fmt::format(">={},<{}{}", version, upper, *number + 1);
    upper += "0.";
  }
  return {};
}

// "~3.11" and "~3.11.2" allow the last but one number to stay: ">=3.11,<3.12".
std::string tilde(std::string_view version) {
  const auto parts = split(version, '.');
  const auto major = parse_number(parts[0]);
  if (!major) return {};
  if (parts.size() == 1) return fmt::format(">={},<{}", version, *major + 1);
  const auto minor = parse_number(parts[1]);
  if (!minor) return {};
  return fmt::format(">={},<{}.{}", version, *major, *minor + 1);
}

std::string poetry_range(std::string_view constraint) {
  if (constraint.find('|') != std::string_view::npos) return {};
  std::string out;
  for (const std::string_view clause : split(constraint, ',')) {
    const std::string_view plain = trim(clause);
    if (plain.empty() || plain == "*") continue;
    std::string range(plain);
    if (plain[0] == '^') range = caret(plain.substr(1));
    if (plain[0] == '~' && !plain.starts_with("~=")) range = tilde(plain.substr(1));
    if (plain[0] >= '0' && plain[0] <= '9') range = fmt::format("=={}", plain);
    if (range.empty()) return {};
    out += (out.empty() ? "" : ",") + range;
  }
  return out;
}

std::string member(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

LockPython of_pipfile(std::string_view text) {
  boost::system::error_code failed;
  const json::value root = json::parse({text.data(), text.size()}, failed);
  if (failed || !root.is_object()) return {};
  const json::value* meta = root.get_object().if_contains("_meta");
  if (meta == nullptr || !meta->is_object()) return {};
  const json::value* wanted = meta->get_object().if_contains("requires");
  if (wanted == nullptr || !wanted->is_object()) return {};
  std::string version = member(wanted->get_object(), "python_full_version");
  if (version.empty()) version = member(wanted->get_object(), "python_version");
  return {.version = version == "*" ? std::string() : version, .requires_range = {}};
}

}  // namespace

LockPython python_of_lock(InputKind kind, std::string_view text) {
  LockPython out;
  if (kind == InputKind::pipfile_lock) {
    out = of_pipfile(text);
    if (!out.version.empty() && !Version::parse(out.version)) out.version.clear();
    return out;
  }
  const auto root = toml::parse(text, "");
  if (!root) return {};
  if (kind == InputKind::poetry_lock)
    out.requires_range = poetry_range(text_at(*root, {"metadata", "python-versions"}));
  else if (kind == InputKind::uv_lock || kind == InputKind::pylock)
    out.requires_range = text_at(*root, {"requires-python"});
  if (!VersionSpecifiers::parse(out.requires_range)) out.requires_range.clear();
  return out;
}

}  // namespace kist::python
