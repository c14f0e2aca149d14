// Many files at once: which comes next, what is tried again, and when all is over.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "http/client.h"
#include "http/file_exchange.h"

namespace kist::http {

/// One call of Client::download_all. The calling thread starts attempts and waits for events; the
/// loop's thread receives; sinks hash and write; workers run on_file.
class Batch {
 public:
  struct Surroundings {
    const Config& config;
    std::function<Loop&()> loop;  // Made when first needed: a batch of file: URLs needs none.
    const OnFile& on_file;
    size_t workers;
    Progress& progress;
    std::string_view phase;
  };

  Batch(Surroundings around, std::span<const Download> files);
  Result<void> run();

 private:
  using Clock = std::chrono::steady_clock;

  struct Job {
    const Download* file = nullptr;
    size_t index = 0;
    size_t url = 0;  // Which of the file's addresses is tried.
    int tries = 0;   // Repetitions at that address.
    bool from_small_end = false;
    bool has_waited = false;  // For another process.
    Clock::time_point not_before{};
    std::optional<PartFile> part;
    std::shared_ptr<FileExchange> exchange;
    uint64_t reported_bytes = 0;
  };
  struct Event {
    enum class Kind { arrived, busy, failed, handled } kind = Kind::arrived;
    Job* job = nullptr;
    std::optional<Failure> failure;
  };

  void start_ready();
  Job* pick();
  Event wait_for_event();
  void handle(Event event);
  void on_arrived(Job& job);
  void on_failed(Job& job, Failure failure);
  void wait_and_retry(Job& job, Clock::duration wait);
  void stop(Error error);

  // Tasks of the sinks.
  void attempt(Job& job);
  std::optional<Event> open_part(Job& job);
  void fetch(Job& job, const std::string& url);
  Event copy_local(Job& job, const std::string& url);
  void report_bytes(Job& job, uint64_t size_bytes);
  void post(Event event);

  Surroundings around_;
  std::vector<Job> jobs_;
  std::deque<Job*> waiting_;  // Largest first.
  std::list<Job*> delayed_;   // Until their not_before.
  size_t active_ = 0;
  size_t active_small_ = 0;
  size_t handling_ = 0;
  std::optional<Error> error_;
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;  // Guards events_, and each job's exchange against stop().
  std::condition_variable wake_;
  std::deque<Event> events_;

  // Last, so that they are joined before anything that their tasks use goes away.
  TaskPool sinks_;
  TaskPool workers_;
};

}  // namespace kist::http
