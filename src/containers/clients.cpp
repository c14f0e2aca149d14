#include "containers/clients.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace kist::containers {
namespace {

constexpr size_t kMaxClients = 256;
constexpr size_t kMaxPendingBytes = 256 << 10;

}  // namespace

void Clients::add_to(std::vector<pollfd>& events) const {
  events.push_back({listening_.get(), POLLIN, 0});
  for (const auto& client : clients_)
    events.push_back({client->socket.get(), static_cast<short>(client->pending.empty() ? POLLIN : POLLIN | POLLOUT), 0});
}

void Clients::handle(const std::vector<pollfd>& events, size_t first) {
  const size_t known = clients_.size();
  for (size_t i = 0; i < known; ++i) {
    const short said = events[first + 1 + i].revents;
    Client& client = *clients_[i];
    if ((said & POLLOUT) != 0) flush(client);
    if ((said & (POLLIN | POLLHUP | POLLERR)) != 0) read(client);
  }
  std::erase_if(clients_, [](const auto& client) { return client->gone; });
  if ((events[first].revents & POLLIN) != 0) accept();
}

void Clients::accept() {
  os::Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.is_open() || clients_.size() >= kMaxClients) return;
  clients_.push_back(std::make_unique<Client>());
  clients_.back()->socket = std::move(socket);
}

void Clients::add_attached(os::Fd socket) {
  clients_.push_back(std::make_unique<Client>());
  clients_.back()->socket = std::move(socket);
  clients_.back()->attached = true;
}

void Clients::read(Client& client) {
  if (!client.reader.fill(client.socket)) {
    client.gone = true;
    // docker: the end of the client that gave the input is the end of the input.
    if (client.gives_input) requests_.end_of_input();
    return;
  }
  while (const auto frame = client.reader.next()) obey(client, *frame);
  client.gone = client.gone || client.reader.is_broken();
}

void Clients::obey(Client& client, const Received& frame) {
  switch (frame.kind) {
    case Frame::attach:
      client.attached = true;
      client.gives_input = number_at(frame.payload, 0, 1) == 1;
      return;
    case Frame::input:
      return requests_.input(frame.payload);
    case Frame::end_of_input:
      client.gives_input = false;
      return requests_.end_of_input();
    case Frame::resize:
      return requests_.resize(static_cast<uint16_t>(number_at(frame.payload, 0, 2)),
                              static_cast<uint16_t>(number_at(frame.payload, 2, 2)));
    case Frame::stop:
      return requests_.stop(static_cast<int>(number_at(frame.payload, 0, 4)),
                            static_cast<int32_t>(number_at(frame.payload, 4, 4)));
    case Frame::mark:
      return requests_.mark();
    case Frame::output:
    case Frame::error_output:
    case Frame::ended:
      break;
  }
  client.gone = true;
}

void Clients::flush(Client& client) {
  while (!client.pending.empty()) {
    const ssize_t sent = ::send(client.socket.get(), client.pending.data(), client.pending.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) client.gone = true;
      return;
    }
    client.pending.erase(0, static_cast<size_t>(sent));
  }
}

void Clients::output(Stream stream, std::string_view bytes) {
  const Frame kind = stream == Stream::standard_output ? Frame::output : Frame::error_output;
  for (const auto& client : clients_) {
    if (!client->attached || client->gone) continue;
    for (std::string_view left = bytes; !left.empty();) {
      const std::string_view piece = left.substr(0, kMaxPayloadBytes);
      append_frame(client->pending, kind, piece);
      left.remove_prefix(piece.size());
    }
    flush(*client);
  }
}

void Clients::ended(int exit_code, std::string_view error) {
  const std::string payload = number_bytes(static_cast<uint32_t>(exit_code), 4) +
                              std::string(error.substr(0, kMaxPayloadBytes - 4));
  // Those who have connected, but whom we have not yet met, wait for this too.
  for (size_t before = SIZE_MAX; before != clients_.size();) {
    before = clients_.size();
    accept();
  }
  for (const auto& client : clients_) {
    append_frame(client->pending, Frame::ended, payload);
    // Who does not read for so long does not want to know.
    constexpr int kPatienceMs = 2000;
    for (pollfd event = {client->socket.get(), POLLOUT, 0};
         !client->pending.empty() && !client->gone && ::poll(&event, 1, kPatienceMs) == 1;)
      flush(*client);
  }
  clients_.clear();
}

bool Clients::is_full() const {
  return std::any_of(clients_.begin(), clients_.end(),
                     [](const auto& client) { return client->pending.size() > kMaxPendingBytes; });
}

bool Clients::has_attached() const {
  return std::any_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->attached; });
}

}  // namespace kist::containers
