// The compression of layers: the same bytes in give the same bytes out, however they arrive.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::store {

/// Takes the next bytes; an error of it ends the writing and is returned.
using Output = std::function<Result<void>(std::string_view)>;

/// How a layer is compressed. A value.
struct Compression {
  enum class Method { none, gzip, zstd, zstd_chunked };
  Method method = Method::zstd;
  int level = 3;

  /// "zstd", "zstd:19", "zstd:chunked", "zstd:chunked:19", "gzip:6", "none". Errors: invalid (lists what there is).
  static Result<Compression> parse(std::string_view text);
  /// What the compressed bytes are a function of, beside the plain ones: method, level and release of
  /// the library: "zstd-3@1.5.7". Part of every name that stands for such bytes.
  std::string recipe() const;
  /// The reverse. Errors: unsupported (another release's: its bytes cannot be had from this one).
  static Result<Compression> of_recipe(std::string_view recipe);
  bool operator==(const Compression&) const = default;
};

/// Threads: one at a time. Memory: some 10 MB.
class Compressor {
 public:
  virtual ~Compressor() = default;
  virtual Result<void> write(std::string_view bytes) = 0;
  /// Once, after the last byte.
  virtual Result<void> finish() = 0;
};

/// `output` must outlive the compressor. Not for zstd_chunked, whose frames are cut where files begin:
/// write_chunked() does that.
std::unique_ptr<Compressor> make_compressor(const Compression& compression, const Output& output);

}  // namespace kist::store
