// What the processes inside tell the one outside, over a pipe: a cloned child may not allocate, so
// it cannot make an Error; it sends the pieces of one, and the parent puts them together.
#pragma once

#include <cstdint>

namespace kist::runtime {

struct Report {
  enum class Kind : uint32_t {
    setup_failed,     // The container could not be made; nothing ran.
    mount_refused,    // The same, at the first mount in a new user namespace.
    not_executed,     // It was made, but args[0] could not be executed; `number` is the status.
    command_stopped,  // Job control; `number` is the signal.
  };
  static constexpr uint32_t kMaxText =
      1024;  // With the header below PIPE_BUF: written in one piece.
  struct Header {
    Kind kind = Kind::setup_failed;
    int32_t error = 0;  // An errno; 0 if the text says it all.
    uint32_t number = 0;
    uint32_t text_size = 0;
  };
  Header header;
  char text[kMaxText];
};

/// The end of the pipe that the processes inside hold. Usable between clone and exec.
class Reporter {
 public:
  explicit Reporter(int fd) : fd_(fd) {}
  int fd() const { return fd_; }
  /// Sends "WHAT 'OPERAND'[: DETAIL]" and exits.
  [[noreturn]] void fail(int error, const char* what, const char* operand = nullptr,
                         const char* detail = nullptr,
                         Report::Kind kind = Report::Kind::setup_failed) const;
  /// Fails with errno if `result` is negative; returns it otherwise.
  int check(long result, const char* what, const char* operand = nullptr) const;
  void send(Report::Kind kind, int error, uint32_t number, const char* what,
            const char* operand = nullptr, const char* detail = nullptr) const;

 private:
  int fd_;
};

}  // namespace kist::runtime
