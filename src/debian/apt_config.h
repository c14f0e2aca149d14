// The host's own apt configuration: where Debian packages come from on this machine. kist names no
// mirror; it uses what the person or the administrator has set up.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace kist::debian {

/// Where to look. The defaults are apt's; tests and other roots give their own.
struct AptPaths {
  std::string sources_list = "/etc/apt/sources.list";
  std::string sources_dir = "/etc/apt/sources.list.d";
  std::string config_file = "/etc/apt/apt.conf";
  std::string config_dir = "/etc/apt/apt.conf.d";
  std::string trusted_file = "/etc/apt/trusted.gpg";
  std::string trusted_dir = "/etc/apt/trusted.gpg.d";
  std::string keyring_dir = "/usr/share/keyrings";
};

/// One "deb" entry, with one address and one suite: entries that have more are split.
struct AptSource {
  std::string uri;    // Without a trailing slash.
  std::string suite;  // "bookworm-updates".
  std::vector<std::string> components;
  std::vector<std::string> architectures;  // Empty: all.
  std::vector<std::string> keyrings;       // Files; empty: the machine's trusted ones.
  std::string inline_key;                  // An armored key that was given in the entry itself.
  bool check_valid_until = true;
};

struct AptConfig {
  std::vector<AptSource> sources;         // In the order in which apt reads them.
  std::vector<std::string> keyrings;      // Trusted for sources without keyrings of their own.
  std::string proxy_http, proxy_https;    // Acquire::http::Proxy …; "" when not set.
  bool check_valid_until = true;          // Acquire::Check-Valid-Until.
  bool check_date = true;                 // Acquire::Check-Date.
};

/// Reads both kinds of source files (sources.list(5)) and the few settings of apt.conf(5) that
/// matter here. Missing files are fine. Errors: invalid (names file and line), those of reading.
Result<AptConfig> read_apt_config(const AptPaths& paths);

/// For tests and callers that hold the text already.
Result<std::vector<AptSource>> parse_sources_list(std::string_view text);
Result<std::vector<AptSource>> parse_deb822_sources(std::string_view text);
/// "Acquire::http::Proxy" and its value, in order, scopes resolved.
std::vector<std::pair<std::string, std::string>> parse_apt_conf(std::string_view text);

}  // namespace kist::debian
