#include "containers/lifecycle.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/text.h"
#include "containers/control.h"
#include "containers/notes.h"

namespace kist::containers {
namespace {

Error not_running(const Record& record) {
  return Error(Code::invalid, "container {} is not running", printable(record.name))
      .hint(fmt::format("`kist start {}`", record.name));
}

// In the copy of the process: nothing of the caller's session is kept.
[[noreturn]] void become_supervisor(StartContext& context, const Record& record, os::Fd alive, os::Fd started,
                                    os::Fd client) {
  ::setsid();
  (void)!::chdir("/");
  if (const auto null = os::open_file("/dev/null", O_RDWR))
    for (int fd = 0; fd < 3; ++fd) ::dup2(null->get(), fd);
  // What we hold is kept; whatever else the caller had open is none of ours.
  const int kept[] = {alive.get(), started.get(), client.get(), context.lease.get()};
  for (int fd = 3; fd < 1024; ++fd)
    if (std::find(std::begin(kept), std::end(kept), fd) == std::end(kept)) ::close(fd);
  const Volumes volumes = context.host.volumes;
  Container machine(std::move(context.host));
  const int status = supervise(context.place, record, machine, std::move(started), std::move(client));
  if (record.auto_remove) (void)discard(context.place, volumes, record, true).has_value();
  ::_exit(status);
}

// "ok", or "127 error:%20…".
Result<void> read_answer(const os::Fd& from, int& exit_code) {
  const std::string answer = TRY(os::read_all(from, 1 << 20));
  if (answer == "ok\n") return {};
  const std::string_view line = trim(answer);
  const size_t space = std::min(line.find(' '), line.size());
  exit_code = static_cast<int>(parse_number(line.substr(0, space)).value_or(125));
  std::string text = percent_decode(line.substr(std::min(space + 1, line.size()))).value_or("");
  if (text.empty()) text = "its supervisor died";
  constexpr std::string_view kPrefix = "error: ";
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  while (text.ends_with('\n')) text.pop_back();
  return Error(exit_code == 127 ? Code::not_found : Code::invalid, "{}", text);
}

// Until the supervisor says that it has ended, or is gone. False: gone.
bool wait_for_end(const os::Fd& socket, int& exit_code) {
  FrameReader reader;
  while (reader.fill(socket)) {
    while (const auto frame = reader.next()) {
      if (frame->kind != Frame::ended) continue;
      exit_code = static_cast<int>(number_at(frame->payload, 0, 4));
      return true;
    }
  }
  return false;
}

// Without a supervisor: until the process is gone.
void wait_for_process(const Status& status, int64_t timeout_ms) {
  const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, status.pid, 0)));
  if (!process.is_open() || !process_lives(status)) return;
  pollfd event = {process.get(), POLLIN, 0};
  ::poll(&event, 1, static_cast<int>(timeout_ms));
}

}  // namespace

Result<void> start_detached(StartContext context, const Record& record, int& exit_code, os::Fd* client) {
  exit_code = 125;
  os::Fd alive = TRY(context.place.take_over(record));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  const os::Fd answers(ends[0]);
  os::Fd started(ends[1]);
  os::Fd theirs;
  if (client != nullptr) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return Error::from_errno(errno, "make a socket");
    *client = os::Fd(pair[0]);
    theirs = os::Fd(pair[1]);
    ::fcntl(theirs.get(), F_SETFL, O_NONBLOCK);
  }
  const pid_t child = ::fork();
  if (child < 0) return Error::from_errno(errno, "start a supervisor");
  if (child == 0) {
    if (client != nullptr) *client = os::Fd();
    become_supervisor(context, record, std::move(alive), std::move(started), std::move(theirs));
  }
  theirs = os::Fd();
  alive = os::Fd();
  started = os::Fd();
  return read_answer(answers, exit_code);
}

