#include "oci/json_fields.h"

#include <algorithm>

#include "base/text.h"
#include "oci/image.h"

namespace kist::oci {
namespace {

namespace json = boost::json;
constexpr size_t kMaxDepth = 64;

std::string text_of(const json::string& text) { return {text.data(), text.size()}; }

}  // namespace

Result<json::object> parse_object(std::string_view text, std::string_view what) {
  if (text.size() > kMaxDocumentBytes) {
    return Error(Code::invalid, "{} has {}, want at most {}", what, human_bytes(text.size()),
                 human_bytes(kMaxDocumentBytes));
  }
  json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::system::error_code failed;
  json::value value = json::parse({text.data(), text.size()}, failed, {}, options);
  if (failed) return Error(Code::corrupt, "{} is not JSON: {}", what, failed.message());
  if (!value.is_object()) return Error(Code::corrupt, "{} is not a JSON object", what);
  return std::move(value.as_object());
}

const json::value* Fields::find(std::string_view key) const {
  const json::value* const value = object_.if_contains({key.data(), key.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

Error Fields::wrong(std::string_view key, std::string_view wanted) const {
  return Error(Code::corrupt, "{}: field '{}' is not {}", what_, key, wanted);
}

Result<std::string> Fields::text(std::string_view key) const {
  const json::value* const value = find(key);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return wrong(key, "a text");
  return text_of(value->get_string());
}

Result<int64_t> Fields::number(std::string_view key) const {
  const json::value* const value = find(key);
  if (value == nullptr) return int64_t{0};
  if (!value->is_int64()) return wrong(key, "a whole number");
  return value->get_int64();
}

Result<bool> Fields::truth(std::string_view key) const {
  const json::value* const value = find(key);
  if (value == nullptr) return false;
  if (!value->is_bool()) return wrong(key, "true or false");
  return value->get_bool();
}

Result<std::vector<std::string>> Fields::texts(std::string_view key) const {
  const json::value* const value = find(key);
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (value->is_string()) return std::vector<std::string>{text_of(value->get_string())};
  if (!value->is_array()) return wrong(key, "a list of texts");
  for (const json::value& item : value->get_array()) {
    if (!item.is_string()) return wrong(key, "a list of texts");
    out.push_back(text_of(item.get_string()));
  }
  return out;
}

Result<std::map<std::string, std::string>> Fields::map(std::string_view key) const {
  std::map<std::string, std::string> out;
  const json::object* const fields = TRY(object(key));
  if (fields == nullptr) return out;
  for (const auto& field : *fields) {
    if (!field.value().is_string()) return wrong(key, "an object of texts");
    out.emplace(std::string(field.key()), text_of(field.value().get_string()));
  }
  return out;
}

Result<std::vector<std::string>> Fields::keys(std::string_view key) const {
  std::vector<std::string> out;
  const json::object* const fields = TRY(object(key));
  if (fields == nullptr) return out;
  for (const auto& field : *fields) out.emplace_back(field.key());
  std::sort(out.begin(), out.end());
  return out;
}

Result<const json::object*> Fields::object(std::string_view key) const {
  const json::value* const value = find(key);
  if (value == nullptr) return static_cast<const json::object*>(nullptr);
  if (!value->is_object()) return wrong(key, "an object");
  return &value->get_object();
}

Result<const json::array*> Fields::list(std::string_view key, size_t limit) const {
  const json::value* const value = find(key);
  if (value == nullptr) return static_cast<const json::array*>(nullptr);
  if (!value->is_array()) return wrong(key, "a list");
  if (value->get_array().size() > limit) {
    return Error(Code::invalid, "{}: '{}' has {} elements, want at most {}", what_, key,
                 value->get_array().size(), limit);
  }
  return &value->get_array();
}

}  // namespace kist::oci
