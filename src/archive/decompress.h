// Compressed streams as plain ones: gzip (any number of members), zstd (any number of frames,
// skippable ones too), xz and bzip2, in bounded memory, with damage and truncation told.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "archive/tar_reader.h"
#include "base/result.h"

namespace kist::archive {

/// Gives the next piece of a stream, valid until the next call; empty at its end.
using Source = TarReader::Source;

/// What the stream that begins so is compressed with; `none` also for what is unknown. Needs the
/// first 6 bytes; fewer only if there are no more.
TarFilter detect_filter(std::string_view start);

/// Puts what was looked at back in front: first `start` (copied), then `rest`.
Source prepend(std::string start, Source rest);

/// Reads at least `count` bytes if there are as many, and puts them back.
Result<std::string> peek(Source& source, size_t count);

/// The plain stream; with `none` the same. After the last member of gzip, zeros are padding and
/// anything else is an error, as is a stream that ends within one.
///
/// Memory: some 300 KiB for gzip, up to 128 MiB for zstd, whose window is limited to that.
/// Errors of the source that this returns: corrupt, unsupported (a larger window), those of `raw`.
Result<Source> decompress(Source raw, TarFilter filter);

/// Gives every piece to `use`, to the end. Errors: those of both.
Result<void> each_piece(const Source& source,
                        const std::function<Result<void>(std::string_view)>& use);

/// The same bytes, produced by a thread of its own that runs at most `buffers` pieces of 256 KiB
/// ahead, so that making and using them keeps two cores busy. The thread ends with the last copy of
/// what is returned.
Source run_ahead(Source source, size_t buffers = 8);

}  // namespace kist::archive
