// Connections of a name server's clients (RFC 7766): questions and answers with their length before them. Few, short,
// and of few bytes, since whoever opens them may be hostile and their keeper is small.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "networks/address.h"
#include "os/fd.h"

namespace kist::networks {

class NameStreams {
 public:
  using Hear = std::function<void(std::string_view message, uint64_t stream)>;

  /// Listens in the network namespace that this thread is in now. Where it cannot, nobody connects.
  static NameStreams open(const Address& address, uint16_t port);

  /// `hears`: whether more questions are wanted now.
  void add_to(std::vector<pollfd>& events, bool hears) const;
  /// How many add_to() adds.
  size_t count() const { return 1 + streams_.size(); }
  /// `first`: where in `events` those of add_to() begin. Never blocks.
  void look_at(const std::vector<pollfd>& events, size_t first, int64_t now_ns, const Hear& hear);
  /// To who asked; who has gone loses it.
  void reply(uint64_t stream, std::string_view message);
  /// Of CLOCK_BOOTTIME; INT64_MAX: none.
  int64_t deadline() const;

 private:
  struct Stream {
    os::Fd socket;
    uint64_t number = 0;
    std::string in, out;
    int64_t ends_ns = 0;  // If nothing happens until then.
    bool over = false;
  };
  void accept(int64_t now_ns);
  static void read(Stream& stream, const Hear& hear);
  static void write(Stream& stream);

  os::Fd listener_;
  std::vector<Stream> streams_;
  uint64_t last_number_ = 0;
};

/// A message as it stands in a stream.
std::string with_length(std::string_view message);
/// The first whole message of a stream's bytes, without its length; empty: not there yet.
std::string_view first_message(std::string_view bytes);

}  // namespace kist::networks
