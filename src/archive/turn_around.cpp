#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "archive/turn_around.h"
#include "os/thread_signals.h"

namespace kist::archive {
namespace {

constexpr size_t kPieceBytes = 256u << 10;
constexpr size_t kMostPieces = 8;

class Turned {
 public:
  explicit Turned(Writer writer) : writer_(std::move(writer)) {
    thread_ = std::thread([this] {
      os::leave_signals_to_others();
      const Result<void> written = writer_([this](std::string_view bytes) { return take(bytes); });
      const std::lock_guard guard(mutex_);
      if (!written) failed_ = written.error();
      else if (!gathered_.empty()) full_.push_back(std::move(gathered_));
      ended_ = true;
      changed_.notify_all();
    });
  }
  ~Turned() {
    {
      const std::lock_guard guard(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Turned(const Turned&) = delete;
  Turned& operator=(const Turned&) = delete;

  Result<std::string_view> next() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return !full_.empty() || ended_; });
    if (full_.empty()) {
      if (failed_) return *failed_;
      return std::string_view();
    }
    current_ = std::move(full_.front());
    full_.pop_front();
    changed_.notify_all();
    return std::string_view(current_);
  }

 private:
  // The writer's thread.
  Result<void> take(std::string_view bytes) {
    gathered_ += bytes;
    if (gathered_.size() < kPieceBytes) return {};
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return full_.size() < kMostPieces || stopped_; });
    if (stopped_) return Error(Code::unavailable, "nobody wants the rest");
    full_.push_back(std::move(gathered_));
    gathered_.clear();
    changed_.notify_all();
    return {};
  }

  Writer writer_;
  std::string gathered_;  // The writer's thread alone.
  std::string current_;   // The reader's alone.
  std::mutex mutex_;      // Guards all below.
  std::condition_variable changed_;
  std::deque<std::string> full_;
  std::optional<Error> failed_;
  bool ended_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace

Source turn_around(Writer writer) {
  auto turned = std::make_shared<Turned>(std::move(writer));
  return [turned] { return turned->next(); };
}

}  // namespace kist::archive
