// Names and passwords for registries, from where docker and podman keep them.
//
// Read: $REGISTRY_AUTH_FILE; podman's auth.json ($XDG_RUNTIME_DIR/containers, then ~/.config/containers);
// docker's config.json ($DOCKER_CONFIG or ~/.docker), each with its credential helpers. Keys are
// "registry", "registry/namespace" (the longest that fits wins) or docker's older URLs.
// Written: $REGISTRY_AUTH_FILE if it is set, else docker's config.json or its helper, so that all
// tools find it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/secret.h"
#include "registry/address.h"

namespace kist::registry {

struct Credentials {
  std::string user;
  http::Secret password;
  http::Secret identity_token;  // Instead of a password: OAuth2's refresh token.
};

/// Empty: nobody knows any. Errors: corrupt (a file), unavailable (a helper that fails).
Result<std::optional<Credentials>> find_credentials(const Host& host, std::string_view registry,
                                                    std::string_view repository);
/// Where it went, for people. Durability: atomic for readers, mode 0600.
Result<std::string> store_credentials(const Host& host, const std::string& registry, const Credentials& credentials);
/// True when there were any, where store_credentials() puts them.
Result<bool> erase_credentials(const Host& host, const std::string& registry);
/// All that were put into that file. How many; helpers keep theirs.
Result<size_t> erase_all_credentials(const Host& host);
/// The file by which a registry is known; empty: none.
Result<std::string> where_known(const Host& host, std::string_view registry);

}  // namespace kist::registry
