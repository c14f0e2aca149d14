// A standalone build of Python, as an archive, becomes the tree at /opt/python. It is recognised by
// what is in it: a folder with bin/python3.X and lib/python3.X that works wherever it lies. That is
// `python/` of "install_only" archives, `python/install/` of full ones, or any other.
//
//   UnpackedInterpreter got = TRY(unpack_interpreter(bytes, tx));
//   … got.files, got.facts.python …
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "oci/digest.h"
#include "store/object_sink.h"
#include "store/tree.h"

namespace kist::environment {

/// Where it is installed, inside.
inline constexpr std::string_view kInterpreterHome = "/opt/python";

struct InterpreterFacts {
  std::string python;         // "3.12.7"; "3.12" when the archive has no headers to say more.
  uint16_t machine = 0;       // EM_*, of bin/python3.X.
  uint64_t size_bytes = 0;    // Of the archive.
  std::vector<std::string> needed;  // Libraries that it does not bring ("libz.so.1"), sorted.
  bool operator==(const InterpreterFacts&) const = default;
};

struct UnpackedInterpreter {
  store::Tree files;
  InterpreterFacts facts;
};

/// Names what unpack_interpreter() makes of the archive with this sha256: 64 hex digits. Covers the
/// recipe's version.
std::string interpreter_key(const oci::Digest& archive);

/// Reads tar, plain or compressed by gzip, zstd, xz or bzip2; twice, since where Python is in it
/// must be known first. Owners, times and all mode bits but "executable" are the same for all; the
/// folder's own name at build time becomes /opt/python in what sysconfig reads; byte-code,
/// site-packages, pip's commands and static libraries are left out. When OpenSSL in it was built
/// to look for certificates elsewhere, links there lead to the base's.
///
/// Errors: invalid (no archive, no Python in it, a path or link that leads out, a device),
/// unsupported (free-threaded, not linked with glibc), corrupt, those of the sink.
Result<UnpackedInterpreter> unpack_interpreter(std::string_view archive, store::ObjectSink& sink);

/// As a text of lines, for the store. decode: corrupt.
std::string encode(const InterpreterFacts& facts);
Result<InterpreterFacts> decode_interpreter_facts(std::string_view text);

}  // namespace kist::environment
