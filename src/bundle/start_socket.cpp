#include "bundle/start_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "bundle/sync.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

// An address holds 107 bytes, the folder may be longer: it is named by a descriptor.
sockaddr_un address_in(const os::Fd& folder) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/start", folder.get());
  return address;
}

Result<os::Fd> connect_to(const std::string& folder) {
  const os::Fd opened = TRY(os::open_file(folder, O_PATH | O_DIRECTORY));
  const sockaddr_un address = address_in(opened);
  os::Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return Error::from_errno(errno, "make a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error::from_errno(errno, "connect to '{}/start'", printable(folder));
  return socket;
}

}  // namespace

Result<os::Fd> listen_for_start(const std::string& folder) {
  const os::Fd opened = TRY(os::open_file(folder, O_PATH | O_DIRECTORY));
  const sockaddr_un address = address_in(opened);
  os::Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return Error::from_errno(errno, "make a socket");
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 8) != 0)
    return Error::from_errno(errno, "listen on '{}/start'", printable(folder));
  return socket;
}

bool is_waiting_to_start(const std::string& folder) {
  return os::exists(os::join(folder, "start")) && connect_to(folder).has_value();
}

Result<void> start_waiting(const std::string& folder) {
  const auto socket = connect_to(folder);
  if (!socket)
    return Error(Code::invalid, "cannot start a container that is not in state created")
        .hint("`kist runtime state ID` shows its state");
  TRY(send(*socket, Step::begin));
  while (true) {
    const std::optional<Message> answer = TRY(receive(*socket));
    if (!answer) break;
    if (answer->step == Step::failed) return unpacked(answer->text);
  }
  ::unlink(os::join(folder, "start").c_str());
  return {};
}

Result<os::Fd> wait_for_start(const os::Fd& listener) {
  while (true) {
    os::Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.is_open()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return Error::from_errno(errno, "wait to be started");
    }
    // Who only looks whether we wait says nothing and goes.
    const std::optional<Message> message = TRY(receive(connection));
    if (message && message->step == Step::begin) return connection;
  }
}

}  // namespace kist::bundle
