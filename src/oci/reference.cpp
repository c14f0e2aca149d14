#include "oci/reference.h"

#include "base/text.h"

namespace kist::oci {
namespace {

constexpr size_t kMaxNameBytes = 255;  // As docker: registry and repository together.
constexpr size_t kMaxTagBytes = 128;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return (c >= 'a' && c <= 'z') || is_digit(c); }
bool is_word(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

Error bad(std::string_view text, std::string_view why) {
  return Error(Code::invalid, "image name '{}' {}", printable(text), why)
      .hint("write it as `[REGISTRY/]NAME[:TAG]`, the name in lower case");
}

// [a-z0-9]+ with ".", "_", "__" or any number of "-" between.
bool is_component(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const size_t start = i;
    while (i < text.size() && is_lower(text[i])) ++i;
    if (i == start) return false;
    if (i == text.size()) return true;
    const size_t separator = i;
    while (i < text.size() && text[i] == text[separator] && !is_lower(text[i])) ++i;
    const size_t length = i - separator;
    const char c = text[separator];
    if (!(c == '-' || (c == '.' && length == 1) || (c == '_' && length <= 2))) return false;
    if (i == text.size()) return false;
  }
  return false;
}

// Labels of letters, digits and inner '-', an address in brackets, and perhaps a port.
bool is_registry(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close == 1) return false;
    if (text.substr(1, close - 1).find_first_not_of("0123456789abcdefABCDEF:.") !=
        std::string_view::npos)
      return false;
    text.remove_prefix(close + 1);
    if (text.empty()) return true;
    if (text.front() != ':') return false;
  } else {
    const std::string_view host = text.substr(0, text.find(':'));
    for (const std::string_view label : split(host, '.')) {
      if (label.empty() || label.front() == '-' || label.back() == '-') return false;
      for (const char c : label)
        if ((!is_word(c) && c != '-') || c == '_') return false;
    }
    if (host.size() == text.size()) return true;
    text.remove_prefix(host.size());
  }
  const auto port = parse_number(text.substr(1));
  return port && *port > 0 && *port < 65536;
}

// docker's rule: the first component is a registry if it cannot be a plain one.
bool looks_like_registry(std::string_view text) {
  if (text == "localhost" || text.find_first_of(".:[") != std::string_view::npos) return true;
  return to_lower(text) != text;
}

bool is_tag(std::string_view text) {
  if (text.empty() || text.size() > kMaxTagBytes || !is_word(text.front())) return false;
  for (const char c : text)
    if (!is_word(c) && c != '.' && c != '-') return false;
  return true;
}

}  // namespace

Result<Reference> Reference::parse(std::string_view text, std::string_view default_registry) {
  Reference out;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    out.digest = TRY(Digest::parse(rest.substr(at + 1)), "image name '{}'", printable(text));
    rest = rest.substr(0, at);
  }
  const size_t slash = rest.rfind('/');
  const size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    if (!is_tag(rest.substr(colon + 1))) {
      return bad(text, fmt::format("has the tag '{}', want up to {} of A-Z a-z 0-9 _ . -",
                                   printable(rest.substr(colon + 1), 40), kMaxTagBytes));
    }
    out.tag = std::string(rest.substr(colon + 1));
    rest = rest.substr(0, colon);
  }
  if (rest.empty()) return bad(text, "is empty");
  if (rest.size() > kMaxNameBytes)
    return bad(text, fmt::format("has {} bytes before the tag, want at most {}", rest.size(),
                                 kMaxNameBytes));
  const size_t first = rest.find('/');
  if (first != std::string_view::npos && looks_like_registry(rest.substr(0, first))) {
    if (!is_registry(rest.substr(0, first)))
      return bad(text, fmt::format("has the registry '{}', which is no host and port",
                                   printable(rest.substr(0, first), 60)));
    out.registry = std::string(rest.substr(0, first));
    rest = rest.substr(first + 1);
  }
  for (const std::string_view component : split(rest, '/')) {
    if (is_component(component)) continue;
    if (to_lower(component) != component && is_component(to_lower(component)))
      return bad(text, "has upper-case letters");
    return bad(text, fmt::format("has the component '{}'", printable(component, 60)));
  }
  out.repository = std::string(rest);
  // Sixty-four digits would be read as an id everywhere else.
  if (out.registry.empty() && out.repository.size() == 2 * Digest::kBytes &&
      Digest::parse_hex(out.repository))
    return bad(text, "has 64 hex digits, which is an id");
  if (!default_registry.empty() && out.registry == default_registry) out.registry.clear();
  return out;
}

std::string Reference::repository_name() const {
  return registry.empty() ? repository : registry + "/" + repository;
}

std::string Reference::name() const {
  return fmt::format("{}:{}", repository_name(), tag.empty() ? kDefaultTag : std::string_view(tag));
}

std::string Reference::string() const {
  std::string out = repository_name();
  if (!tag.empty()) out += ":" + tag;
  if (digest) out += "@" + digest->string();
  return out;
}

bool is_id_prefix(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  return !text.empty() && text.size() <= 2 * Digest::kBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace kist::oci
