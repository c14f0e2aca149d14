// Objects that outlive a death while they are written. docs/formats/store.md.
#pragma once

#include <memory>

#include "store/object_sink.h"
#include "store/store.h"

namespace kist::store {

/// One object whose digest is known before its bytes are. Dropping it without finish() leaves what was written, for the
/// next process that wants this object, or for gc.
class PartWriter : public ObjectWriter {
 public:
  /// What was there when this began.
  virtual uint64_t kept_bytes() const = 0;
  /// The next piece of that, valid until the next call; empty at its end. All of it must have been read
  /// before the first write(). It may be damaged, as after a power cut: the digest that finish() gives tells.
  virtual Result<std::string_view> read_kept() = 0;
  /// Nothing of it stays.
  virtual void discard() = 0;
};

/// What an earlier process wrote of `object` is taken up. Only within a Transaction, which outlives the writer: it
/// keeps gc away, and makes durable what is finished. Empty: another process is writing it now.
Result<std::unique_ptr<PartWriter>> begin_part(const Store& store, const oci::Digest& object, uint32_t mode);

}  // namespace kist::store
