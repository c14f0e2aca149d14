#include "registry_server/access.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>

#include "base/text.h"
#include "http_server/request_text.h"
#include "os/files.h"
#include "registry_server/access_parts.h"
#include "registry_server/names.h"
#include "registry_server/token_keys.h"

namespace kist::registry_server {
namespace {

constexpr uint64_t kMaxFile = 4u << 20;
constexpr size_t kMaxPassword = 1024;  // bcrypt looks at 72 bytes.
constexpr size_t kMaxKnown = 10'000;
constexpr std::chrono::seconds kKnownFor{60};
// Of no password; compared with when the user does not exist, so that both take as long.
constexpr std::string_view kNobody = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde";

bool is_bcrypt(std::string_view hash) {
  return hash.size() == 60 && (hash.starts_with("$2y$") || hash.starts_with("$2b$") || hash.starts_with("$2a$"));
}

bool same(std::string_view a, std::string_view b) { return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

bool fits_hash(const std::string& password, std::string_view hash) {
  crypt_data data = {};
  const char* result = ::crypt_r(password.c_str(), std::string(hash).c_str(), &data);
  const bool fits = result != nullptr && same(result, hash);
  ::OPENSSL_cleanse(&data, sizeof data);
  return fits;
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  KIST_ASSERT(::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(), raw, &size) != nullptr);
  return {reinterpret_cast<const char*>(raw), size};
}

bool has_right(const std::vector<Right>& rights, Right right) {
  return std::find(rights.begin(), rights.end(), right) != rights.end();
}

std::string_view action_of(Right right) {
  switch (right) {
    case Right::read: return "pull";
    case Right::write: return "push";
    case Right::remove: return "delete";
  }
  return "";
}

Result<std::map<std::string, std::string, std::less<>>> parse_htpasswd(std::string_view text) {
  std::map<std::string, std::string, std::less<>> users;
  size_t number = 0;
  for (const std::string_view raw : lines(text)) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.starts_with('#')) continue;
    const size_t colon = line.find(':');
    const std::string_view hash = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (colon == 0 || !is_bcrypt(hash))
      return Error(Code::invalid, "line {} is not 'user:' and a bcrypt hash", number).hint("`htpasswd -B FILE USER` writes such lines");
    users[std::string(line.substr(0, colon))] = std::string(hash);
  }
  return users;
}

std::optional<Grant> parse_scope(std::string_view scope) {
  constexpr std::string_view kKind = "repository:";
  if (!scope.starts_with(kKind)) return std::nullopt;
  scope.remove_prefix(kKind.size());
  const size_t colon = scope.rfind(':');
  if (colon == std::string_view::npos || !is_repository_name(scope.substr(0, colon))) return std::nullopt;
  Grant grant{std::string(scope.substr(0, colon)), {}};
  for (const std::string_view action : split(scope.substr(colon + 1), ','))
    for (const Right right : {Right::read, Right::write, Right::remove})
      if ((action == action_of(right) || action == "*") && !has_right(grant.rights, right)) grant.rights.push_back(right);
  return grant;
}

Result<std::unique_ptr<Access>> Access::make(AccessOptions options) {
  auto access = std::unique_ptr<Access>(new Access(std::move(options)));
  access->process_key_.resize(32);
  if (::RAND_bytes(reinterpret_cast<unsigned char*>(access->process_key_.data()), 32) != 1)
    return Error(Code::unavailable, "no random numbers");
  TRY(access->reload());
  return access;
}

Access::~Access() = default;

std::array<std::optional<os::Stamp>, 3> Access::stamps() const {
  const auto of = [](const std::string& path) { return path.empty() ? std::nullopt : os::stamp(path); };
  const TokenServer none;
  const TokenServer& server = options_.token_server ? *options_.token_server : none;
  return {of(options_.htpasswd), of(server.certificates), of(server.jwks)};
}

Result<void> Access::reload_users() {
  if (options_.htpasswd.empty()) return {};
  const std::string text = TRY(os::read_file(options_.htpasswd, kMaxFile), "file of users");
  auto users = TRY(parse_htpasswd(text), "users of '{}'", options_.htpasswd);
  const std::scoped_lock lock(mutex_);
  hashes_ = std::move(users);
  known_.clear();
  return {};
}

