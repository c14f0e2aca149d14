#include "cli/terminal.h"

#include <unistd.h>

#include <cerrno>

#include "base/text.h"

namespace kist::cli {
namespace {

// Returns an errno, 0 when all was written.
int write_to(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    text.remove_prefix(static_cast<size_t>(put));
  }
  return 0;
}

}  // namespace

Terminal::Terminal(std::string_view color, bool no_color)
    : out_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      err_is_terminal_(::isatty(STDERR_FILENO) == 1),
      color_(color == "always" || (color != "never" && !no_color && err_is_terminal_)) {}

void Terminal::text(std::string_view text) {
  if (write_error_ == 0) write_error_ = write_to(STDOUT_FILENO, text);
}

void Terminal::line(std::string_view text) { this->text(std::string(text) + "\n"); }

void Terminal::note(std::string_view text) {
  (void)write_to(STDERR_FILENO, std::string(text) + "\n");
}

void Terminal::error(const Error& error) {
  std::string text = error.render();
  if (color_) {
    constexpr std::string_view kError = "error:";
    text.replace(0, kError.size(), "\x1b[1;31merror:\x1b[0m");
    if (const size_t hint = text.rfind("\nhint:"); hint != std::string::npos)
      text.replace(hint + 1, 5, "\x1b[1;36mhint:\x1b[0m");
  }
  (void)write_to(STDERR_FILENO, text);
}

Result<void> Terminal::finish() {
  // A reader that went away (`kist du | head`) is no failure of ours.
  if (write_error_ == 0 || write_error_ == EPIPE) return {};
  return Error::from_errno(write_error_, "write to stdout");
}

int exit_status(const Error& error) { return error.code() == Code::invalid ? 2 : 1; }

}  // namespace kist::cli
