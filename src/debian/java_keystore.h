// Java's store of trusted certificates, as ca-certificates-java has it made: /etc/ssl/certs/java/cacerts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kist::debian {

/// The same store (format JKS, version 2) with every entry dated 1980-01-01, sorted by name, and signed
/// anew with the password that all such stores have, "changeit". Empty for what is no such store: another
/// format, keys in it, another password, or broken. Pure.
std::optional<std::string> undated_keystore(std::string_view bytes);

}  // namespace kist::debian