Result<void> stop(const Place& place, const bundle::Runtime& runtime, const Record& record, int signal,
                  int64_t timeout_s) {
  const Status status = TRY(place.status(record.id));
  if (!status.is_alive() && status.phase != Phase::restarting) return {};
  if (signal == 0) signal = TRY(signal_number(record.stop_signal));
  // A halted process takes no signal but the last.
  if (status.phase == Phase::paused) TRY(bundle::resume(runtime, record.id));
  note(place, record, "kill", {{"signal", fmt::format("{}", signal)}});
  if (const auto socket = connect_to(place.file_of(record.id, "control"))) {
    TRY(send_frame(*socket, Frame::stop, number_bytes(static_cast<uint32_t>(signal), 4) +
                                             number_bytes(static_cast<uint32_t>(timeout_s), 4)));
    int exit_code = 0;
    if (wait_for_end(*socket, exit_code)) {
      note(place, record, "stop");
      return {};
    }
  }
  const Status left = TRY(place.status(record.id));
  if (!process_lives(left)) return {};
  TRY(bundle::kill(runtime, record.id, signal, {}));
  wait_for_process(left, timeout_s < 0 ? -1 : timeout_s * 1000);
  if (process_lives(left)) TRY(bundle::kill(runtime, record.id, SIGKILL, {}));  // All in its pid namespace go with it.
  wait_for_process(left, 10'000);
  note(place, record, "stop");
  return {};
}

Result<void> kill(const Place& place, const bundle::Runtime& runtime, const Record& record, int signal) {
  const Status status = TRY(place.status(record.id));
  if (!status.is_alive()) return not_running(record);
  const auto socket = connect_to(place.file_of(record.id, "control"));
  if (signal == SIGKILL && socket) {
    TRY(send_frame(*socket, Frame::mark));
    if (status.phase == Phase::paused) TRY(bundle::resume(runtime, record.id));
  }
  TRY(bundle::kill(runtime, record.id, signal, {}));
  note(place, record, "kill", {{"signal", fmt::format("{}", signal)}});
  // What is killed is gone when this returns, as a script expects.
  int exit_code = 0;
  if (signal == SIGKILL && (!socket || !wait_for_end(*socket, exit_code))) wait_for_process(status, 10'000);
  return {};
}

Result<int> wait(const Place& place, const Record& record) {
  if (const auto socket = connect_to(place.file_of(record.id, "control"))) {
    int exit_code = 0;
    if (wait_for_end(*socket, exit_code)) return exit_code;
  }
  Status status = TRY(place.status(record.id));
  if (status.is_alive()) {
    wait_for_process(status, -1);
    status = TRY(place.status(record.id));
  }
  return status.exit_code;
}

Result<void> remove(const Place& place, const Volumes& volumes, const bundle::Runtime& runtime, const Record& record,
                    const RemoveHow& how) {
  const Status status = TRY(place.status(record.id));
  if (status.is_alive() || status.phase == Phase::restarting) {
    if (!how.force)
      return Error(Code::invalid, "container {} is running", printable(record.name))
          .hint(fmt::format("`kist stop {0}` first, or `kist rm -f {0}`", record.name));
    TRY(stop(place, runtime, record, SIGKILL, 0));
  }
  TRY(bundle::remove(runtime, record.id, {.force = true}));
  return discard(place, volumes, record, how.with_volumes);
}

Result<std::vector<pid_t>> processes(const bundle::Runtime& runtime, const Record& record, const Status& status) {
  if (!status.is_alive()) return not_running(record);
  if (auto known = bundle::processes(runtime, record.id)) return std::move(*known);
  const std::string space = TRY(os::read_link(fmt::format("/proc/{}/ns/pid", status.pid)));
  const std::vector<std::string> all = TRY(os::list_folder("/proc"));
  std::vector<pid_t> out;
  for (const std::string& name : all) {
    const auto pid = parse_number(name);
    if (!pid) continue;
    const auto its = os::read_link(fmt::format("/proc/{}/ns/pid", name));
    if (its && *its == space) out.push_back(static_cast<pid_t>(*pid));
  }
  return out;
}

Result<void> pause(const Place& place, const bundle::Runtime& runtime, const Record& record, bool halt) {
  Status status = TRY(place.status(record.id));
  if (!status.is_alive()) return not_running(record);
  if (halt == (status.phase == Phase::paused))
    return Error(Code::invalid, "container {} is {}", printable(record.name), halt ? "paused already" : "not paused");
  TRY(halt ? bundle::pause(runtime, record.id) : bundle::resume(runtime, record.id));
  status.phase = halt ? Phase::paused : Phase::running;
  TRY(place.write(status));
  note(place, record, halt ? "pause" : "unpause");
  return {};
}

}  // namespace kist::containers
