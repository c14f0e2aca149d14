// The digest of a file's content. Module-private.
#pragma once

#include "oci/digest.h"
#include "os/fd.h"

namespace kist::store {

struct HashedFile {
  oci::Digest digest;
  uint64_t size_bytes;
};

/// Reads to the end, in memory of at most 1 MiB.
Result<HashedFile> hash_file(const os::Fd& fd);

}  // namespace kist::store
