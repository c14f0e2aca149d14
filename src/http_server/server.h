// A server of HTTP/1.1, with and without TLS: listens, keeps its clients apart and within limits, and
// hands requests to a Handler (message.h).
//
//   auto server = TRY(Server::listen({.addresses = {"127.0.0.1:5000"}}, handler));
//   server->run();  // Until SIGTERM, SIGINT, or stop() from another thread.
//
// Threads: a few loops share the connections; one connection stays on one loop, so a slow client
// holds a socket and some kilobytes and nobody else. What may wait for a disk or another server runs
// on threads beside them (Later, BodyReceiver::finish()).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http_server/message.h"
#include "http_server/tls.h"

namespace kist::http_server {

struct Limits {
  size_t connections = 4096;             // One more is told 503 and closed.
  size_t head_bytes = 16 << 10;          // Request line and fields.
  std::chrono::seconds idle{75};         // Between requests.
  std::chrono::seconds head{10};         // From a head's first byte to its last; also a TLS handshake.
  std::chrono::seconds body_grace{30};   // A body, either way, may take this and its size by the rate.
  uint64_t min_bytes_per_second = 1024;
  std::chrono::seconds shutdown{30};     // What runs may finish.
};

struct Options {
  std::vector<std::string> addresses;  // "host:port"; "[::1]:port"; ":port" is all; port 0: any free one.
  std::optional<TlsFiles> tls;         // Loaded again on SIGHUP and when a file changes.
  Limits limits;
  unsigned threads = 0;          // 0: one for each processor, at most 8.
  unsigned waiting_threads = 16;
  bool takes_signals = false;    // SIGTERM and SIGINT stop it, twice at once; SIGHUP reloads.
  std::function<void()> on_reload;
  std::function<void()> on_end;  // The time to finish is over, once, on a thread of the server: who waits in a handler may go.
  std::function<void(const Error& error)> on_error;  // What has no request: files that cannot be loaded.
};

class Server {
 public:
  /// Binds and listens. Errors: invalid (not an address), denied, exists (in use), those of TlsContext.
  static Result<std::unique_ptr<Server>> listen(Options options, Handler& handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Where it listens: "127.0.0.1:5000".
  std::vector<std::string> addresses() const;
  /// Returns when it was stopped and what ran has ended. Call once.
  void run();
  /// No new connections; idle ones are closed; what runs may finish within Limits::shutdown.
  void stop();
  size_t connections() const;

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kist::http_server