Result<void> Access::reload_keys() {
  if (!options_.token_server) return {};
  auto keys = TRY(TokenKeys::load(options_.token_server->certificates, options_.token_server->jwks), "keys of the token server");
  const std::scoped_lock lock(mutex_);
  token_keys_ = std::move(keys);
  return {};
}

Result<void> Access::reload() {
  {
    const auto now = stamps();
    const std::scoped_lock lock(mutex_);
    stamps_ = now;  // What is wrong with a file is told once.
  }
  auto users = reload_users();
  auto keys = reload_keys();
  return users ? std::move(keys) : std::move(users);
}

Result<void> Access::reload_if_changed() {
  const auto now = stamps();
  bool has_changed = false;
  {
    const std::scoped_lock lock(mutex_);
    // A file that is just being replaced is looked at the next time.
    for (size_t i = 0; i < now.size(); ++i) has_changed = has_changed || (now[i] && now[i] != stamps_[i]);
  }
  return has_changed ? reload() : Result<void>();
}

std::string Access::fingerprint(std::string_view authorization) const { return hmac_sha256(process_key_, authorization); }

Access::Check Access::identify(std::string_view authorization, int64_t now_s, Identity& identity, std::string* why) const {
  if (authorization.empty()) return Check::known;
  if (const std::string_view token = http_server::parse_bearer(authorization); !token.empty()) {
    if (!wants_tokens()) return Check::wrong;
    auto parsed = options_.token_server ? parse_foreign_token(token, now_s) : parse_token(token, now_s);
    if (!parsed) {
      if (why != nullptr) *why = parsed.error().message();
      return Check::wrong;
    }
    identity = std::move(*parsed);
    return Check::known;
  }
  if (!http_server::parse_basic(authorization)) return Check::wrong;
  // Without users, credentials mean nothing; clients send what they have.
  if (options_.htpasswd.empty()) return Check::known;
  const std::string print = fingerprint(authorization);
  const std::scoped_lock lock(mutex_);
  const auto at = known_.find(print);
  if (at == known_.end() || at->second.until < std::chrono::steady_clock::now()) return Check::unknown;
  identity.user = at->second.user;
  return Check::known;
}

std::optional<Identity> Access::check_password(std::string_view authorization) const {
  const auto pair = http_server::parse_basic(authorization);
  if (!pair || pair->second.size() > kMaxPassword) return std::nullopt;
  std::string hash(kNobody);
  bool exists = false;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto at = hashes_.find(pair->first); at != hashes_.end()) {
      hash = at->second;
      exists = true;
    }
  }
  if (!fits_hash(pair->second, hash) || !exists) return std::nullopt;
  const auto now = std::chrono::steady_clock::now();
  const std::string print = fingerprint(authorization);
  const std::scoped_lock lock(mutex_);
  if (known_.size() >= kMaxKnown) known_.clear();
  known_[print] = {pair->first, now + kKnownFor};
  return Identity{.user = pair->first, .grants = std::nullopt, .may_list = false, .is_foreign = false};
}

bool Access::may_by_rules(const std::string& user, Right right, const std::string& repository) const {
  if (is_open()) return true;
  if (has_right(options_.anonymous, right)) return true;
  if (!user.empty() && options_.rules.empty()) return true;
  for (const Rule& rule : options_.rules) {
    const bool is_for = std::any_of(rule.users.begin(), rule.users.end(), [&](const std::string& name) {
      return user.empty() ? name == "anonymous" : name == "*" || name == user;
    });
    if (!is_for || !has_right(rule.rights, right)) continue;
    for (const std::string& pattern : rule.repositories)
      if (fits_pattern(repository, pattern)) return true;
  }
  return false;
}

bool Access::may(const Identity& identity, Right right, const std::string& repository) const {
  // What the rules say now counts, also for a token of before they changed. Without rules another server's token
  // says all there is to know.
  const bool has_rules = !identity.is_foreign || !options_.rules.empty();
  if (has_rules && !may_by_rules(identity.user, right, repository)) return false;
  if (!identity.grants) return true;
  if (identity.user.empty() && has_right(options_.anonymous, right)) return true;
  for (const Grant& grant : *identity.grants)
    if (grant.repository == repository && has_right(grant.rights, right)) return true;
  return false;
}

bool Access::may_list(const Identity& identity) const {
  if (identity.is_foreign) return identity.may_list;
  return is_open() || !identity.user.empty() || has_right(options_.anonymous, Right::read);
}

}  // namespace kist::registry_server
