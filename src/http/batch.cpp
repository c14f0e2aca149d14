// Order. The largest files start first, because the last to arrive decides how long it takes; but a
// quarter of the connections works from the small end, so that the workers have something to unpack
// from the first moment.
#include "http/batch.h"

#include <algorithm>
#include <random>

#include "base/text.h"
#include "http/local_file.h"
#include "http/retry.h"

namespace kist::http {
namespace {

constexpr int kConnectRetries = 2;  // Who is offline should hear it soon.
constexpr Milliseconds kBusyWait{100};
constexpr size_t kMostSinks = 4;

size_t sink_count() {
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMostSinks);
}

uint32_t entropy() {
  thread_local std::minstd_rand generator(std::random_device{}());
  return static_cast<uint32_t>(generator());
}

}  // namespace

Batch::Batch(Surroundings around, std::span<const Download> files)
    : around_(std::move(around)),
      jobs_(files.size()),
      sinks_(std::min(sink_count(), files.size())),
      workers_(std::min(around_.workers, files.size())) {
  for (size_t i = 0; i < files.size(); ++i) {
    jobs_[i].file = &files[i];
    jobs_[i].index = i;
    waiting_.push_back(&jobs_[i]);
  }
  std::stable_sort(waiting_.begin(), waiting_.end(), [](const Job* a, const Job* b) {
    return a->file->size_bytes.value_or(0) > b->file->size_bytes.value_or(0);
  });
}

Result<void> Batch::run() {
  while (true) {
    if (!error_) start_ready();
    const bool idle = active_ == 0 && handling_ == 0;
    if (idle && (error_ || (waiting_.empty() && delayed_.empty()))) break;
    const Event event = wait_for_event();
    if (event.job != nullptr) handle(event);
  }
  if (error_) return *std::move(error_);
  return {};
}

void Batch::start_ready() {
  while (active_ < std::max<size_t>(around_.config.connections, 1)) {
    Job* job = pick();
    if (job == nullptr) return;
    ++active_;
    if (job->from_small_end) ++active_small_;
    sinks_.post([this, job] { attempt(*job); });
  }
}

Batch::Job* Batch::pick() {
  const auto now = Clock::now();
  const auto due = std::find_if(delayed_.begin(), delayed_.end(),
                                [now](const Job* job) { return job->not_before <= now; });
  if (due != delayed_.end()) {
    Job* job = *due;
    delayed_.erase(due);
    return job;
  }
  if (waiting_.empty()) return nullptr;
  const bool small = active_small_ < around_.config.connections / 4;
  Job* job = small ? waiting_.back() : waiting_.front();
  small ? waiting_.pop_back() : waiting_.pop_front();
  job->from_small_end = small;
  return job;
}

