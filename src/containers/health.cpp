#include "containers/health.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>

#include "base/text.h"
#include "containers/notes.h"

namespace kist::containers {
namespace {

namespace json = boost::json;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNever = INT64_MAX;
constexpr size_t kMaxOutputBytes = 4096;
constexpr size_t kMaxResults = 5;

int64_t clock_ns(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}
// In time that passes, so that a set calendar does not matter.
int64_t now_ns() { return clock_ns(CLOCK_BOOTTIME); }

int64_t or_default(int64_t value, int64_t otherwise) { return value > 0 ? value : otherwise; }

std::vector<std::string> command_of(const HealthCheck& check) {
  std::vector<std::string> out;
  if (check.test[0] == "CMD-SHELL") {
    out = check.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : check.shell;
    out.insert(out.end(), check.test.begin() + 1, check.test.end());
  } else {
    out.assign(check.test.begin() + 1, check.test.end());
  }
  return out;
}

// It leads a session of its own, so its children are in its group, if they did not leave it.
void kill_group(pid_t leader) {
  ::kill(-leader, SIGKILL);
  ::kill(leader, SIGKILL);
}

std::string seconds_text(int64_t ns) {
  return ns % kSecond == 0 ? fmt::format("{}s", ns / kSecond) : fmt::format("{}ms", ns / 1'000'000);
}

}  // namespace

std::vector<ProbeResult> read_probes(const Place& place, std::string_view id) {
  std::vector<ProbeResult> out;
  const auto text = os::read_file(place.file_of(id, "health"), 1 << 20);
  if (!text) return out;
  boost::system::error_code failed;
  json::parse_options any_bytes;
  any_bytes.allow_invalid_utf8 = true;
  const json::value root = json::parse(*text, failed, {}, any_bytes);
  if (failed || !root.is_array()) return out;
  for (const json::value& item : root.get_array()) {
    if (!item.is_object()) continue;
    const json::object& one = item.get_object();
    const auto number = [&](const char* key) {
      const json::value* found = one.if_contains(key);
      return found != nullptr && found->is_int64() ? found->get_int64() : 0;
    };
    const json::value* output = one.if_contains("output");
    out.push_back({number("start"), number("end"), static_cast<int>(number("exitCode")),
                   output != nullptr && output->is_string() ? std::string(output->get_string()) : std::string()});
  }
  return out;
}

HealthMonitor::HealthMonitor(const Place& place, const Record& record, Machine& machine, Status& status)
    : place_(place), record_(record), machine_(machine), status_(status), is_on_(record.health.is_on()),
      next_at_ns_(kNever), kill_at_ns_(kNever) {}

int64_t HealthMonitor::interval_ns() const {
  const HealthCheck& check = record_.health;
  const bool starting = status_.health == "starting" && now_ns() - began_ns_ < check.start_period_ns;
  return starting ? or_default(check.start_interval_ns, 5 * kSecond) : or_default(check.interval_ns, 30 * kSecond);
}

// The caller writes the status.
void HealthMonitor::container_began() {
  status_.health.clear();
  status_.health_failures = 0;
  if (!is_on_) return;
  results_.clear();
  (void)::unlink(place_.file_of(record_.id, "health").c_str());
  status_.health = "starting";
  began_ns_ = now_ns();
  next_at_ns_ = began_ns_ + interval_ns();
}

void HealthMonitor::container_ended() {
  next_at_ns_ = kill_at_ns_ = kNever;
  output_ = os::Fd();
  if (!probe_.pidfd.is_open()) return;
  kill_group(probe_.pid);
  siginfo_t how = {};
  ::waitid(P_PIDFD, static_cast<id_t>(probe_.pidfd.get()), &how, WEXITED);
  probe_ = {};
}

int64_t HealthMonitor::deadline() const { return std::min(next_at_ns_, kill_at_ns_); }

// Whoever pauses a container says so in its status, not to us.
bool HealthMonitor::is_paused() const {
  const auto status = place_.status(record_.id);
  return status && status->phase == Phase::paused;
}

void HealthMonitor::on_time() {
  if (now_ns() >= kill_at_ns_) {
    kill_at_ns_ = kNever;
    timed_out_ = true;
    kill_group(probe_.pid);
  }
  if (now_ns() < next_at_ns_) return;
  if (is_paused()) {
    next_at_ns_ = now_ns() + interval_ns();
    return;
  }
  start_probe();
}

void HealthMonitor::start_probe() {
  next_at_ns_ = kNever;  // Until this one has ended: they never pile up.
  current_ = {};
  current_.start_ns = clock_ns(CLOCK_REALTIME);
  timed_out_ = false;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return finish(-1);
  output_ = os::Fd(ends[0]);
  const os::Fd theirs(ends[1]);
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  auto started = machine_.probe(record_, command_of(record_.health), theirs);
  if (!started) {
    current_.output = started.error().message();
    return finish(-1);
  }
  probe_ = std::move(*started);
  kill_at_ns_ = now_ns() + or_default(record_.health.timeout_ns, 30 * kSecond);
}

void HealthMonitor::add_to(std::vector<pollfd>& events) {
  if (!probe_.pidfd.is_open()) return;
  events.push_back({probe_.pidfd.get(), POLLIN, 0});
  if (output_.is_open()) events.push_back({output_.get(), POLLIN, 0});
}

void HealthMonitor::read_output() {
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      output_ = os::Fd();
      return;
    }
    // The rest is read, so that it does not wait, and dropped.
    current_.output.append(buffer, std::min(static_cast<size_t>(got), kMaxOutputBytes - current_.output.size()));
    if (static_cast<size_t>(got) < sizeof buffer) return;
  }
}

