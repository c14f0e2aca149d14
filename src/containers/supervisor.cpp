#include "containers/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "base/text.h"
#include "containers/clients.h"
#include "containers/health.h"
#include "containers/log_writer.h"
#include "containers/notes.h"
#include "containers/spec_of.h"

extern "C" const char __executable_start;
extern "C" const char etext;

namespace kist::containers {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNever = kNoDeadline;
// Of a program that prints faster than its log is written, at once: it is woken so much less often.
constexpr size_t kReadBytes = 256 << 10;

int64_t clock_ns(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}
// Deadlines are in time that passes, not in what the calendar is set to.
int64_t now_ns() { return clock_ns(CLOCK_BOOTTIME); }

// What was needed to start is not needed to wait. The pages are the program's own, unchanged, so that
// they come back from the page cache whenever they are touched.
void let_go_of_program_pages() {
  const auto begin = reinterpret_cast<uintptr_t>(&__executable_start);
  const auto end = reinterpret_cast<uintptr_t>(&etext);
  constexpr uintptr_t kPage = 4096;
  const uintptr_t first = (begin + kPage - 1) & ~(kPage - 1);
  if (end > first) ::madvise(reinterpret_cast<void*>(first), (end & ~(kPage - 1)) - first, MADV_DONTNEED);
}

void do_not_block(const os::Fd& fd) { ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

Result<std::pair<os::Fd, os::Fd>> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  // As much as a plain user may: a program that prints much waits less often.
  (void)::fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
  return std::pair(os::Fd(ends[0]), os::Fd(ends[1]));
}

int status_of(const siginfo_t& how) {
  return how.si_code == CLD_EXITED ? how.si_status : 128 + how.si_status;
}

class Supervisor : private ClientRequests {
 public:
  Supervisor(const Place& place, Record record, Machine& machine, os::Fd started, os::Fd first_client)
      : place_(place), record_(std::move(record)), machine_(machine), started_(std::move(started)),
        first_client_(std::move(first_client)), health_(place_, record_, machine_, status_) {}

  int run();

 private:
  Result<void> prepare();
  Result<void> begin();
  void look_at(size_t streams, size_t health, size_t machine, size_t clients);
  void copy(os::Fd& from, Stream stream);
  void drain();
  void end();
  void fail(const Error& error);
  void write_status();
  void tell_caller(const std::string& line);
  void on_signal();
  void on_time();
  int64_t next_deadline() const;
  void write_input();
  Result<void> make_streams(Streams& theirs);

  void input(std::string_view bytes) override;
  void end_of_input() override;
  void resize(uint16_t rows, uint16_t columns) override;
  void stop(int signal, int timeout_s) override;
  void mark() override;

  const Place& place_;
  Record record_;
  Machine& machine_;
  os::Fd started_;  // Until the caller was told.
  os::Fd first_client_;
  Status status_;
  HealthMonitor health_;
  std::optional<LogWriter> log_;
  std::optional<Clients> clients_;
  os::Fd signals_;
  Started running_;
  os::Fd input_, output_, error_;
  std::string pending_input_;
  bool input_ends_ = false;
  bool done_ = false;
  uint64_t failures_in_a_row_ = 0;
  int64_t began_ns_ = 0;
  int64_t start_at_ns_ = kNever;
  int64_t kill_at_ns_ = kNever;
  std::vector<pollfd> events_;
  // Memory that is not there before it is written to.
  std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(kReadBytes);
};

Result<void> Supervisor::prepare() {
  status_ = TRY(place_.status(record_.id));
  status_.supervisor = ::getpid();
  status_.stopped_by_hand = false;
  status_.error.clear();
  if (record_.log_driver != "none")
    log_ = TRY(LogWriter::open(place_.file_of(record_.id, "log"), record_.log_max_bytes, record_.log_max_files));
  os::Fd listening = TRY(listen_at(place_.file_of(record_.id, "control")));
  clients_.emplace(std::move(listening), static_cast<ClientRequests&>(*this));
  if (first_client_.is_open()) clients_->add_attached(std::move(first_client_));
  sigset_t watched;
  ::sigemptyset(&watched);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) ::sigaddset(&watched, number);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  signals_ = os::Fd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  return {};
}

Result<void> Supervisor::make_streams(Streams& theirs) {
  auto out = TRY(make_pipe());
  auto err = TRY(make_pipe());
  output_ = std::move(out.first);
  error_ = std::move(err.first);
  theirs.output = std::move(out.second);
  theirs.error = std::move(err.second);
  if (record_.open_stdin) {
    auto in = TRY(make_pipe());
    theirs.input = std::move(in.first);
    input_ = std::move(in.second);
  } else {
    theirs.input = TRY(os::open_file("/dev/null", O_RDONLY));
  }
  return {};
}