// An event without a job means that a delayed job is due.
Batch::Event Batch::wait_for_event() {
  auto until = Clock::time_point::max();
  if (!error_)
    for (const Job* job : delayed_) until = std::min(until, job->not_before);
  std::unique_lock lock(mutex_);
  const auto has_event = [this] { return !events_.empty(); };
  if (until == Clock::time_point::max()) {
    wake_.wait(lock, has_event);
  } else if (!wake_.wait_until(lock, until, has_event)) {
    return {};
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Batch::handle(Event event) {
  Job& job = *event.job;
  if (event.kind == Event::Kind::handled) {
    --handling_;
    if (event.failure) stop(std::move(event.failure->error));
    return;
  }
  --active_;
  if (job.from_small_end) --active_small_;
  {
    const std::lock_guard lock(mutex_);
    job.exchange.reset();
  }
  switch (event.kind) {
    case Event::Kind::arrived:
      return on_arrived(job);
    case Event::Kind::busy:
      return wait_and_retry(job, kBusyWait);
    default:
      return on_failed(job, std::move(*event.failure));
  }
}

void Batch::on_arrived(Job& job) {
  job.part.reset();
  around_.progress.advance(around_.phase, 1, 0);
  if (error_) return;
  ++handling_;
  workers_.post([this, &job] {
    Event event{Event::Kind::handled, &job, std::nullopt};
    if (!stopping_) {
      if (auto handled = around_.on_file(job.index); !handled)
        event.failure = Failure{std::move(handled).error()};
    }
    post(std::move(event));
  });
}

void Batch::on_failed(Job& job, Failure failure) {
  // An empty part is not worth keeping.
  if (job.part && job.part->size_bytes() == 0) job.part->discard();
  if (job.part && job.part->is_gone()) job.part.reset();
  if (error_) return;
  const int retries = failure.is_connect ? std::min(around_.config.retries, kConnectRetries)
                                         : around_.config.retries;
  const bool too_long = failure.retry_after && *failure.retry_after > kLongestRetryAfter;
  if (failure.may_pass && !too_long && job.tries < retries) {
    ++job.tries;
    const Clock::duration wait = back_off(around_.config.first_back_off, job.tries, entropy());
    return wait_and_retry(job, failure.retry_after ? *failure.retry_after : wait);
  }
  if (!failure.is_local && job.url + 1 < job.file->urls.size()) {
    ++job.url;
    job.tries = 0;
    job.part.reset();  // Opened again: another server's validator is worth nothing here.
    return wait_and_retry(job, Clock::duration::zero());
  }
  stop(std::move(failure.error).context(fmt::format("fetching {}", printable(job.file->label))));
}

void Batch::wait_and_retry(Job& job, Clock::duration wait) {
  if (error_) return;
  job.not_before = Clock::now() + wait;
  delayed_.push_back(&job);
}

void Batch::stop(Error error) {
  if (error_) return;
  error_ = std::move(error);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (Job& job : jobs_)
      if (job.exchange) job.exchange->cancelled = true;
  }
  if (active_ > 0) around_.loop().wake();
}

void Batch::attempt(Job& job) {
  if (auto early = open_part(job)) return post(std::move(*early));
  const std::string& url = job.file->urls[job.url];
  if (is_local_url(url)) return post(copy_local(job, url));
  fetch(job, url);
}

// An event when there is nothing to fetch.
std::optional<Batch::Event> Batch::open_part(Job& job) {
  const auto failed = [&job](Error error, bool may_pass) {
    const bool is_local = !may_pass;
    return Event{Event::Kind::failed, &job,
                 Failure{std::move(error), may_pass, false, {}, is_local}};
  };
  if (stopping_) return failed(Error(Code::unavailable, "stopped"), false);
  if (job.file->urls.empty()) return failed(Error(Code::invalid, "has no address"), false);
  if (!job.part) {
    auto opened = PartFile::open(*job.file, stopping_);
    if (!opened) return failed(std::move(opened).error(), false);
    if (!*opened) {
      if (!std::exchange(job.has_waited, true))
        around_.progress.warn(fmt::format("waiting for another process, which is fetching {}",
                                          printable(job.file->label)));
      return Event{Event::Kind::busy, &job, std::nullopt};
    }
    job.part.emplace(std::move(**opened));
  }
  if (job.part->is_there()) return Event{Event::Kind::arrived, &job, std::nullopt};
  report_bytes(job, job.part->size_bytes());
  if (job.part->size_bytes() == 0 || job.part->size_bytes() != job.file->size_bytes)
    return std::nullopt;
  if (auto finished = job.part->finish(); !finished)
    return failed(finished.error(), finished.error().code() == Code::corrupt);
  return Event{Event::Kind::arrived, &job, std::nullopt};
}

void Batch::fetch(Job& job, const std::string& url) {
  auto exchange = std::make_shared<FileExchange>(
      around_.config, url,
      FileExchange::Place{
          .loop = around_.loop(),
          .pool = sinks_,
          .file = *job.file,
          .part = *job.part,
          .on_progress = [this, &job](uint64_t size_bytes) { report_bytes(job, size_bytes); },
          .on_end =
              [this, &job](std::optional<Failure> failure) {
                const auto kind = failure ? Event::Kind::failed : Event::Kind::arrived;
                post({kind, &job, std::move(failure)});
              },
      });
  {
    const std::lock_guard lock(mutex_);
    job.exchange = exchange;
    exchange->cancelled = stopping_.load();
  }
  if (auto started = exchange->start(); !started)
    post({Event::Kind::failed, &job, Failure{std::move(started).error()}});
}

Batch::Event Batch::copy_local(Job& job, const std::string& url) {
  const auto report = [this, &job](uint64_t size_bytes) { report_bytes(job, size_bytes); };
  auto failure = copy_to_part(url, *job.file, *job.part, report, stopping_);
  const auto kind = failure ? Event::Kind::failed : Event::Kind::arrived;
  return {kind, &job, std::move(failure)};
}

// Only what is new: after a restart the same bytes come again and are not counted twice.
void Batch::report_bytes(Job& job, uint64_t size_bytes) {
  if (size_bytes <= job.reported_bytes) return;
  around_.progress.advance(around_.phase, 0, size_bytes - job.reported_bytes);
  job.reported_bytes = size_bytes;
}

void Batch::post(Event event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  wake_.notify_one();
}

}  // namespace kist::http
