#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "archive/turn_around.h"
#include "os/thread_signals.h"

namespace kist::archive {
namespace {

constexpr size_t kPieceBytes = 256u << 10;
// A bounded queue between the thread that writes and whoever calls next().
class Turned {
 public:
  Turned(Writer writer, size_t most_pieces) : writer_(std::move(writer)), most_pieces_(most_pieces) {
    thread_ = std::thread([this] {
      os::leave_signals_to_others();
      const Result<void> written = writer_([this](std::string_view bytes) { return take(bytes); });
      const std::lock_guard guard(mutex_);
      if (!written) failed_ = written.error();
      // What came before a failure is still good, and may end the archive before the damage.
      if (!gathered_.empty()) full_.push_back(std::move(gathered_));
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
  // The writer's thread. Gathers small pieces: one hand-over costs some microseconds.
  Result<void> take(std::string_view bytes) {
    gathered_ += bytes;
    if (gathered_.size() < kPieceBytes) return {};
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return full_.size() < most_pieces_ || stopped_; });
    if (stopped_) return Error(Code::unavailable, "nobody wants the rest");
    full_.push_back(std::move(gathered_));
    gathered_ = std::string();
    if (!free_.empty()) {
      gathered_ = std::move(free_.back());
      free_.pop_back();
    }
    gathered_.clear();
    changed_.notify_all();
    return {};
  }

  Writer writer_;
  std::string gathered_;  // The writer's thread alone.
  const size_t most_pieces_;
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

Source turn_around(Writer writer, size_t most_pieces) {
  auto turned = std::make_shared<Turned>(std::move(writer), most_pieces);
  return [turned] { return turned->next(); };
}

Source run_ahead(Source source, size_t buffers) {
  return turn_around([source = std::move(source)](const auto& output) { return each_piece(source, output); }, buffers);
}

}  // namespace kist::archive
