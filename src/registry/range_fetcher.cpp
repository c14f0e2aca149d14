#include "registry/range_fetcher.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "http/retry.h"
#include "os/thread_signals.h"

namespace kist::registry {
namespace {

constexpr int kMostResumes = 3;  // Of one chunk.
constexpr size_t kSpareChunks = 2;

}  // namespace

bool is_range(const http::Head& head, uint64_t from, uint64_t end, uint64_t size_bytes) {
  if (head.status != 206) return false;
  const auto range = http::parse_content_range(head.content_range);
  return range && range->first == from && range->last == end - 1 && range->total.value_or(size_bytes) == size_bytes &&
         head.content_length.value_or(end - from) == end - from;
}

RangeFetcher::RangeFetcher(OpenRange open, const DownloadOf& of, const RangeOptions& options, size_t connections, http::Stream first)
    : open_(std::move(open)), of_(of), options_(options), most_chunks_(connections + kSpareChunks), at_(of.from),
      first_(std::move(first)), handed_out_(of.from) {
  for (size_t i = 0; i < connections; ++i)
    threads_.emplace_back([this] {
      os::leave_signals_to_others();
      work();
    });
}

RangeFetcher::~RangeFetcher() {
  stopped_ = true;
  {
    const std::lock_guard lock(mutex_);  // So that nobody begins to wait after having looked.
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::string_view RangeFetcher::next() {
  std::unique_lock lock(mutex_);
  if (current_) {
    free_.push_back(std::move(current_->bytes));
    current_.reset();
  }
  changed_.wait(lock, [this] {
    return has_failed_ || at_ == of_.size_bytes || (!chunks_.empty() && chunks_.front()->is_done);
  });
  // What came before the failure is good.
  if (chunks_.empty() || !chunks_.front()->is_done) return {};
  current_ = std::move(chunks_.front());
  chunks_.pop_front();
  at_ = current_->end;
  lock.unlock();
  changed_.notify_all();
  return current_->bytes;
}

std::shared_ptr<RangeFetcher::Chunk> RangeFetcher::next_chunk() {
  std::unique_lock lock(mutex_);
  const auto is_over = [this] { return stopped_ || has_failed_ || handed_out_ == of_.size_bytes; };
  // The one that is being read counts as well.
  changed_.wait(lock, [&] { return is_over() || chunks_.size() + 1 < most_chunks_; });
  if (is_over()) return nullptr;
  const uint64_t end = std::min(handed_out_ + options_.chunk_bytes, of_.size_bytes);
  auto chunk = std::make_shared<Chunk>(Chunk{.begin = handed_out_, .end = end, .bytes = {}});
  if (!free_.empty()) {
    chunk->bytes = std::move(free_.back());
    free_.pop_back();
    chunk->bytes.clear();
  }
  chunks_.push_back(chunk);
  handed_out_ = end;
  return chunk;
}

void RangeFetcher::work() {
  while (const auto chunk = next_chunk()) {
    const bool is_done = fetch(*chunk);
    {
      const std::lock_guard lock(mutex_);
      chunk->is_done = is_done;
      has_failed_ = has_failed_ || !is_done;
    }
    changed_.notify_all();
  }
}

bool RangeFetcher::fetch(Chunk& chunk) {
  chunk.bytes.reserve(options_.chunk_bytes);
  for (int resumes = 0;;) {
    std::optional<http::Stream> stream;
    {
      const std::lock_guard lock(mutex_);
      if (chunk.begin == of_.from) stream = std::exchange(first_, std::nullopt);
    }
    if (!stream) {
      const uint64_t from = chunk.begin + chunk.bytes.size();
      auto opened = open_(from, chunk.end, &stopped_);
      if (!opened || !is_range(opened->head(), from, chunk.end, of_.size_bytes)) return false;
      stream = std::move(*opened);
    }
    bool may_pass = false;
    if (read(*stream, chunk, may_pass)) return true;
    if (!may_pass || stopped_ || ++resumes > kMostResumes) return false;
    std::this_thread::sleep_for(http::back_off(std::chrono::milliseconds(250), resumes, std::random_device{}()));
  }
}

bool RangeFetcher::read(http::Stream& stream, Chunk& chunk, bool& may_pass) const {
  const uint64_t wanted = chunk.end - chunk.begin;
  while (true) {
    const auto piece = stream.read();
    if (!piece) {
      may_pass = stream.may_pass();
      return chunk.bytes.size() == wanted;  // Broken behind the last byte.
    }
    // To the end also when all is here: else the connection could not be used again.
    if (piece->empty()) return chunk.bytes.size() == wanted;
    if (chunk.bytes.size() + piece->size() > wanted) return false;
    chunk.bytes += *piece;
  }
}

}  // namespace kist::registry
