// A package index's page for one project: the "simple" API, as HTML (PEP 503) and JSON (PEP 691).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "python/pylock.h"

namespace kist::python {

struct IndexFile {
  std::string name;
  std::string url;                            // Absolute, without credentials and fragment.
  std::map<std::string, std::string> hashes;  // "sha256" -> lower-case hex; may be empty.
  std::optional<uint64_t> size_bytes;
  std::string requires_python;
  std::string upload_time;
  bool yanked = false;

  /// Ready to stand in a lock.
  LockedFile locked() const;
};

/// The files on a page. `page_url`: where it came from, for relative links. Links that are none of
/// a file's, or have another scheme than http, https and file, are passed over.
/// Errors: invalid (neither form; more than 200 000 files).
Result<std::vector<IndexFile>> parse_index_page(std::string_view body, std::string_view page_url);

/// Asks the index for a project. `index_url` may hold credentials; they go to the server alone.
/// Errors: those of Client::get (not_found: no such project), and of parse_index_page.
Result<std::vector<IndexFile>> fetch_index_page(http::Client& client, std::string_view index_url,
                                                std::string_view project);

/// RFC 3986, section 5.2: where `link`, found on `page_url`, leads.
std::string resolve_url(std::string_view page_url, std::string_view link);

}  // namespace kist::python
