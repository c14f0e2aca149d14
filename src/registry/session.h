// Calls to one registry: the right protocol, credentials when it asks for them, and patience.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/stream.h"
#include "registry/address.h"
#include "registry/credentials.h"

namespace kist::registry {

/// Threads: any. What it learns (protocol, tokens) serves all calls after.
class Session {
 public:
  /// `network` is used without its credentials, which are those of package indexes.
  Session(Address address, Host host, const http::Config& network);

  const Address& address() const { return address_; }
  /// "https://host/v2/<repository>/" and what follows.
  std::string url(std::string_view rest) const;
  /// An address that the registry gave, "/v2/…" or whole. Errors: denied (from TLS to none).
  Result<std::string> resolve(std::string_view location) const;

  /// Asks, with what is needed of credentials for these scopes; tries again what may pass by itself, if
  /// it can be repeated (no Call::source). The answer may have any status but 401 once there were
  /// credentials to show. `call.url` must come from url() or resolve().
  /// Errors: those of Streams::open(); denied (no credentials fit), unavailable (429, 5xx at the end).
  Result<http::Stream> call(const http::Call& call, const std::vector<std::string>& scopes);

  /// For `login`: these instead of those that are kept.
  void use(Credentials credentials);

 private:
  Result<http::Stream> try_once(const http::Call& call, const std::string& authorization);
  Result<std::string> answer_challenge(const http::Head& head, const std::vector<std::string>& scopes);
  Result<std::string> ask_for_token(const std::map<std::string, std::string>& parameters,
                                    const std::vector<std::string>& scopes);
  Result<std::optional<Credentials>> credentials();
  std::string known_authorization(const std::vector<std::string>& scopes);
  bool is_own(std::string_view url) const;

  Address address_;
  Host host_;
  http::Streams streams_;
  mutable std::mutex mutex_;  // Guards what follows.
  std::string scheme_;        // "https" until it is known better.
  bool knows_scheme_ = false;
  bool has_looked_ = false;
  std::optional<Credentials> credentials_;
  std::map<std::string, std::string> tokens_;  // Scopes, joined → what to send.
  bool wants_basic_ = false;
};

/// What an answer that was no success says, in words. Reads the rest of it.
/// `what`: "pull team/tool".
Error refusal(http::Stream& answer, const Address& address, std::string_view what);

}  // namespace kist::registry
