// Bytes to and from a client, with and without TLS, never waiting. Who calls waits for the socket.
// Module-private.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "http_server/tls.h"

namespace kist::http_server {

enum class Need {
  nothing,  // Some bytes moved.
  read,     // Wait until the socket can be read, then call again.
  write,    // Wait until it can be written, then call again.
  closed,   // The peer ended the connection, or it broke.
};

struct Moved {
  size_t bytes = 0;
  Need need = Need::nothing;
};

/// Does not own the socket, which must not block. One thread at a time.
class Transport {
 public:
  /// `context` null: no TLS.
  Transport(int socket, const TlsContext* context);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  bool is_tls() const { return tls_ != nullptr; }
  Need handshake();
  /// Whether read() may return something although the socket has nothing.
  bool holds_bytes() const;
  Moved read(char* to, size_t size_bytes);
  /// Part of what the pieces hold. `has_more`: the kernel may wait for what follows at once, to fill a segment.
  Moved write(const iovec* pieces, size_t count, bool has_more = false);
  /// While it is true only full segments leave: a large file costs a quarter less so. False sends what is left.
  void fill_segments(bool is_wanted);
  /// Part of a file. Under TLS where the kernel does not encrypt, `scratch` is used.
  Moved send_file(int file, uint64_t offset, uint64_t size_bytes, char* scratch, size_t scratch_bytes);
  /// Says goodbye, as far as that goes without waiting.
  void shutdown();

 private:
  Need need_of(int result);
  Moved write_tls(const char* from, size_t size_bytes);

  int socket_;
  ssl_st* tls_ = nullptr;
  bool in_kernel_ = false;  // kTLS for sending.
};

}  // namespace kist::http_server