void HealthMonitor::look_at(const std::vector<pollfd>& events, size_t first) {
  if (!probe_.pidfd.is_open() || first >= events.size() || events[first].fd != probe_.pidfd.get()) return;
  if (first + 1 < events.size() && output_.is_open() && events[first + 1].fd == output_.get() &&
      events[first + 1].revents != 0)
    read_output();
  if (events[first].revents == 0) return;
  siginfo_t how = {};
  ::waitid(P_PIDFD, static_cast<id_t>(probe_.pidfd.get()), &how, WEXITED);
  if (output_.is_open()) read_output();
  finish(timed_out_ ? -1 : how.si_code == CLD_EXITED ? how.si_status : 128 + how.si_status);
}

void HealthMonitor::finish(int exit_code) {
  // What it left running may hold the pipe, and goes on without us.
  output_ = os::Fd();
  probe_ = {};
  kill_at_ns_ = kNever;
  current_.end_ns = clock_ns(CLOCK_REALTIME);
  current_.exit_code = exit_code;
  if (timed_out_)
    current_.output = fmt::format("Health check exceeded timeout ({})",
                                  seconds_text(or_default(record_.health.timeout_ns, 30 * kSecond)));
  judge(current_);
  keep(std::move(current_));
  next_at_ns_ = now_ns() + interval_ns();
}

void HealthMonitor::judge(const ProbeResult& result) {
  const HealthCheck& check = record_.health;
  const std::string before = status_.health;
  const uint64_t failures = status_.health_failures;
  if (result.exit_code == 0) {
    status_.health = "healthy";
    status_.health_failures = 0;
  } else if (before != "starting" || now_ns() - began_ns_ >= check.start_period_ns) {
    ++status_.health_failures;
    if (status_.health_failures >= (check.retries == 0 ? 3 : check.retries)) status_.health = "unhealthy";
  }
  if (before == status_.health && failures == status_.health_failures) return;
  if (is_paused()) status_.phase = Phase::paused;
  (void)place_.write(status_).has_value();
  if (before != status_.health) note(place_, record_, "health_status: " + status_.health);
}

void HealthMonitor::keep(ProbeResult result) {
  results_.push_back(std::move(result));
  if (results_.size() > kMaxResults) results_.pop_front();
  json::array out;
  for (const ProbeResult& one : results_)
    out.push_back(json::object{{"start", one.start_ns}, {"end", one.end_ns}, {"exitCode", one.exit_code}, {"output", one.output}});
  (void)os::write_file_atomically(place_.file_of(record_.id, "health"), json::serialize(out), 0600).has_value();
}

}  // namespace kist::containers
