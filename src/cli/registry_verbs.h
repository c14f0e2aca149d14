// `kist registry …`: a registry of one's own.
#pragma once

#include <array>

#include "cli/container_verbs.h"

namespace kist::cli {

namespace registry_flags {
using container_flags::kHelp;
constexpr FlagSpec kListen{"--listen", "", "HOST:PORT", "where to listen (default 127.0.0.1:5000); ':5000' is every address", true};
constexpr FlagSpec kRoot{"--root", "", "DIR", "the registry's folder (default: registry/ in the store)"};
constexpr FlagSpec kConfig{"--config", "", "FILE", "a TOML file with everything else; flags win over it"};
constexpr FlagSpec kCertificate{"--tls-cert", "", "FILE", "serve TLS with this certificate (PEM, with its chain)"};
constexpr FlagSpec kKey{"--tls-key", "", "FILE", "the certificate's key (PEM)"};
constexpr FlagSpec kUsers{"--htpasswd", "", "FILE", "users and their bcrypt hashes; without it everybody may do everything"};
constexpr FlagSpec kReadOnly{"--read-only", "", "", "nothing can be pushed or deleted"};
constexpr FlagSpec kAnonymous{"--anonymous-read", "", "", "pulling needs no login"};
constexpr FlagSpec kLog{"--access-log", "", "FILE|-|none", "a line of JSON for each request (default '-': stdout)"};
constexpr FlagSpec kImages{"--with-images", "", "", "also serve the images of this machine's store, from where they lie"};
constexpr FlagSpec kCache{"--cache-of", "", "URL", "fetch what is missing from this registry, and keep it"};
constexpr FlagSpec kDryRun{"--dry-run", "", "", "say what would be removed"};
constexpr FlagSpec kGrace{"--grace", "", "DURATION", "keep what is younger (default 24h): it may be part of a push"};
constexpr FlagSpec kUntagged{"--untagged", "", "", "also manifests without a tag"};
constexpr FlagSpec kJson{"--json", "", "", "print the result as JSON"};

inline constexpr std::array kServe{kListen, kRoot, kConfig, kCertificate, kKey, kUsers, kReadOnly, kAnonymous, kLog, kImages, kCache, kHelp};
inline constexpr std::array kCollect{kRoot, kConfig, kGrace, kUntagged, kDryRun, kJson, kHelp};
}  // namespace registry_flags

inline constexpr VerbSpec kRegistryVerbs[] = {
    {"registry serve", "serve images to others, by the OCI distribution protocol", "", 0, 0, false,
     "Speaks the OCI distribution specification 1.1: docker, podman, skopeo, crane, oras, containerd\n"
     "and kist push to it and pull from it. Needs no privileges and nothing else to run. SIGTERM ends\n"
     "it once what runs has finished; SIGHUP reads certificates, users and keys again.\n"
     "docs/guide/registry.md has all that --config takes: TLS, users and their rights, tokens of other\n"
     "servers, quotas, retention, limits, buckets, and caches of other registries.\n\n"
     "  kist registry serve\n"
     "  kist registry serve --listen :5000 --root /srv/registry --htpasswd users --tls-cert c.pem --tls-key k.pem\n"
     "  kist registry serve --with-images --read-only\n"
     "  kist registry serve --config /etc/kist/registry.toml", registry_flags::kServe},
    {"registry gc", "remove what no tag and no manifest of a registry needs", "", 0, 0, false,
     "May run while the registry serves. It does this by itself every six hours.\n\n"
     "  kist registry gc --root /srv/registry --dry-run", registry_flags::kCollect},
};

}  // namespace kist::cli
