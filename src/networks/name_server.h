// The name server of one container, at 127.0.0.11 as docker's: answers for the names in the container's hosts file,
// and passes all else on to the host's own resolvers. It is no process: whoever keeps the container looks
// after it. If the keeper is killed, the address refuses, and the next `nameserver` of resolv.conf is asked.
#pragma once

#include <poll.h>

#include <string>
#include <vector>

#include "networks/address.h"
#include "networks/name_streams.h"
#include "os/fd.h"

namespace kist::networks {

constexpr const char* kNameServer = "127.0.0.11";

class NameServer {
 public:
  struct Source {
    std::string hosts;                 // The container's own hosts file; its text is the container's.
    std::vector<std::string> servers;  // Who else is asked; empty: those of the host's resolv.conf, as it is then.
    std::string resolv_conf = "/etc/resolv.conf";
  };
  /// Opens the sockets in the network namespace that this thread is in now; questions are passed on from
  /// the one that it is in later. Errors: unavailable (somebody has the port).
  static Result<NameServer> open(Source source, const char* address = kNameServer, uint16_t port = 53);

  void add_to(std::vector<pollfd>& events) const;
  /// `first`: where in `events` those of add_to() begin. Never blocks.
  void look_at(const std::vector<pollfd>& events, size_t first);
  /// Of CLOCK_BOOTTIME, in nanoseconds; INT64_MAX: none. Then look_at() is to be called.
  int64_t deadline() const;
  /// For tests: where it listens.
  uint16_t port() const;

 private:
  // Who asked: by a datagram from a socket address, as bytes, or by a stream, which has a number.
  struct Client {
    std::string address;
    uint64_t stream = 0;
  };
  // A question that was passed on, in the way in which it came: what came by a stream may have a large answer.
  struct Asked {
    os::Fd socket;  // Connected, so that nobody else can answer; its port is as random as the id.
    uint16_t id = 0, client_id = 0;
    Client client;
    std::string unsent, received;  // Of a stream.
    std::string message;
    size_t end_of_question = 0;
    size_t server = 0;    // Which one was asked last.
    int64_t give_up_ns = 0;
  };

  NameServer(Source source, os::Fd socket) : source_(std::move(source)), socket_(std::move(socket)) {}
  void hear();
  void handle(std::string_view message, const Client& client);
  std::string known_answer(std::string_view message, const Client& client);
  bool has_room() const;
  bool pass_on(Asked& asked, const std::vector<Address>& servers) const;
  enum class Heard { nothing, answer, no_answer };
  Heard look_at_asked(Asked& asked, short happened);
  static Heard read_datagram(const Asked& asked, std::string& answer);
  static Heard read_stream(Asked& asked, std::string& answer);
  bool ask_next(Asked& asked) const;
  void fail(const Asked& asked);
  void reply(const std::string& message, const Client& client);
  std::vector<Address> servers() const;

  Source source_;
  os::Fd socket_;
  NameStreams streams_;
  std::vector<Asked> asked_;
  // A container cannot keep its keeper busy: so many questions in a second, and then none until it is over.
  int64_t second_ends_ns_ = 0;
  unsigned heard_ = 0;
};

}  // namespace kist::networks
