// What a registry is told to be: a TOML file, and what the command line says over it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/secret.h"
#include "http_server/server.h"
#include "registry_server/access.h"
#include "registry_server/gc.h"
#include "registry_server/quota.h"
#include "registry_server/registry.h"

namespace kist::registry_server {

struct S3Config {
  std::string endpoint;  // "https://s3.example"; empty: a folder is used.
  std::string bucket;
  std::string prefix;    // "team/registry/"; may be empty.
  std::string region = "us-east-1";
  std::string access_key;
  http::Secret secret_key;
  uint64_t part_bytes = 256u << 20;  // Blobs of more than two of them go in parts.
};

struct UpstreamConfig {
  std::string url;  // "https://registry.example"; empty: none.
  http::Secret user_and_password;
  std::chrono::seconds refresh{60};  // A tag that was looked up is believed for so long.
};

struct Config {
  std::vector<std::string> listen;
  std::string root;
  std::optional<http_server::TlsFiles> tls;
  http_server::Limits limits;
  AccessOptions access;
  RegistryOptions registry;
  std::vector<Quota> quotas;
  std::vector<Retention> retention;
  GcOptions gc;
  std::chrono::seconds gc_every{6 * 3600};  // 0: never.
  std::chrono::seconds upload_expiry{3600};
  double requests_per_second = 0;  // Of one client; 0: no limit.
  double burst = 0;                // 0: ten seconds' worth.
  std::string access_log = "-";    // A file, "-" for stdout, empty for none.
  bool syncs = true;
  std::string images_of;  // The home of a local store whose images are served too; empty: none.
  S3Config s3;
  UpstreamConfig upstream;
};

/// `where`: for messages. Errors: invalid (names the line or key; the nearest key for a misspelt one).
Result<Config> parse_config(std::string_view text, const std::string& where);

/// "10 GB", "512 MiB", "1000". None: not a size.
std::optional<uint64_t> parse_size(std::string_view text);
/// "90s", "5m", "6h", "30d". None: not a duration.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace kist::registry_server
