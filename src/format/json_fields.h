// Structs as JSON objects, by one list of their fields for both directions:
//
//   template <class F> void fields(F& f, Point& p) { f("x", p.x); f("y", p.y); }
//   JsonWriter writer([](auto& f, auto& value) { fields(f, value); });
//
// Empty and false fields are left out when written; missing ones stay as they are when read.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace kist::format {

template <class Fields>
class JsonWriter {
 public:
  explicit JsonWriter(Fields list) : list_(list) {}

  template <class T>
  boost::json::object object_of(const T& value) {
    JsonWriter inner(list_);
    // The list serves reading too, so it takes what can be written to; nothing here does.
    list_(inner, const_cast<T&>(value));
    return std::move(inner.out_);
  }

  template <class T>
  void operator()(const char* name, T& value) {
    out_[name] = value_of(value);
  }

 private:
  template <class T>
  boost::json::value value_of(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      return value;
    } else if constexpr (std::is_same_v<T, std::string>) {
      return boost::json::value(value);
    } else {
      return object_of(value);
    }
  }
  template <class T>
  boost::json::value value_of(const std::vector<T>& values) {
    boost::json::array out;
    for (const T& value : values) out.push_back(value_of(value));
    return out;
  }
  boost::json::value value_of(const std::map<std::string, std::string>& values) {
    boost::json::object out;
    for (const auto& [key, value] : values) out[key] = value;
    return out;
  }

  Fields list_;
  boost::json::object out_;
};

template <class Fields>
class JsonReader {
 public:
  explicit JsonReader(Fields list) : list_(list) {}

  template <class T>
  void read(const boost::json::object& from, T& value) {
    const boost::json::object* outer = std::exchange(from_, &from);
    list_(*this, value);
    from_ = outer;
  }
  /// The first field of a wrong type; empty: none.
  const std::string& wrong() const { return wrong_; }

  template <class T>
  void operator()(const char* name, T& value) {
    const boost::json::value* found = from_->if_contains(name);
    if (found != nullptr && !take(*found, value) && wrong_.empty()) wrong_ = name;
  }

 private:
  bool take(const boost::json::value& from, bool& value) {
    if (from.is_bool()) value = from.get_bool();
    return from.is_bool();
  }
  bool take(const boost::json::value& from, double& value) {
    if (!from.is_number()) return false;
    value = from.to_number<double>();
    return true;
  }
  template <class T>
    requires std::is_integral_v<T>
  bool take(const boost::json::value& from, T& value) {
    boost::system::error_code failed;
    const T number = from.is_number() ? from.to_number<T>(failed) : T();
    if (!from.is_number() || failed) return false;
    value = number;
    return true;
  }
  bool take(const boost::json::value& from, std::string& value) {
    if (!from.is_string()) return false;
    value.assign(from.get_string().data(), from.get_string().size());
    return true;
  }
  template <class T>
  bool take(const boost::json::value& from, std::vector<T>& values) {
    if (!from.is_array()) return false;
    values.clear();
    for (const boost::json::value& item : from.get_array()) {
      T value{};
      if (!take(item, value)) return false;
      values.push_back(std::move(value));
    }
    return true;
  }
  bool take(const boost::json::value& from, std::map<std::string, std::string>& values) {
    if (!from.is_object()) return false;
    values.clear();
    for (const auto& item : from.get_object()) {
      std::string value;
      if (!take(item.value(), value)) return false;
      values.emplace(std::string(item.key()), std::move(value));
    }
    return true;
  }
  template <class T>
    requires std::is_class_v<T>
  bool take(const boost::json::value& from, T& value) {
    if (!from.is_object()) return false;
    read(from.get_object(), value);
    return true;
  }

  Fields list_;
  const boost::json::object* from_ = nullptr;
  std::string wrong_;
};

/// A document of ours: an object with this "version". Bytes need not be UTF-8: paths and variables may
/// hold any but NUL. Errors: corrupt; the caller adds which document it was.
inline Result<boost::json::object> parse_object(std::string_view text, size_t max_bytes, int version) {
  if (text.size() > max_bytes)
    return Error(Code::corrupt, "{} bytes, at most {} are read", text.size(), max_bytes);
  boost::system::error_code failed;
  boost::json::parse_options any_bytes;
  any_bytes.allow_invalid_utf8 = true;
  const boost::json::value root = boost::json::parse({text.data(), text.size()}, failed, {}, any_bytes);
  if (failed || !root.is_object()) return Error(Code::corrupt, "no JSON: {}", failed ? failed.message() : "no object");
  const auto found = root.get_object().if_contains("version");
  if (found == nullptr || !found->is_int64() || found->get_int64() != version)
    return Error(Code::corrupt, "another version than {}", version);
  return root.get_object();
}

}  // namespace kist::format
