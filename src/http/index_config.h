// Where Python packages come from, as pip and uv on this machine have it.
#pragma once

#include <string>
#include <vector>

#include "http/client.h"
#include "http/secret.h"
#include "http/tool_settings.h"

namespace kist::http {

struct Index {
  std::string name;  // As uv names it; may be empty.
  Secret url;        // May hold credentials; show redact(url.reveal()).
};

/// Addresses may hold credentials and therefore are Secrets. Lists are in order of precedence.
struct IndexConfig {
  Secret default_url;              // Empty: there is none, packages come from `find_links` alone.
  std::string default_name;        // As uv names it; mostly empty.
  std::vector<Index> extra;        // Asked before the default one.
  std::vector<Secret> find_links;  // Folders and pages; of pip's and uv's, all count.
  std::vector<std::string> insecure_hosts;
  bool no_index = false;
  std::string keyring_provider;  // "subprocess" or "" (disabled).
  std::string source;            // Who named default_url: "PIP_INDEX_URL", "/etc/pip.conf", …
};

/// Pure. The first that says anything about indexes is believed, as a whole: uv's variables
/// (UV_DEFAULT_INDEX or UV_INDEX_URL, UV_INDEX, UV_EXTRA_INDEX_URL), uv.toml, pip's variables over
/// its files. Where none names a default, `built_in` is it.
IndexConfig index_config_from(const Environment& environment, const ToolSettings& settings,
                              const std::string& built_in);

/// Pure. UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD, if set, into the index's address.
void add_named_credentials(const Environment& environment, Index& index);

/// The credentials in those addresses, by origin: a lock names files without them, and they are
/// needed to fetch it. For Config::credentials.
std::vector<OriginCredentials> credentials_of(const IndexConfig& indexes);

/// The same configuration as variables for uv, "NAME=value", for a child that sees neither the
/// files nor the variables of the host. Holds secrets.
std::vector<std::string> uv_variables(const IndexConfig& indexes, const Config& config);

}  // namespace kist::http
