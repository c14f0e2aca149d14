// What the process inside and the one outside tell each other while a container is made.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace kist::bundle {

enum class Step : uint32_t {
  failed,     // inside → outside: `text` is an Error.
  warning,    // inside → outside: `text`.
  mapped,     // outside → inside: ids are mapped, limits are set; `number` is the pid.
  hooks,      // inside → outside: all is mounted, the hooks may run. And back: they have.
  terminal,   // inside → outside: with the terminal's other end.
  listener,   // inside → outside: with the descriptor of seccomp. And back: it is delivered.
  ready,      // inside → outside: only the command is missing.
  committed,  // outside → inside: the state says that you exist; wait to be started.
  waiting,    // inside → outside: then I do not die with you any more.
  begin,      // outside → inside: start the command.
};

struct Message {
  Step step = Step::failed;
  int32_t number = 0;
  std::string text;
  os::Fd fd;
};

/// Sends one message. Errors: unavailable when the other end is gone.
Result<void> send(const os::Fd& socket, Step step, int32_t number = 0, const std::string& text = {},
                  const os::Fd* fd = nullptr);
/// Waits for one. Empty: the other end is closed.
Result<std::optional<Message>> receive(const os::Fd& socket);
/// Waits for one of this kind.
Result<Message> expect(const os::Fd& socket, Step step);

std::string packed(const Error& error);
Error unpacked(const std::string& text);

/// Waits until the other end is closed, and is not woken by messages before.
Result<void> wait_for_end(const os::Fd& socket);

struct SocketPair {
  os::Fd outside;
  os::Fd inside;
};
Result<SocketPair> make_socket_pair();
/// Errors: not_found, unavailable (nobody listens).
Result<os::Fd> connect_to_path(const std::string& path);
/// Gives `fd` to the other end, with `text` as the message.
Result<void> send_fd(const os::Fd& socket, const std::string& text, const os::Fd& fd);

}  // namespace kist::bundle
