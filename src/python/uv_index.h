// Where packages come from, as pip and uv are configured on this machine. uv reads its own
// configuration itself; this finds what to tell it of pip's, and which index kist asks itself.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::python {

/// May hold credentials: never print it, never write it to a lock.
struct IndexSettings {
  std::string index_url;
  std::vector<std::string> extra_index_urls;
  std::vector<std::string> find_links;
  std::vector<std::string> trusted_hosts;
  std::string cert;  // CA bundle.
  bool no_index = false;

  bool is_empty() const {
    return index_url.empty() && extra_index_urls.empty() && find_links.empty() && !no_index;
  }
};

/// pip.conf: sections [global] and [install]; several values a key, a line each.
/// Errors: invalid ("FILE:LINE: …").
Result<IndexSettings> parse_pip_config(std::string_view text, std::string_view file);
/// uv.toml, or [tool.uv] of pyproject.toml: [[index]], index-url, extra-index-url, find-links.
Result<IndexSettings> parse_uv_config(std::string_view text, std::string_view file);

/// How this machine is configured. `environment` and `home` instead of getenv; reads pip's and uv's
/// files below /etc and `home`. What uv has wins over what pip has, as a whole; within each, the
/// environment over the user's file over the machine's. Folders of find-links that do not exist are
/// left out, as pip does (uv would fail).
struct HostIndex {
  IndexSettings settings;
  bool is_uvs = false;  // uv finds it by itself.
};
Result<HostIndex> read_host_index(const std::map<std::string, std::string>& environment,
                                  const std::string& home, const std::string& etc = "/etc");

/// Variables that tell uv what pip knows: UV_DEFAULT_INDEX, UV_INDEX, UV_FIND_LINKS …; empty when
/// uv has settings of its own.
std::map<std::string, std::string> uv_index_variables(const HostIndex& index);

}  // namespace kist::python
