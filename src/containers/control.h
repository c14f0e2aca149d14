// What clients and a supervisor say to each other over the socket `control`: frames of one byte of
// kind, three bytes zero, four bytes of size (little-endian), and the payload.
//
//   client to supervisor                       supervisor to client
//   attach  u8 1: input too                    output, error_output  bytes
//   input   bytes, end_of_input                ended  i32 exit status, then text: why it did not start
//   resize  u16 rows, u16 columns
//   stop    i32 signal, i32 seconds until SIGKILL (-1: never)
//   mark    (it is being killed by hand: no restart)
//
// A client that only waits sends nothing. Both sides drop whoever breaks the format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace kist::containers {

enum class Frame : uint8_t {
  attach = 'A',
  input = 'I',
  end_of_input = 'E',
  resize = 'R',
  stop = 'S',
  mark = 'M',
  output = 'O',
  error_output = 'X',
  ended = 'D',
};

inline constexpr size_t kFrameHeaderBytes = 8;
inline constexpr size_t kMaxPayloadBytes = 1 << 16;

/// Appends one frame to `out`. `payload` is at most kMaxPayloadBytes.
void append_frame(std::string& out, Frame kind, std::string_view payload = {});
/// As append_frame, written whole to a blocking socket. Errors: unavailable (the other side is gone).
Result<void> send_frame(const os::Fd& socket, Frame kind, std::string_view payload = {});

struct Received {
  Frame kind;
  std::string_view payload;  // Until the next call.
};

/// Cuts frames out of what arrives. Memory: one frame.
class FrameReader {
 public:
  /// Reads once. False at the end, and when the other side breaks the format.
  /// On a socket without data that does not block: true, and next() gives nothing.
  bool fill(const os::Fd& socket);
  /// The next whole frame; none: fill() again.
  std::optional<Received> next();
  bool is_broken() const { return broken_; }

 private:
  std::string buffer_;
  size_t used_ = 0;
  bool broken_ = false;
};

/// Little-endian numbers of payloads.
std::string number_bytes(uint64_t value, size_t size);
uint64_t number_at(std::string_view payload, size_t at, size_t size);

/// A socket at `path` to listen on, mode 0600; what a dead supervisor left is replaced. Paths longer
/// than a socket's address holds are reached through their folder.
Result<os::Fd> listen_at(const std::string& path);
/// Errors: not_found (nobody listens).
Result<os::Fd> connect_to(const std::string& path);

}  // namespace kist::containers
