// Who may do what. Users come from an htpasswd file (bcrypt), or show a token that this registry, or a
// server that it trusts, gave them; rules say which repositories they may read, write, and delete from.
//
// Threads: all methods from any.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/secret.h"
#include "os/files.h"

namespace kist::registry_server {

enum class Right { read, write, remove };

/// "pull", "push", "delete", as tokens and clients have it.
std::string_view action_of(Right right);

struct Rule {
  std::vector<std::string> users;         // Names; "*": who has logged in; "anonymous": who has not.
  std::vector<std::string> repositories;  // Patterns: names.h.
  std::vector<Right> rights;
};

/// What a token allows of one repository.
struct Grant {
  std::string repository;
  std::vector<Right> rights;
};

/// Who asks. Without a user: nobody has logged in.
struct Identity {
  std::string user;
  std::optional<std::vector<Grant>> grants;  // Of a token: nothing beyond them.
  bool may_list = false;                     // Of a token: the list of all repositories.
  bool is_foreign = false;                   // The token is another server's.
};

/// Another server that gives tokens for this registry, as docker-registry's `auth: token` has it.
struct TokenServer {
  std::string realm;         // "https://auth.example/token": where clients are sent.
  std::string service;       // What they ask for there.
  std::string issuer;        // A token's `iss`.
  std::string audience;      // Among a token's `aud`; empty: `service`.
  std::string certificates;  // Files of its keys (token_keys.h); one may be empty. Read again when they change.
  std::string jwks;
};

class TokenKeys;

struct AccessOptions {
  std::string htpasswd;              // A file; empty: no users. Read again when it changes.
  std::vector<Rule> rules;           // None: whoever has logged in may everything.
  std::vector<Right> anonymous;      // Everywhere, without logging in.
  bool has_tokens = false;           // Clients are sent to /token first.
  http::Secret token_key;            // At least 32 bytes.
  std::chrono::seconds token_lifetime{300};
  std::string service = "kist-registry";
  std::optional<TokenServer> token_server;  // Instead of users and tokens of our own.
};

class Access {
 public:
  /// Errors: not_found, invalid (a line of the file, or a hash that is not bcrypt; a key that is none).
  static Result<std::unique_ptr<Access>> make(AccessOptions options);
  ~Access();

  /// Everybody may everything: no users are configured.
  bool is_open() const {
    return options_.htpasswd.empty() && options_.rules.empty() && options_.anonymous.empty() && !options_.token_server;
  }
  bool wants_tokens() const { return options_.has_tokens || options_.token_server; }

  enum class Check {
    known,    // `identity` is true.
    unknown,  // Needs check_password(), which takes a tenth of a second by design.
    wrong,    // A bad or old token, or a header that is none.
  };
  /// Of the Authorization field; empty: anonymous. `why`: what is wrong, for who sent it. Quick.
  Check identify(std::string_view authorization, int64_t now_s, Identity& identity, std::string* why = nullptr) const;
  /// Compares the hash, in the same time whether the user exists or not, and remembers success for a
  /// minute. None: wrong. Takes as long as bcrypt wants.
  std::optional<Identity> check_password(std::string_view authorization) const;

  bool may(const Identity& identity, Right right, const std::string& repository) const;
  /// For the list of all repositories: has logged in, and not by a token for other things.
  bool may_list(const Identity& identity) const;

  /// A signed token for what of `scopes` ("repository:team/tool:pull,push") the identity may do.
  std::string make_token(const Identity& identity, const std::vector<std::string>& scopes, int64_t now_s) const;
  /// Errors: denied (signature, time, form).
  Result<Identity> parse_token(std::string_view token, int64_t now_s) const;
  /// One of the other server. Errors: denied (key, signature, issuer, audience, time, form).
  Result<Identity> parse_foreign_token(std::string_view token, int64_t now_s) const;

  const AccessOptions& options() const { return options_; }
  /// Reads the files of users and keys again. Errors: those of make(); what was read before stays.
  Result<void> reload();
  Result<void> reload_if_changed();

 private:
  explicit Access(AccessOptions options) : options_(std::move(options)) {}
  Result<void> reload_users();
  Result<void> reload_keys();
  std::array<std::optional<os::Stamp>, 3> stamps() const;
  bool may_by_rules(const std::string& user, Right right, const std::string& repository) const;
  std::string fingerprint(std::string_view authorization) const;

  struct Known {
    std::string user;
    std::chrono::steady_clock::time_point until;
  };
  AccessOptions options_;
  std::string process_key_;  // Fingerprints of passwords are worth nothing outside of this process.
  mutable std::mutex mutex_; // Guards what follows.
  std::map<std::string, std::string, std::less<>> hashes_;
  mutable std::map<std::string, Known> known_;
  std::shared_ptr<const TokenKeys> token_keys_;
  std::array<std::optional<os::Stamp>, 3> stamps_;
};

/// Lines "user:$2y$…"; others are errors. Pure.
Result<std::map<std::string, std::string, std::less<>>> parse_htpasswd(std::string_view text);
/// "repository:team/tool:pull,push"; "*" is all rights. None: of another kind, or not well formed.
std::optional<Grant> parse_scope(std::string_view scope);

}  // namespace kist::registry_server
