// Strings in JSON, for documents that are written by hand. Module-private.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/text.h"

namespace kist::registry_server {

/// With its quotes; what is not UTF-8 is shown as \xNN.
inline std::string json_quoted(std::string_view text) {
  const std::string clean = is_valid_utf8(text) ? std::string(text) : printable(text, text.size());
  return boost::json::serialize(boost::json::string_view(clean.data(), clean.size()));
}

}  // namespace kist::registry_server
