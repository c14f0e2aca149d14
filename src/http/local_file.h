// file: URLs, which need no network library.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "http/exchange.h"
#include "http/part_file.h"

namespace kist::http {

bool is_local_url(std::string_view url);

/// The path that "file:///a%20b" names; a query or fragment is cut off.
/// Errors: invalid (another host than localhost, bad escapes, a relative path, NUL).
Result<std::string> local_path(std::string_view url);

/// Copies the file into `part` from its start and finishes it.
std::optional<Failure> copy_to_part(const std::string& url, const Download& file, PartFile& part,
                                    const std::function<void(uint64_t)>& on_progress,
                                    const std::atomic<bool>& stop);

}  // namespace kist::http
