// Passwords from the host's `keyring` program, as pip and uv get them.
#pragma once

#include <string>
#include <vector>

#include "http/index_config.h"

namespace kist::http {

/// For each index address that names a user without a password, asks `keyring get ADDRESS USER`,
/// then `keyring get HOST USER`, and puts the answer into the address. Does nothing unless
/// `indexes.keyring_provider` is "subprocess". Blocks on the program, which may ask the person.
///
/// A program that is missing or knows no password is no error: netrc may have it, and if nobody
/// does the server's 401 says so. `environment`: for the program, "NAME=value".
void ask_keyring(IndexConfig& indexes, const std::vector<std::string>& environment);

}  // namespace kist::http