Result<void> Supervisor::begin() {
  Streams theirs;
  if (!record_.tty) TRY(make_streams(theirs));
  running_ = TRY(machine_.start(record_, theirs));
  if (running_.terminal.is_open()) {
    output_ = std::move(running_.terminal);
    do_not_block(output_);
  } else {
    do_not_block(output_);
    do_not_block(error_);
    if (input_.is_open()) do_not_block(input_);
  }
  began_ns_ = now_ns();
  status_.phase = Phase::running;
  status_.pid = running_.pid;
  status_.pid_start = start_of_process(running_.pid);
  status_.started_ns = clock_ns(CLOCK_REALTIME);
  status_.ports = running_.ports;
  status_.error.clear();
  health_.container_began();
  write_status();
  tell_caller("ok");
  note(place_, record_, "start");
  let_go_of_program_pages();
  return {};
}

void Supervisor::write_status() {
  // Another process may have renamed it.
  if (const auto written = place_.status(record_.id)) record_.name = status_.name = written->name;
  (void)place_.write(status_).has_value();
}

void Supervisor::tell_caller(const std::string& line) {
  if (!started_.is_open()) return;
  const std::string text = line + "\n";
  (void)!::write(started_.get(), text.data(), text.size());
  started_ = os::Fd();
}

// It never ran, or not again.
void Supervisor::fail(const Error& error) {
  status_.phase = Phase::created;
  if (status_.started_ns != 0) status_.phase = Phase::exited;
  status_.exit_code = exit_code_of(error);
  status_.error = message_of(error);
  status_.finished_ns = clock_ns(CLOCK_REALTIME);
  machine_.ended(status_);
  write_status();
  tell_caller(fmt::format("{} {}", status_.exit_code, percent_encode(error.render())));
  done_ = true;
}

void Supervisor::copy(os::Fd& from, Stream stream) {
  const ssize_t got = ::read(from.get(), buffer_.get(), kReadBytes);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {  // A terminal says EIO when nobody has it open any more.
    from = os::Fd();
    return;
  }
  const std::string_view bytes(buffer_.get(), static_cast<size_t>(got));
  if (log_) log_->write(stream, bytes);
  clients_->output(stream, bytes);
}

// What was printed before the end, and is still in the pipes. A process that was left over elsewhere
// may hold them open for ever, so their end is not waited for.
void Supervisor::drain() {
  for (auto* from : {&output_, &error_}) {
    const Stream stream = from == &output_ ? Stream::standard_output : Stream::standard_error;
    while (from->is_open()) {
      pollfd event = {from->get(), POLLIN, 0};
      if (::poll(&event, 1, 0) <= 0) break;
      copy(*from, stream);
    }
    *from = os::Fd();
  }
  input_ = os::Fd();
  pending_input_.clear();
}

void Supervisor::end() {
  siginfo_t how = {};
  if (::waitid(P_PIDFD, static_cast<id_t>(running_.pidfd.get()), &how, WEXITED) != 0) how.si_status = 255;
  health_.container_ended();
  drain();
  running_ = {};
  kill_at_ns_ = kNever;
  status_.phase = Phase::exited;
  status_.pid = 0;
  status_.ports.clear();
  status_.exit_code = status_of(how);
  status_.finished_ns = clock_ns(CLOCK_REALTIME);
  machine_.ended(status_);
  const bool long_enough = now_ns() - began_ns_ > 10 * kSecond;
  failures_in_a_row_ = long_enough ? 0 : failures_in_a_row_ + 1;
  if (!wants_restart(record_.restart, status_)) {
    write_status();
    note_end(place_, record_, status_);
    done_ = true;
    return;
  }
  status_.phase = Phase::restarting;
  ++status_.restart_count;
  write_status();
  note_end(place_, record_, status_);
  start_at_ns_ = now_ns() + restart_delay_ns(failures_in_a_row_);
}

void Supervisor::on_signal() {
  signalfd_siginfo got = {};
  while (::read(signals_.get(), &got, sizeof got) == sizeof got) {
    // The machine goes down, or somebody means the container.
    if (got.ssi_signo == SIGTERM || got.ssi_signo == SIGINT)
      stop(0, static_cast<int>(record_.stop_timeout_s));
  }
}

void Supervisor::on_time() {
  if (now_ns() >= kill_at_ns_) {
    kill_at_ns_ = kNever;
    (void)machine_.signal(SIGKILL).has_value();
  }
  if (now_ns() >= health_.deadline()) health_.on_time();
  if (now_ns() < start_at_ns_) return;
  start_at_ns_ = kNever;
  // It may have got another policy, name or network meanwhile.
  if (auto now = place_.record(record_.id)) record_ = std::move(*now);
  const auto begun = begin();
  if (!begun) fail(begun.error());
}

