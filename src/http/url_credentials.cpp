#include "http/url_credentials.h"

#include <algorithm>

namespace kist::http {
namespace {

constexpr std::string_view kSeparator = "://";
constexpr size_t kMaxCredentials = 1000;

bool is_scheme_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+';
}

// "https" of "git+https".
std::string_view scheme_before(std::string_view text, size_t colon) {
  size_t start = colon;
  while (start > 0 && is_scheme_char(text[start - 1])) --start;
  const std::string_view scheme = text.substr(start, colon - start);
  return scheme.substr(scheme.rfind('+') + 1);
}

}  // namespace

std::vector<OriginCredentials> credentials_in(std::string_view text) {
  std::vector<OriginCredentials> out;
  for (size_t colon = text.find(kSeparator); colon != std::string_view::npos;
       colon = text.find(kSeparator, colon + kSeparator.size())) {
    std::string_view authority = text.substr(colon + kSeparator.size());
    authority = authority.substr(0, authority.find_first_of("/?# \t\r\n\"'<>,;"));
    const std::string_view scheme = scheme_before(text, colon);
    if (authority.find('@') == std::string_view::npos || (scheme != "https" && scheme != "http"))
      continue;
    const std::string url = fmt::format("{}://{}/", scheme, authority);
    const std::string origin = origin_of(url);
    const bool is_known = std::any_of(out.begin(), out.end(), [&](const OriginCredentials& known) {
      return known.origin == origin;
    });
    if (is_known || out.size() >= kMaxCredentials) continue;
    out.push_back({origin, Secret(split_credentials(url).second)});
  }
  return out;
}

}  // namespace kist::http
