// The keys by which another server signs its tokens, from a file of certificates or a JSON Web Key Set.
// What a token itself brings along (a key, an address of keys) is never trusted; a chain of certificates
// in it is followed to one of ours. Module-private.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "registry_server/jwt.h"

struct evp_pkey_st;
struct x509_store_st;

namespace kist::registry_server {

/// Threads: any; made once, then only read.
class TokenKeys {
 public:
  /// Files; either may be empty, not both. `certificates`: PEM, certificates or public keys.
  /// Errors: not_found, denied, invalid (no key in it, or one that is too weak).
  static Result<std::shared_ptr<const TokenKeys>> load(const std::string& certificates, const std::string& jwks);
  ~TokenKeys();
  TokenKeys(const TokenKeys&) = delete;
  TokenKeys& operator=(const TokenKeys&) = delete;

  /// RS256 and ES256, by a key of ours: the one that `kid` names (by its id in the set, its thumbprint by RFC
  /// 7638, or its fingerprint as docker's libtrust writes it), or that of `x5c`, or any. Errors: denied.
  Result<void> check(const Jwt& jwt, int64_t now_s) const;

  size_t size() const { return keys_.size(); }

  /// What load() does with the text of a file.
  Result<void> add_pem(const std::string& text, const std::string& where);
  Result<void> add_jwks(const std::string& text, const std::string& where);
  TokenKeys();

 private:
  struct Key {
    std::shared_ptr<evp_pkey_st> key;
    std::vector<std::string> ids;
  };
  Result<std::shared_ptr<evp_pkey_st>> key_of_chain(const Jwt& jwt, int64_t now_s) const;
  Result<void> add(std::shared_ptr<evp_pkey_st> key, std::string id, const std::string& where);

  std::vector<Key> keys_;
  x509_store_st* anchors_;
};

}  // namespace kist::registry_server
