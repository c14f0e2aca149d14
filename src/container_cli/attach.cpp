// One's own terminal, joined with that of a container.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/text.h"
#include "container_cli/verb.h"
#include "containers/control.h"

namespace kist::container_cli {
namespace {

using containers::Frame;

// Every key goes through as it is; put back when this object goes away.
class RawTerminal {
 public:
  explicit RawTerminal(bool wanted) {
    if (!wanted || ::tcgetattr(0, &before_) != 0) return;
    is_raw_ = true;
    termios raw = before_;
    ::cfmakeraw(&raw);
    ::tcsetattr(0, TCSANOW, &raw);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() {
    if (is_raw_) ::tcsetattr(0, TCSANOW, &before_);
  }

 private:
  termios before_ = {};
  bool is_raw_ = false;
};

// Finds the keys that mean "leave it running" in what is typed; keys that only begin so are held back.
class DetachKeys {
 public:
  explicit DetachKeys(std::string keys) : keys_(std::move(keys)) {}
  // What is to be passed on; `leaves` is set when the keys were typed.
  std::string filter(std::string_view typed, bool& leaves) {
    std::string out;
    for (const char key : typed) {
      if (!keys_.empty() && key == keys_[seen_]) {
        if (++seen_ < keys_.size()) continue;
        leaves = true;
        return out;
      }
      out.append(keys_, 0, seen_);
      seen_ = !keys_.empty() && key == keys_[0] ? 1 : 0;
      if (seen_ == 0) out += key;
    }
    return out;
  }

 private:
  std::string keys_;
  size_t seen_ = 0;
};

class Session {
 public:
  Session(const Here& here, const containers::Record& record, const AttachOptions& options, os::Fd socket, DetachKeys keys)
      : here_(here), record_(record), options_(options), socket_(std::move(socket)), keys_(std::move(keys)) {}

  Result<int> run();

 private:
  void watch_signals();
  // What cannot be sent any more finds a container that has ended: what it said last is still to be read.
  void tell(Frame kind, std::string_view payload = {}) { (void)containers::send_frame(socket_, kind, payload).has_value(); }
  void send_size();
  void on_signal();
  void on_input();
  // True when it is over.
  bool on_frames();

  const Here& here_;
  const containers::Record& record_;
  const AttachOptions& options_;
  os::Fd socket_;
  DetachKeys keys_;
  os::Fd signals_;
  containers::FrameReader reader_;
  bool reads_input_ = false;
  bool left_ = false;
  int exit_code_ = 0;
};

void Session::watch_signals() {
  sigset_t watched;
  ::sigemptyset(&watched);
  ::sigaddset(&watched, SIGWINCH);
  if (options_.pass_signals) {
    for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2}) ::sigaddset(&watched, number);
    // Whose terminal is gone cannot be joined any more: it is left running.
    if (!record_.tty) ::sigaddset(&watched, SIGHUP);
  }
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  signals_ = os::Fd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
}

void Session::send_size() {
  winsize size = {};
  if (!record_.tty || ::ioctl(1, TIOCGWINSZ, &size) != 0) return;
  tell(Frame::resize, containers::number_bytes(size.ws_row, 2) + containers::number_bytes(size.ws_col, 2));
}

void Session::on_signal() {
  signalfd_siginfo got = {};
  while (::read(signals_.get(), &got, sizeof got) == sizeof got) {
    if (got.ssi_signo == SIGWINCH) send_size();
    else (void)bundle::kill(here_.runtime, record_.id, static_cast<int>(got.ssi_signo), {}).has_value();
  }
}

void Session::on_input() {
  std::array<char, 1 << 15> buffer;
  const ssize_t got = ::read(0, buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    reads_input_ = false;
    return tell(Frame::end_of_input);
  }
  std::string_view typed(buffer.data(), static_cast<size_t>(got));
  if (!record_.tty) return tell(Frame::input, typed);
  const std::string passed = keys_.filter(typed, left_);
  if (!passed.empty()) tell(Frame::input, passed);
}

bool Session::on_frames() {
  if (!reader_.fill(socket_)) {
    const auto status = here_.place.status(record_.id);
    exit_code_ = status ? status->exit_code : kKistFailed;
    return true;
  }
  while (const auto frame = reader_.next()) {
    if (frame->kind == Frame::ended) {
      exit_code_ = static_cast<int>(containers::number_at(frame->payload, 0, 4));
      return true;
    }
    const bool is_error = frame->kind == Frame::error_output;
    if (!(is_error ? options_.error_output : options_.output)) continue;
    const os::Fd out(::dup(is_error ? 2 : 1));
    (void)os::write_all(out, frame->payload).has_value();
  }
  return reader_.is_broken();
}

Result<int> Session::run() {
  watch_signals();
  reads_input_ = options_.input && record_.open_stdin;
  const RawTerminal raw(reads_input_ && record_.tty);
  tell(Frame::attach, std::string(1, reads_input_ ? '\1' : '\0'));
  send_size();
  for (;;) {
    pollfd events[] = {{socket_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {reads_input_ ? 0 : -1, POLLIN, 0}};
    if (::poll(events, 3, -1) < 0 && errno != EINTR) return Error::from_errno(errno, "wait");
    if (events[0].revents != 0 && on_frames()) return exit_code_;
    if (events[1].revents != 0) on_signal();
    if (events[2].revents != 0) on_input();
    if (left_) return 0;
  }
}

}  // namespace

Result<std::string> parse_detach_keys(std::string_view text) {
  std::string out;
  if (text.empty()) return out;
  for (const std::string_view key : split(text, ',')) {
    if (key.size() == 1) {
      out += key[0];
      continue;
    }
    const char letter = key.size() == 6 && key.starts_with("ctrl-") ? key[5] : '\0';
    const bool known = (letter >= 'a' && letter <= 'z') || (letter >= '@' && letter <= '_');
    if (!known) return Error(Code::invalid, "--detach-keys: '{}' is no key, want a letter or ctrl-LETTER", printable(key));
    out += static_cast<char>(letter & 0x1f);
  }
  return out;
}

Result<int> attach(const Here& here, const containers::Record& record, const AttachOptions& options, os::Fd connection) {
  std::string keys = TRY(parse_detach_keys(options.detach_keys));
  if (!connection.is_open()) connection = TRY(containers::connect_to(here.place.file_of(record.id, "control")));
  return Session(here, record, options, std::move(connection), DetachKeys(std::move(keys))).run();
}

}  // namespace kist::container_cli
