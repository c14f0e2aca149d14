#include "containers/control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/text.h"
#include "os/files.h"

namespace kist::containers {
namespace {

// A socket's address holds 107 bytes; a path below an open folder is always short enough.
struct Address {
  os::Fd folder;
  sockaddr_un address = {};
};

Result<Address> address_of(const std::string& path) {
  Address out;
  out.folder = TRY(os::open_file(os::parent_of(path), O_PATH | O_DIRECTORY));
  const std::string short_path = fmt::format("/proc/self/fd/{}/{}", out.folder.get(), os::name_of(path));
  if (short_path.size() >= sizeof out.address.sun_path)
    return Error(Code::invalid, "'{}' is too long for a socket", printable(path));
  out.address.sun_family = AF_UNIX;
  std::memcpy(out.address.sun_path, short_path.c_str(), short_path.size() + 1);
  return out;
}

}  // namespace

std::string number_bytes(uint64_t value, size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

uint64_t number_at(std::string_view payload, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size && at + i < payload.size(); ++i)
    value |= static_cast<uint64_t>(static_cast<uint8_t>(payload[at + i])) << (8 * i);
  return value;
}

void append_frame(std::string& out, Frame kind, std::string_view payload) {
  KIST_ASSERT(payload.size() <= kMaxPayloadBytes);
  out += static_cast<char>(kind);
  out.append(3, '\0');
  out += number_bytes(payload.size(), 4);
  out += payload;
}

Result<void> send_frame(const os::Fd& socket, Frame kind, std::string_view payload) {
  std::string bytes;
  append_frame(bytes, kind, payload);
  std::string_view left = bytes;
  while (!left.empty()) {
    const ssize_t sent = ::send(socket.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Error::from_errno(errno, "write to the container's supervisor");
    left.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

bool FrameReader::fill(const os::Fd& socket) {
  if (broken_) return false;
  buffer_.erase(0, used_);
  used_ = 0;
  const size_t before = buffer_.size();
  constexpr size_t kWant = kFrameHeaderBytes + kMaxPayloadBytes;
  buffer_.resize(kWant);
  ssize_t got = 0;
  do got = ::read(socket.get(), buffer_.data() + before, kWant - before);
  while (got < 0 && errno == EINTR);
  buffer_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  return got > 0;
}

std::optional<Received> FrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(used_);
  if (rest.size() < kFrameHeaderBytes) return std::nullopt;
  const size_t size = number_at(rest, 4, 4);
  broken_ = broken_ || size > kMaxPayloadBytes;
  if (broken_ || rest.size() < kFrameHeaderBytes + size) return std::nullopt;
  used_ += kFrameHeaderBytes + size;
  return Received{static_cast<Frame>(rest[0]), rest.substr(kFrameHeaderBytes, size)};
}

Result<os::Fd> listen_at(const std::string& path) {
  const Address at = TRY(address_of(path));
  (void)::unlink(path.c_str());
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return Error::from_errno(errno, "make a socket");
  const mode_t before = ::umask(0177);
  const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at.address), sizeof at.address);
  const int error = errno;
  ::umask(before);
  if (bound != 0) return Error::from_errno(error, "bind '{}'", path);
  if (::listen(socket.get(), 64) != 0) return Error::from_errno(errno, "listen at '{}'", path);
  return socket;
}

Result<os::Fd> connect_to(const std::string& path) {
  const Address at = TRY(address_of(path));
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return Error::from_errno(errno, "make a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&at.address), sizeof at.address) == 0) return socket;
  if (errno == ECONNREFUSED || errno == ENOENT)
    return Error(Code::not_found, "nobody looks after this container");
  return Error::from_errno(errno, "connect to '{}'", path);
}

}  // namespace kist::containers
