// Reading JSON that somebody else wrote: a wrong field is named by its path, the first one wins, and
// reading goes on without checks after each step.
//
//   Document document(bytes);                         // Or its error() says what is no JSON.
//   Value root = document.root();
//   root["process"]["cwd"].to(spec.cwd);              // Absent, or null: spec.cwd stays.
//   if (document.error()) return *document.error();
#pragma once

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace kist::bundle {

class Document;

/// One value of a document, or its absence. Lives no longer than the document.
class Value {
 public:
  Value(Document& document, const boost::json::value* json, std::string path)
      : document_(&document), json_(json), path_(std::move(path)) {}

  bool present() const { return json_ != nullptr && !json_->is_null(); }
  const std::string& path() const { return path_; }
  /// The member `key`. Not an object: an error.
  Value operator[](std::string_view key) const;

  // Absent: nothing is changed.
  void to(std::string& out) const;
  void to(bool& out) const;
  void to(std::vector<std::string>& out) const;
  template <class Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
  void to(Integer& out) const {
    if (!present()) return;
    int64_t lowest = 0;
    if constexpr (std::is_signed_v<Integer>) lowest = std::numeric_limits<Integer>::min();
    out = static_cast<Integer>(
        integer(lowest, static_cast<uint64_t>(std::numeric_limits<Integer>::max())));
  }
  template <class T>
  void to(std::optional<T>& out) const {
    if (!present()) return;
    T value{};
    to(value);
    out = std::move(value);
  }
  void each(const std::function<void(const Value&)>& visit) const;
  void members(const std::function<void(std::string_view name, const Value&)>& visit) const;

  /// Says that this value is wrong: "PATH: WHAT".
  void refuse(Code code, std::string what) const;
  template <class... A>
  void wrong(fmt::format_string<A...> what, A&&... args) const {
    refuse(Code::invalid, fmt::format(what, std::forward<A>(args)...));
  }
  /// As text for messages: the value itself, shortened.
  std::string shown() const;

 private:
  uint64_t integer(int64_t lowest, uint64_t highest) const;

  Document* document_;
  const boost::json::value* json_;
  std::string path_;
};

/// A parsed text. Not movable: values point to it.
class Document {
 public:
  explicit Document(std::string_view bytes);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  Value root() { return Value(*this, error_ ? nullptr : &json_, ""); }
  const std::optional<Error>& error() const { return error_; }

 private:
  friend class Value;
  boost::json::monotonic_resource memory_;
  boost::json::value json_;
  std::optional<Error> error_;
};

}  // namespace kist::bundle
