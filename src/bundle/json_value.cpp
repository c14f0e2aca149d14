#include "bundle/json_value.h"

#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include "base/text.h"

namespace kist::bundle {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxItems = 65536;      // Of one array or object.
constexpr size_t kMaxText = 1u << 20;  // Of one string.

std::string member_path(const std::string& folder, std::string_view key) {
  if (folder.empty()) return printable(key, 80);
  return fmt::format("{}.{}", folder, printable(key, 80));
}

}  // namespace

Document::Document(std::string_view bytes) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::system::error_code failure;
  json::stream_parser parser(json::storage_ptr(&memory_), options);
  const size_t parsed = parser.write_some(bytes.data(), bytes.size(), failure);
  if (!failure && parsed < bytes.size() &&
      bytes.find_first_not_of(" \t\r\n", parsed) != std::string_view::npos)
    failure = json::error::extra_data;
  if (!failure) parser.finish(failure);
  if (failure || !parser.done()) {
    error_ = Error(Code::invalid, "not JSON: {} at byte {}",
                   failure ? failure.message() : std::string("incomplete"), parsed);
    return;
  }
  json_ = parser.release();
  if (!json_.is_object()) error_ = Error(Code::invalid, "not a JSON object");
}

std::string Value::shown() const {
  if (json_ == nullptr) return "nothing";
  if (json_->is_object()) return "an object";
  if (json_->is_array()) return "a list";
  return printable(json::serialize(*json_), 80);
}

void Value::refuse(Code code, std::string what) const {
  if (!document_->error_) document_->error_ = Error(code, "{}: {}", path_, what);
}

Value Value::operator[](std::string_view key) const {
  std::string path = member_path(path_, key);
  if (!present()) return Value(*document_, nullptr, std::move(path));
  const json::object* object = json_->if_object();
  if (object == nullptr) {
    wrong("want an object, got {}", shown());
    return Value(*document_, nullptr, std::move(path));
  }
  return Value(*document_, object->if_contains(key), std::move(path));
}

void Value::to(std::string& out) const {
  if (!present()) return;
  const json::string* text = json_->if_string();
  if (text == nullptr) return wrong("want a string, got {}", shown());
  if (text->size() > kMaxText) return wrong("longer than {} bytes", kMaxText);
  // All of them end at the kernel, which ends them at a NUL: what was checked must be what is used.
  if (std::string_view(*text).find('\0') != std::string_view::npos)
    return wrong("has a NUL byte");
  out.assign(text->data(), text->size());
}

void Value::to(bool& out) const {
  if (!present()) return;
  if (!json_->is_bool()) return wrong("want true or false, got {}", shown());
  out = json_->get_bool();
}

void Value::to(std::vector<std::string>& out) const {
  out.clear();
  each([&](const Value& item) {
    std::string text;
    if (!item.present()) item.wrong("want a string, got null");
    item.to(text);
    out.push_back(std::move(text));
  });
}

void Value::each(const std::function<void(const Value&)>& visit) const {
  if (!present()) return;
  const json::array* array = json_->if_array();
  if (array == nullptr) return wrong("want a list, got {}", shown());
  if (array->size() > kMaxItems) return wrong("more than {} items", kMaxItems);
  for (size_t i = 0; i < array->size() && !document_->error_; ++i)
    visit(Value(*document_, &(*array)[i], fmt::format("{}[{}]", path_, i)));
}

void Value::members(const std::function<void(std::string_view, const Value&)>& visit) const {
  if (!present()) return;
  const json::object* object = json_->if_object();
  if (object == nullptr) return wrong("want an object, got {}", shown());
  if (object->size() > kMaxItems) return wrong("more than {} members", kMaxItems);
  for (const auto& member : *object) {
    if (document_->error_) return;
    const std::string_view name(member.key().data(), member.key().size());
    const Value value(*document_, &member.value(), member_path(path_, name));
    if (name.find('\0') != std::string_view::npos) return value.wrong("its name has a NUL byte");
    visit(name, value);
  }
}

uint64_t Value::integer(int64_t lowest, uint64_t highest) const {
  const auto refused = [&] {
    wrong("want an integer from {} to {}, got {}", lowest, highest, shown());
    return 0;
  };
  if (json_->is_uint64()) return json_->get_uint64() <= highest ? json_->get_uint64() : refused();
  if (!json_->is_int64()) return refused();
  const int64_t value = json_->get_int64();
  if (value < lowest || (value > 0 && static_cast<uint64_t>(value) > highest)) return refused();
  return static_cast<uint64_t>(value);
}

}  // namespace kist::bundle
