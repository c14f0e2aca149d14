// RECORD: the list of a wheel's installed files, with their hashes ("Recording installed projects",
// formerly PEP 376 and 627). CSV as Python's csv module writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"

namespace kist::python {

struct RecordRow {
  std::string path;  // Relative to site-packages: "numpy/__init__.py", "../../../bin/f2py".
  std::string hash;  // "sha256=" and URL-safe base64 without padding; empty for RECORD itself.
  std::optional<uint64_t> size_bytes = std::nullopt;
  bool operator==(const RecordRow&) const = default;
};

/// As in RECORD: "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU".
std::string record_hash(const oci::Digest& digest);

/// Reads quoted fields and any line ending. A leading '/' of a path is dropped (selenium writes
/// one). Errors: invalid (a quote that does not end, fewer than 1 or more than 3 fields, a size that
/// is no number).
Result<std::vector<RecordRow>> parse_record(std::string_view text);

/// Sorted bytewise by path, each path once, lines ended by "\n": equal sets give equal bytes.
std::string write_record(std::vector<RecordRow> rows);

}  // namespace kist::python