int64_t Supervisor::next_deadline() const {
  return std::min({kill_at_ns_, start_at_ns_, health_.deadline(), machine_.deadline()});
}

void Supervisor::input(std::string_view bytes) {
  if (input_ends_) return;
  pending_input_ += bytes;
  write_input();
}

void Supervisor::end_of_input() {
  if (record_.tty || !record_.stdin_once) return;
  input_ends_ = true;
  if (pending_input_.empty()) input_ = os::Fd();
}

void Supervisor::write_input() {
  const os::Fd& to = record_.tty ? output_ : input_;
  while (!pending_input_.empty() && to.is_open()) {
    const ssize_t wrote = ::write(to.get(), pending_input_.data(), pending_input_.size());
    if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (wrote < 0) pending_input_.clear();  // Nobody reads it any more.
    else pending_input_.erase(0, static_cast<size_t>(wrote));
  }
  if (!to.is_open()) pending_input_.clear();
  if (input_ends_ && pending_input_.empty()) input_ = os::Fd();
}

void Supervisor::resize(uint16_t rows, uint16_t columns) {
  const winsize size = {.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  if (record_.tty && output_.is_open()) ::ioctl(output_.get(), TIOCSWINSZ, &size);
}

void Supervisor::stop(int signal, int timeout_s) {
  mark();
  if (!running_.pidfd.is_open()) {  // Between two starts.
    start_at_ns_ = kNever;
    status_.phase = Phase::exited;
    write_status();
    done_ = true;
    return;
  }
  if (signal == 0) signal = SIGTERM;
  (void)machine_.signal(signal).has_value();
  if (timeout_s >= 0) kill_at_ns_ = now_ns() + timeout_s * kSecond;
}

void Supervisor::mark() {
  status_.stopped_by_hand = true;
  write_status();
}

// Where in events_ these begin.
void Supervisor::look_at(size_t streams, size_t health, size_t machine, size_t clients) {
  if (events_[0].revents != 0) on_signal();
  for (size_t i = streams; i < health; ++i) {
    if ((events_[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    if (events_[i].fd == output_.get()) copy(output_, Stream::standard_output);
    else if (events_[i].fd == error_.get()) copy(error_, Stream::standard_error);
  }
  if (!pending_input_.empty()) write_input();
  health_.look_at(events_, health);
  machine_.look_at(events_, machine);
  const bool ended = running_.pidfd.is_open() && events_[1].revents != 0;
  clients_->handle(events_, clients);
  if (ended) end();
}

int Supervisor::run() {
  const auto begun = [&]() -> Result<void> {
    TRY(prepare());
    return begin();
  }();
  if (!begun) fail(begun.error());
  while (!done_) {
    events_.clear();
    events_.push_back({signals_.get(), POLLIN, 0});
    events_.push_back({running_.pidfd.get(), POLLIN, 0});
    const size_t streams = events_.size();
    const bool wait = clients_->is_full();
    if (!wait && output_.is_open()) events_.push_back({output_.get(), POLLIN, 0});
    if (!wait && error_.is_open()) events_.push_back({error_.get(), POLLIN, 0});
    const os::Fd& input_end = record_.tty ? output_ : input_;
    if (!pending_input_.empty() && input_end.is_open()) events_.push_back({input_end.get(), POLLOUT, 0});
    const size_t health = events_.size();
    health_.add_to(events_);
    const size_t machine = events_.size();
    machine_.add_to(events_);
    const size_t clients = events_.size();
    clients_->add_to(events_);
    if (!wait_for_events(events_, next_deadline())) break;
    look_at(streams, health, machine, clients);
    if (!done_) on_time();
  }
  if (clients_) clients_->ended(status_.exit_code, status_.error);
  (void)::unlink(place_.file_of(record_.id, "control").c_str());
  return status_.exit_code;
}

}  // namespace

bool wait_for_events(std::vector<pollfd>& events, int64_t deadline_ns) {
  const int64_t left = deadline_ns == kNever ? 0 : std::max<int64_t>(deadline_ns - now_ns(), 0);
  const timespec timeout = {left / kSecond, left % kSecond};
  return ::ppoll(events.data(), events.size(), deadline_ns == kNever ? nullptr : &timeout, nullptr) >= 0 || errno == EINTR;
}

int supervise(const Place& place, Record record, Machine& machine, os::Fd started, os::Fd first_client) {
  return Supervisor(place, std::move(record), machine, std::move(started), std::move(first_client)).run();
}

}  // namespace kist::containers
