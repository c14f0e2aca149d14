// Where an image's name leads: which servers, by which protocol, with which certificates.
//
// What decides are the files that podman, skopeo and docker read too: registries.conf(5) of the host
// and of the person, `certs.d`, and the `insecure-registries` of docker's daemon.json. Nothing here
// asks the network.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/secret.h"
#include "http/stream.h"
#include "oci/reference.h"

namespace kist::registry {

/// What of the host matters; main/ fills it.
struct Host {
  std::string home;
  std::map<std::string, std::string> variables;  // The environment.
  std::string default_registry;                  // Of the build; may be empty.
  bool insecure = false;                         // --insecure: every registry named on the command line.
  std::string given_user = {};                   // --creds: for those, but not for their mirrors; mostly empty.
  http::Secret given_password = {};

  std::string variable(const std::string& name) const;
};

/// One server that may have the image.
struct Address {
  std::string registry;    // "registry.example:5000", as people write it: the key of credentials.
  std::string host;        // Where to connect: host[:port].
  std::string repository;  // In that registry.
  bool may_be_plain = false;    // Without TLS, where it offers none.
  bool is_unverified = false;   // Its certificate is not checked.
  bool is_mirror = false;
  http::TlsFiles tls;
};

/// Whether a host ("localhost:5000", "127.0.0.2", "[::1]:80") is this machine.
bool is_loopback(std::string_view host);

/// [[registry]], aliases and unqualified-search-registries of all files.
struct RegistriesConf {
  struct Mirror {
    std::string location;
    bool insecure = false;
  };
  struct Entry {
    std::string prefix;
    std::string location;
    bool insecure = false;
    bool blocked = false;
    std::vector<Mirror> mirrors;
  };
  std::vector<Entry> entries;
  std::map<std::string, std::string> aliases;
  std::vector<std::string> search;

  /// The entry with the longest prefix that fits "registry/repository"; null when none does.
  const Entry* find(std::string_view name) const;
};
/// Adds what `text` says; later files win. Errors: corrupt, with file, line and column.
Result<void> add_registries_conf(std::string_view text, const std::string& path, RegistriesConf& conf);
/// $CONTAINERS_REGISTRIES_CONF, or the person's, or the host's; and *.conf of its registries.conf.d.
Result<RegistriesConf> read_registries_conf(const Host& host);

/// How many connections to a registry may be busy with blobs, as the files of podman (containers.conf,
/// `image_parallel_copies`) and docker (daemon.json, `max-concurrent-downloads` and `-uploads`) say; empty
/// when neither does.
std::optional<size_t> most_connections(const Host& host, bool for_push);

/// The registry that names without one belong to; empty when none is configured.
std::string default_registry(const Host& host, const RegistriesConf& conf);

/// Candidates for a pull, best first: mirrors, then the registry itself; for a push that alone.
/// Errors: invalid (no registry named, none configured), denied (blocked).
Result<std::vector<Address>> addresses_of(const oci::Reference& reference, const Host& host,
                                          const RegistriesConf& conf, bool for_push);

}  // namespace kist::registry
