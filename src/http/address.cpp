#include "http/address.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace kist::http {

std::string file_name_of_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  url.remove_prefix(std::min(url.rfind('/') + 1, url.size()));
  return percent_decode(url).value_or(std::string(url));
}

std::string file_url(std::string_view path) {
  std::string out = "file://";
  for (const char c : path) {
    const bool plain = static_cast<unsigned char>(c) > 0x20 && c != '%' && c != '#' && c != '?' && c != '"';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace kist::http
