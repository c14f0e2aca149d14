// Reading fields of a JSON object with errors that name them. Module-private.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::oci {

/// Errors: corrupt (not JSON, deeper than 64, not an object), invalid (over kMaxDocumentBytes).
Result<boost::json::object> parse_object(std::string_view json, std::string_view what);

/// One object. A missing field and null are the empty value; another kind is an error.
class Fields {
 public:
  /// `what` is for messages: "manifest". Both must outlive this.
  Fields(const boost::json::object& object, std::string what)
      : object_(object), what_(std::move(what)) {}

  const boost::json::value* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  Result<std::string> text(std::string_view key) const;
  Result<int64_t> number(std::string_view key) const;
  Result<bool> truth(std::string_view key) const;
  /// A list of texts; a single text is a list of one, as old documents have it.
  Result<std::vector<std::string>> texts(std::string_view key) const;
  Result<std::map<std::string, std::string>> map(std::string_view key) const;
  /// The keys of an object whose values say nothing ({"80/tcp": {}}), sorted.
  Result<std::vector<std::string>> keys(std::string_view key) const;
  /// Null when missing.
  Result<const boost::json::object*> object(std::string_view key) const;
  Result<const boost::json::array*> list(std::string_view key, size_t limit) const;
  Error wrong(std::string_view key, std::string_view wanted) const;
  const std::string& what() const { return what_; }

 private:
  const boost::json::object& object_;
  std::string what_;
};

}  // namespace kist::oci
