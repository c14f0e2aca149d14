#include "registry/challenge.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"

namespace kist::registry {
namespace {

constexpr size_t kMostChallenges = 16;
constexpr size_t kMostTokenBytes = 128 << 10;  // Servers take heads of some 8 to 64 KiB.

bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void skip(std::string_view chars) {
    while (at_ < text_.size() && chars.find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool at_end() const { return at_ >= text_.size(); }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string token() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_token_char(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  // A token or a quoted string.
  std::string value() {
    if (!take('"')) return token();
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out += text_[at_++];
    }
    take('"');
    return out;
  }
  size_t position() const { return at_; }
  void back_to(size_t position) { at_ = position; }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

// "host[:port]" of an address.
std::string host_of(std::string_view url) {
  const size_t begin = url.find("://");
  if (begin == std::string_view::npos) return "";
  const std::string_view rest = url.substr(begin + 3);
  std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  if (const size_t at = host.rfind('@'); at != std::string_view::npos) host.remove_prefix(at + 1);
  return to_lower(host);
}

std::string_view name_of(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

// The last two labels of a name, and three where anybody may have a name below two ("co.uk", "com.au"):
// short ones before a country's. An address as a whole.
std::string_view domain_of(std::string_view name) {
  if (name.starts_with('[') || name.find_first_not_of("0123456789.") == std::string_view::npos) return name;
  const size_t last = name.rfind('.');
  if (last == std::string_view::npos || last == 0) return name;
  size_t begin = name.rfind('.', last - 1);
  if (begin == std::string_view::npos || begin == 0) return name;
  const bool is_shared = name.size() - last - 1 == 2 && last - begin - 1 <= 3;
  if (is_shared) begin = name.rfind('.', begin - 1);
  return begin == std::string_view::npos ? name : name.substr(begin + 1);
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> out;
  Reader reader(header);
  while (out.size() < kMostChallenges) {
    reader.skip(" \t,=");  // The padding of what is no parameter: "NTLM TlRM==".
    Challenge challenge{.scheme = to_lower(reader.token()), .parameters = {}};
    if (challenge.scheme.empty()) break;
    while (true) {
      reader.skip(" \t,");
      const size_t begin = reader.position();
      const std::string name = to_lower(reader.token());
      reader.skip(" \t");
      if (name.empty() || !reader.take('=')) {
        reader.back_to(begin);  // The scheme of the next one, or the end.
        break;
      }
      reader.skip(" \t");
      challenge.parameters.emplace(name, reader.value());
    }
    out.push_back(std::move(challenge));
  }
  return out;
}

bool may_have_password(std::string_view registry, bool registry_is_plain, std::string_view realm) {
  const std::string own = to_lower(registry);
  const std::string theirs = host_of(realm);
  const bool is_tls = to_lower(realm.substr(0, 8)) == "https://";
  if (theirs.empty() || (!is_tls && !registry_is_plain)) return false;
  if (name_of(theirs) == name_of(own)) return true;
  return is_tls && domain_of(name_of(theirs)) == domain_of(name_of(own)) &&
         domain_of(name_of(own)).find('.') != std::string_view::npos;
}

Result<http::Secret> parse_token(std::string_view text) {
  boost::system::error_code failed;
  const auto value = boost::json::parse({text.data(), text.size()}, failed);
  if (!failed && value.is_object())
    for (const char* key : {"token", "access_token"}) {
      const auto* token = value.get_object().if_contains(key);
      if (token == nullptr || !token->is_string() || token->get_string().empty()) continue;
      const std::string_view found = token->get_string();
      // It becomes part of a header.
      const bool is_plain = std::all_of(found.begin(), found.end(), [](char c) { return c > ' ' && c < 0x7f; });
      if (is_plain && found.size() <= kMostTokenBytes) return http::Secret(std::string(found));
    }
  return Error(Code::corrupt, "the token server's answer has no token in it");
}

std::string scope_of(std::string_view repository, bool push) {
  return fmt::format("repository:{}:{}", repository, push ? "pull,push" : "pull");
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~").find(c) != std::string_view::npos) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace kist::registry
