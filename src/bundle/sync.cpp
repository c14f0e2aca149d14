#include "bundle/sync.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace kist::bundle {
namespace {

constexpr size_t kMaxText = 8000;  // On the stack: a fresh buffer would cost a fault for each page.
struct Header {
  Step step;
  int32_t number;
};

union Control {
  char bytes[CMSG_SPACE(sizeof(int))];
  cmsghdr align;
};

void attach_fd(msghdr& message, Control& control, const os::Fd& fd) {
  std::memset(&control, 0, sizeof control);
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int raw = fd.get();
  std::memcpy(CMSG_DATA(header), &raw, sizeof raw);
}

}  // namespace

Result<void> send(const os::Fd& socket, Step step, int32_t number, const std::string& text,
                  const os::Fd* fd) {
  Header header = {.step = step, .number = number};
  iovec parts[] = {{&header, sizeof header},
                   {const_cast<char*>(text.data()), std::min(text.size(), kMaxText)}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  Control control;
  if (fd != nullptr) attach_fd(message, control, *fd);
  while (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return Error::from_errno(errno, "tell the other side of the container");
  return {};
}

Result<std::optional<Message>> receive(const os::Fd& socket) {
  Message out;
  Header header = {};
  char text[kMaxText];
  iovec parts[] = {{&header, sizeof header}, {text, sizeof text}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  Control control = {};
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t got;
  // That the other end has not read all of ours is told once; what it has said before comes after.
  do got = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got == 0) return std::optional<Message>();
  if (got < 0) return Error::from_errno(errno, "hear from the other side of the container");
  if (got < static_cast<ssize_t>(sizeof header))
    return Error(Code::internal, "a message of {} bytes", got);
  out.step = header.step;
  out.number = header.number;
  out.text.assign(text, static_cast<size_t>(got) - sizeof header);
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    out.fd = os::Fd(fd);
  }
  return std::optional<Message>(std::move(out));
}

Result<Message> expect(const os::Fd& socket, Step step) {
  std::optional<Message> message = TRY(receive(socket));
  if (!message) return Error(Code::unavailable, "the other side of the container is gone");
  if (message->step == Step::failed) return unpacked(message->text);
  if (message->step != step)
    return Error(Code::internal, "step {} where {} was expected", static_cast<int>(message->step),
                 static_cast<int>(step));
  return std::move(*message);
}

Result<void> wait_for_end(const os::Fd& socket) {
  pollfd polled = {socket.get(), 0, 0};
  while (::poll(&polled, 1, -1) < 0)
    if (errno != EINTR) return Error::from_errno(errno, "wait for the other side of the container");
  return {};
}

std::string packed(const Error& error) {
  std::string out(1, static_cast<char>('0' + static_cast<int>(error.code())));
  out += error.hint_text();
  for (const std::string& frame : error.frames()) out.append(1, '\0').append(frame);
  return out;
}

Error unpacked(const std::string& text) {
  const auto parts = split(text, '\0');
  if (parts.size() < 2 || parts[0].empty()) return Error(Code::internal, "an error without words");
  Error error(static_cast<Code>(parts[0][0] - '0'), "{}", parts[1]);
  for (size_t i = 2; i < parts.size(); ++i)
    (void)std::move(error).context(std::string(parts[i]));  // In place.
  return std::move(error).hint(std::string(parts[0].substr(1)));
}

Result<SocketPair> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return Error::from_errno(errno, "make a pair of sockets");
  return SocketPair{os::Fd(ends[0]), os::Fd(ends[1])};
}

Result<os::Fd> connect_to_path(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error(Code::invalid, "socket '{}' has a name of {} bytes, at most {}", printable(path),
                 path.size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path, path.data(), path.size());
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return Error::from_errno(errno, "make a socket");
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return Error::from_errno(errno, "connect to '{}'", printable(path));
  return socket;
}

Result<void> send_fd(const os::Fd& socket, const std::string& text, const os::Fd& fd) {
  iovec part = {const_cast<char*>(text.data()), text.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control control;
  attach_fd(message, control, fd);
  if (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0)
    return Error::from_errno(errno, "send a descriptor");
  return {};
}

}  // namespace kist::bundle
