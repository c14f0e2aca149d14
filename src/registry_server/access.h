// Who may do what. Users come from an htpasswd file (bcrypt), or show a token that this registry gave
// them; rules say which repositories they may read, write, and delete from.
//
// Threads: all methods from any.
#pragma once

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
};

struct AccessOptions {
  std::string htpasswd;              // A file; empty: no users. Read again when it changes.
  std::vector<Rule> rules;           // None: whoever has logged in may everything.
  std::vector<Right> anonymous;      // Everywhere, without logging in.
  bool has_tokens = false;           // Clients are sent to /token first.
  http::Secret token_key;            // At least 32 bytes.
  std::chrono::seconds token_lifetime{300};
  std::string service = "kist-registry";
};

class Access {
 public:
  /// Errors: not_found, invalid (a line of the file, or a hash that is not bcrypt).
  static Result<std::unique_ptr<Access>> make(AccessOptions options);

  /// Everybody may everything: no users are configured.
  bool is_open() const { return options_.htpasswd.empty() && options_.rules.empty() && options_.anonymous.empty(); }

  enum class Check {
    known,    // `identity` is true.
    unknown,  // Needs check_password(), which takes a tenth of a second by design.
    wrong,    // A bad or old token, or a header that is none.
  };
  /// Of the Authorization field; empty: anonymous. Quick.
  Check identify(std::string_view authorization, int64_t now_s, Identity& identity) const;
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

  const AccessOptions& options() const { return options_; }
  /// Reads the file of users again. Errors: those of make(); the old users stay.
  Result<void> reload();
  void reload_if_changed();

 private:
  explicit Access(AccessOptions options) : options_(std::move(options)) {}
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
  std::optional<int64_t> file_changed_ns_;
};

/// Lines "user:$2y$…"; others are errors. Pure.
Result<std::map<std::string, std::string, std::less<>>> parse_htpasswd(std::string_view text);
/// "repository:team/tool:pull,push"; "*" is all rights. None: of another kind, or not well formed.
std::optional<Grant> parse_scope(std::string_view scope);

}  // namespace kist::registry_server
