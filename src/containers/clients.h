// The clients of one supervisor.
#pragma once

#include <poll.h>

#include <memory>
#include <string>
#include <vector>

#include "containers/control.h"
#include "containers/log_writer.h"

namespace kist::containers {

/// What clients ask for.
class ClientRequests {
 public:
  virtual ~ClientRequests() = default;
  virtual void input(std::string_view bytes) = 0;
  virtual void end_of_input() = 0;
  virtual void resize(uint16_t rows, uint16_t columns) = 0;
  virtual void stop(int signal, int timeout_s) = 0;
  virtual void mark() = 0;
};

/// Sockets of clients, none of which can make the supervisor wait or grow: who does not read makes
/// output wait (is_full), as docker does; who breaks the format is dropped.
class Clients {
 public:
  Clients(os::Fd listening, ClientRequests& requests)
      : listening_(std::move(listening)), requests_(requests) {}

  /// Adds what poll(2) is to wait for.
  void add_to(std::vector<pollfd>& events) const;
  /// Answers what poll said; `events` as add_to left them, from `first` on.
  void handle(const std::vector<pollfd>& events, size_t first);

  /// A client that was there before the container: it misses nothing.
  void add_attached(os::Fd socket);
  void output(Stream stream, std::string_view bytes);
  /// Tells all, as far as they listen, and lets them go.
  void ended(int exit_code, std::string_view error);
  bool is_full() const;
  bool has_attached() const;

 private:
  struct Client {
    os::Fd socket;
    FrameReader reader;
    std::string pending;
    bool attached = false;
    bool gives_input = false;
    bool gone = false;
  };
  void accept();
  void read(Client& client);
  void obey(Client& client, const Received& frame);
  static void flush(Client& client);

  os::Fd listening_;
  ClientRequests& requests_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace kist::containers
