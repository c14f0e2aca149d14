#include "networks/name_streams.h"

#include <algorithm>
#include <array>

#include "networks/socket_address.h"

namespace kist::networks {
namespace {

constexpr size_t kMostStreams = 8;
constexpr size_t kMostQuestionBytes = 4096;
constexpr size_t kLengthBytes = 2;
constexpr size_t kMostUnreadBytes = 128 << 10;
constexpr int64_t kIdle = 10'000'000'000;

}  // namespace

std::string with_length(std::string_view message) {
  std::string out;
  out += static_cast<char>(message.size() >> 8 & 0xff);
  out += static_cast<char>(message.size() & 0xff);
  return out.append(message);
}

std::string_view first_message(std::string_view bytes) {
  if (bytes.size() < kLengthBytes) return {};
  const size_t size = static_cast<size_t>(static_cast<uint8_t>(bytes[0])) << 8 | static_cast<uint8_t>(bytes[1]);
  return bytes.size() - kLengthBytes < size ? std::string_view() : bytes.substr(kLengthBytes, size);
}

NameStreams NameStreams::open(const Address& address, uint16_t port) {
  constexpr int kWaiting = 16;
  NameStreams out;
  os::Fd socket(::socket(address.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // A container that is started again at once finds connections of its predecessor.
  const int yes = 1;
  if (socket.is_open()) (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_storage name;
  const socklen_t size = socket_address(address, port, name);
  if (socket.is_open() && ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), size) == 0 &&
      ::listen(socket.get(), kWaiting) == 0)
    out.listener_ = std::move(socket);
  return out;
}

void NameStreams::add_to(std::vector<pollfd>& events, bool hears) const {
  const bool has_room = hears && streams_.size() < kMostStreams;
  events.push_back({listener_.get(), static_cast<short>(has_room ? POLLIN : 0), 0});
  for (const Stream& stream : streams_) {
    // Who does not take the answer is not asked for more.
    const int wanted = !stream.out.empty() ? POLLOUT : hears ? POLLIN : 0;
    events.push_back({stream.socket.get(), static_cast<short>(wanted), 0});
  }
}

void NameStreams::look_at(const std::vector<pollfd>& events, size_t first, int64_t now_ns, const Hear& hear) {
  size_t at = first + 1;
  for (Stream& stream : streams_) {
    const short happened = at < events.size() && events[at].fd == stream.socket.get() ? events[at].revents : 0;
    ++at;
    if (happened != 0) stream.ends_ns = now_ns + kIdle;
    if ((happened & POLLOUT) != 0) write(stream);
    if ((happened & POLLIN) != 0) read(stream, hear);
    else if ((happened & (POLLHUP | POLLERR)) != 0) stream.over = true;
    stream.over = stream.over || now_ns >= stream.ends_ns;
  }
  std::erase_if(streams_, [](const Stream& stream) { return stream.over; });
  if (first < events.size() && (events[first].revents & POLLIN) != 0) accept(now_ns);
}

void NameStreams::accept(int64_t now_ns) {
  while (streams_.size() < kMostStreams) {
    os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.is_open()) return;
    Stream stream;
    stream.socket = std::move(socket);
    stream.number = ++last_number_;
    stream.ends_ns = now_ns + kIdle;
    streams_.push_back(std::move(stream));
  }
}

void NameStreams::read(Stream& stream, const Hear& hear) {
  std::array<char, kMostQuestionBytes> buffer;
  const ssize_t got = ::recv(stream.socket.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    stream.over = true;
    return;
  }
  stream.in.append(buffer.data(), static_cast<size_t>(got));
  for (;;) {
    const std::string_view message = first_message(stream.in);
    if (message.empty()) break;
    hear(message, stream.number);
    stream.in.erase(0, message.size() + kLengthBytes);
  }
  // A message of nothing, or one that is longer than any question.
  const bool is_empty = stream.in.size() >= kLengthBytes && stream.in[0] == 0 && stream.in[1] == 0;
  stream.over = stream.over || is_empty || stream.in.size() > kMostQuestionBytes;
}

void NameStreams::write(Stream& stream) {
  const ssize_t sent = ::send(stream.socket.get(), stream.out.data(), stream.out.size(), MSG_NOSIGNAL);
  if (sent >= 0) stream.out.erase(0, static_cast<size_t>(sent));
  else if (errno != EAGAIN && errno != EINTR) stream.over = true;
}

void NameStreams::reply(uint64_t number, std::string_view message) {
  const auto stream = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& one) { return one.number == number; });
  if (stream == streams_.end() || stream->over || message.size() > UINT16_MAX) return;
  stream->out += with_length(message);
  write(*stream);
  // Many questions with large answers, and nobody who takes them.
  stream->over = stream->over || stream->out.size() > kMostUnreadBytes;
}

int64_t NameStreams::deadline() const {
  int64_t out = INT64_MAX;
  for (const Stream& stream : streams_) out = std::min(out, stream.ends_ns);
  return out;
}

}  // namespace kist::networks
