#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "archive/decompress.h"
#include "os/thread_signals.h"

namespace kist::archive {
namespace {

constexpr size_t kPieceBytes = 256u << 10;

// A bounded queue between the thread that makes the bytes and whoever calls next().
class RunAhead {
 public:
  RunAhead(Source source, size_t buffers) : source_(std::move(source)), buffers_(buffers) {
    thread_ = std::thread([this] {
      os::leave_signals_to_others();
      produce();
    });
  }

  ~RunAhead() {
    {
      const std::lock_guard guard(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  RunAhead(const RunAhead&) = delete;
  RunAhead& operator=(const RunAhead&) = delete;

  Result<std::string_view> next() {
    std::unique_lock guard(mutex_);
    if (current_) free_.push_back(std::exchange(current_, {}).value());
    changed_.wait(guard, [this] { return !full_.empty() || ended_; });
    if (full_.empty()) {
      if (failed_) return *failed_;
      return std::string_view();
    }
    current_ = std::move(full_.front());
    full_.pop_front();
    guard.unlock();
    changed_.notify_all();
    return std::string_view(*current_);
  }

 private:
  void produce() {
    while (true) {
      std::string buffer = take_free();
      auto more = fill(buffer);
      const std::lock_guard guard(mutex_);
      if (!more) failed_ = more.error();
      // What came before a failure is still good, and may end the archive before the damage.
      if (!buffer.empty()) full_.push_back(std::move(buffer));
      ended_ = stopped_ || !more || !*more;
      changed_.notify_all();
      if (ended_) return;
    }
  }

  // Gathers small pieces: one hand-over costs some microseconds.
  Result<bool> fill(std::string& buffer) {
    while (buffer.size() < kPieceBytes) {
      const std::string_view piece = TRY(source_());
      if (piece.empty()) return false;
      buffer += piece;
    }
    return true;
  }

  std::string take_free() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return full_.size() < buffers_ || stopped_; });
    std::string buffer;
    if (!free_.empty()) {
      buffer = std::move(free_.back());
      free_.pop_back();
    }
    buffer.clear();
    return buffer;
  }

  Source source_;  // The thread's alone.
  const size_t buffers_;
  std::mutex mutex_;  // Guards all below.
  std::condition_variable changed_;
  std::deque<std::string> full_;
  std::deque<std::string> free_;
  std::optional<std::string> current_;
  std::optional<Error> failed_;
  bool ended_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace

Source run_ahead(Source source, size_t buffers) {
  auto stream = std::make_shared<RunAhead>(std::move(source), buffers);
  return [stream] { return stream->next(); };
}

}  // namespace kist::archive
