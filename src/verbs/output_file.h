// Files that verbs write for people.
#pragma once

#include <functional>
#include <string>

#include "store/compressor.h"

namespace kist::verbs {

/// `write` gives the bytes. The file appears whole or not at all.
Result<void> write_whole_file(const std::string& path,
                              const std::function<Result<void>(const store::Output&)>& write);

}  // namespace kist::verbs
