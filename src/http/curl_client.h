// The Client that talks to real servers.
#pragma once

#include <memory>

#include "http/client.h"

namespace kist::http {

/// A client on libcurl. Its thread starts with the first request that needs the network, so making
/// one costs nothing; connections are kept and used again. Connections of downloads are HTTP/1.1,
/// those of get() HTTP/2 where the server knows it.
/// Never asks the environment: all it knows is `config`.
Result<std::unique_ptr<Client>> make_curl_client(Config config);

/// More of Config::credentials, for a client of make_curl_client(); another kind ignores them. What
/// the configuration says of an origin stays. Not while something is fetched.
void add_credentials(Client& client, std::vector<OriginCredentials> more);
/// What such a client knows for the origin of an address, "user:password"; empty: nothing.
Secret credentials_for(const Client& client, std::string_view url);

}  // namespace kist::http
