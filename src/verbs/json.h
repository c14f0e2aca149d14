// What `--json` prints, built value by value.
#pragma once

#include <boost/json.hpp>

#include <string>

#include "base/text.h"

namespace kist::verbs {

/// JSON text is UTF-8; a name that is not is shown escaped.
inline boost::json::string json_text(std::string_view text) {
  return boost::json::string(is_valid_utf8(text) ? std::string(text) : printable(text, SIZE_MAX));
}

inline std::string json_line(const boost::json::value& value) {
  return boost::json::serialize(value);
}

}  // namespace kist::verbs
