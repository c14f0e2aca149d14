#include "http/client.h"

#include <algorithm>

#include "base/text.h"

namespace kist::http {
namespace {

constexpr std::string_view kHidden = "***";

struct Authority {
  size_t begin = 0;  // After "scheme://".
  size_t end = 0;    // Of user, host and port.
  size_t host = 0;   // After the last '@'; `begin` when there is none.
};

bool is_port(std::string_view text) {
  return text.empty() || text.find_first_not_of("0123456789") == std::string_view::npos;
}

Authority find_authority(std::string_view url) {
  Authority at;
  const size_t scheme = url.find("://");
  at.begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  at.end = std::min(url.find_first_of("/?#", at.begin), url.size());
  std::string_view text = url.substr(at.begin, at.end - at.begin);
  // A password with a bare '/', '?' or '#' ends the authority too early. It shows by a "port" that
  // is no number; what was meant goes to the last '@'.
  const size_t colon = text.find(':');
  const bool has_user = text.find('@') != std::string_view::npos;
  if (!has_user && !text.starts_with('[') && colon != std::string_view::npos &&
      !is_port(text.substr(colon + 1))) {
    const size_t last = url.rfind('@');
    if (last != std::string_view::npos && last > at.begin) {
      at.end = std::min(url.find_first_of("/?#", last), url.size());
      text = url.substr(at.begin, at.end - at.begin);
    }
  }
  const size_t user = text.rfind('@');
  at.host = user == std::string_view::npos ? at.begin : at.begin + user + 1;
  return at;
}

// Wrong in both directions does no harm that matters: a hidden page number is ugly, a shown token
// is a leak. Hence names by part, and any value that is as long as tokens are.
bool looks_secret(std::string_view name, std::string_view value) {
  constexpr size_t kTokenLength = 20;
  if (value.size() >= kTokenLength) return true;
  const std::string low = to_lower(name);
  for (const char* part :
       {"token", "key", "secret", "pass", "pwd", "auth", "sig", "cred", "session"})
    if (low.find(part) != std::string::npos) return true;
  return false;
}

std::string redact_query(std::string_view query) {
  std::string out;
  for (const std::string_view pair : split(query, '&')) {
    if (!out.empty()) out += '&';
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      out += looks_secret("", pair) ? kHidden : pair;
      continue;
    }
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    out += fmt::format("{}={}", name, looks_secret(name, value) ? kHidden : value);
  }
  return out;
}

// For the user part of an address: all but RFC 3986's unreserved characters.
std::string encode_user(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= 'a' && byte <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

}  // namespace

std::string redact(std::string_view url) {
  const Authority at = find_authority(url);
  std::string out(url.substr(0, at.begin));
  out += url.substr(at.host, at.end - at.host);
  const std::string_view rest = url.substr(at.end);
  const size_t fragment = std::min(rest.find('#'), rest.size());
  const size_t query = rest.find('?');
  if (query >= fragment) return printable(out + std::string(rest), 1000);
  out += rest.substr(0, query + 1);
  out += redact_query(rest.substr(query + 1, fragment - query - 1));
  out += rest.substr(fragment);
  return printable(out, 1000);
}

std::pair<std::string, std::string> split_credentials(std::string_view url) {
  if (url.find("://") == std::string_view::npos) return {std::string(url), ""};
  const Authority at = find_authority(url);
  if (at.host == at.begin) return {std::string(url), ""};
  std::string bare(url.substr(0, at.begin));
  bare += url.substr(at.host);
  const std::string_view user = url.substr(at.begin, at.host - at.begin - 1);
  return {bare, percent_decode(user).value_or(std::string(user))};
}

std::string with_credentials(std::string_view bare, std::string_view user,
                             std::string_view password) {
  std::string out(bare);
  const size_t scheme = out.find("://");
  if (scheme == std::string::npos) return out;
  out.insert(scheme + 3, fmt::format("{}:{}@", encode_user(user), encode_user(password)));
  return out;
}

std::string origin_of(std::string_view url) {
  const std::string bare = split_credentials(url).first;
  const size_t scheme = bare.find("://");
  if (scheme == std::string::npos) return "";
  return to_lower(std::string_view(bare).substr(0, bare.find_first_of("/?#", scheme + 3)));
}

}  // namespace kist::http
