#include "http_server/request_text.h"

#include <strings.h>

#include <array>
#include <ctime>

#include "base/base64.h"
#include "base/text.h"

namespace kist::http_server {
namespace {

constexpr size_t kMaxQueryKeys = 100;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool has_scheme(std::string_view text, std::string_view scheme) {
  return text.size() > scheme.size() && ::strncasecmp(text.data(), scheme.data(), scheme.size()) == 0 &&
         text[scheme.size()] == ' ';
}

}  // namespace

const std::string* Target::find(std::string_view key) const {
  const auto at = query.find(key);
  return at == query.end() ? nullptr : &at->second;
}

std::optional<std::string> decode_percent(std::string_view text, bool is_form) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && is_form) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::string encode_percent(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<Target> parse_target(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (text.starts_with(scheme)) {
      const size_t slash = text.find('/', scheme.size());
      text = slash == std::string_view::npos ? std::string_view("/") : text.substr(slash);
    }
  if (!text.starts_with('/')) return Error(Code::invalid, "target '{}' has no path", printable(text));
  text = text.substr(0, text.find('#'));
  const size_t question = text.find('?');
  Target target;
  auto path = decode_percent(text.substr(0, question), false);
  if (!path || path->find('\0') != std::string::npos)
    return Error(Code::invalid, "target '{}' has a bad escape", printable(text));
  target.path = std::move(*path);
  if (question == std::string_view::npos) return target;
  for (const std::string_view pair : split(text.substr(question + 1), '&')) {
    if (pair.empty()) continue;
    if (target.query.size() == kMaxQueryKeys) return Error(Code::invalid, "more than {} keys in a query", kMaxQueryKeys);
    const size_t equals = pair.find('=');
    auto key = decode_percent(pair.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::string() : decode_percent(pair.substr(equals + 1), true);
    if (!key || !value) return Error(Code::invalid, "query '{}' has a bad escape", printable(pair));
    target.query.emplace(std::move(*key), std::move(*value));
  }
  return target;
}

ByteRange parse_range(std::string_view field, uint64_t size_bytes) {
  constexpr std::string_view kUnit = "bytes=";
  const ByteRange whole{ByteRange::Kind::whole, 0, size_bytes};
  const ByteRange none{ByteRange::Kind::unsatisfiable, 0, 0};
  if (!field.starts_with(kUnit) || field.find(',') != std::string_view::npos) return whole;
  const std::string_view range = trim(field.substr(kUnit.size()));
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return whole;
  const std::string_view from = range.substr(0, dash);
  const std::string_view to = range.substr(dash + 1);
  if (from.empty()) {
    const auto last = parse_number(to);
    if (!last) return whole;
    if (*last == 0 || size_bytes == 0) return none;
    const uint64_t size = std::min(*last, size_bytes);
    return {ByteRange::Kind::part, size_bytes - size, size};
  }
  const auto first = parse_number(from);
  const auto last = to.empty() ? std::optional<uint64_t>(UINT64_MAX) : parse_number(to);
  if (!first || !last) return whole;
  if (*first >= size_bytes || *last < *first) return none;
  return {ByteRange::Kind::part, *first, std::min(*last, size_bytes - 1) - *first + 1};
}

std::optional<ChunkRange> parse_content_range(std::string_view field) {
  field = trim(field);
  if (field.starts_with("bytes ") || field.starts_with("bytes=")) field = trim(field.substr(6));
  field = field.substr(0, field.find('/'));
  const size_t dash = field.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_number(field.substr(0, dash));
  const auto last = parse_number(field.substr(dash + 1));
  if (!first || !last || *last < *first || *last == UINT64_MAX) return std::nullopt;
  return ChunkRange{*first, *last};
}

bool names_tag(std::string_view field, std::string_view tag) {
  for (std::string_view one : split(field, ',')) {
    one = trim(one);
    if (one == "*") return true;
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == tag) return true;
  }
  return false;
}

std::string http_date(int64_t unix_seconds) {
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t when = unix_seconds;
  std::tm parts = {};
  ::gmtime_r(&when, &parts);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[static_cast<size_t>(parts.tm_wday)], parts.tm_mday,
                     kMonths[static_cast<size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                     parts.tm_sec);
}

std::optional<std::pair<std::string, std::string>> parse_basic(std::string_view authorization) {
  if (!has_scheme(authorization, "Basic")) return std::nullopt;
  const auto text = decode_base64(trim(authorization.substr(6)));
  if (!text || text->find('\0') != std::string::npos) return std::nullopt;
  const size_t colon = text->find(':');
  if (colon == std::string::npos) return std::nullopt;
  return std::pair{text->substr(0, colon), text->substr(colon + 1)};
}

std::string_view parse_bearer(std::string_view authorization) {
  return has_scheme(authorization, "Bearer") ? trim(authorization.substr(7)) : std::string_view();
}

}  // namespace kist::http_server
