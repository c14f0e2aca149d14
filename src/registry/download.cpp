#include "registry/download.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "base/text.h"
#include "http/retry.h"
#include "registry/range_fetcher.h"

namespace kist::registry {
namespace {

constexpr int kMostResumes = 5;
// A network that breaks again and again is borne with while it brings something.
constexpr uint64_t kProgressBytes = 1u << 20;

void wait_a_little(int resumes) {
  std::this_thread::sleep_for(http::back_off(std::chrono::milliseconds(250), resumes, std::random_device{}()));
}

// What a request for a part may say when the server cannot do that; the whole may still be had.
bool is_refused_range(const Error& error) { return error.code() == Code::invalid; }

using Clock = std::chrono::steady_clock;

class Download {
 public:
  Download(OpenRange open, DownloadOf of, RangeOptions options, std::shared_ptr<Connections> connections)
      : open_(std::move(open)), of_(std::move(of)), options_(options), connections_(std::move(connections)), at_(of_.from) {
    connections_->take();
    begun_ = Clock::now();
  }
  ~Download() {
    ranges_.reset();
    stream_.reset();
    connections_->give_back(held_);
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  Result<std::string_view> next() {
    if (is_time_for_ranges()) TRY(begin_ranges());
    if (ranges_) {
      const std::string_view piece = ranges_->next();
      at_ = ranges_->at();
      if (!piece.empty()) return piece;
      ranges_.reset();
      connections_->give_back(std::exchange(held_, 1) - 1);
    }
    if (at_ == of_.size_bytes && !stream_) return std::string_view();
    return next_of_one();
  }

 private:
  // Asked once: what did not work the first time will not later.
  bool is_time_for_ranges() {
    if (has_decided_ || at_ < of_.from + options_.probe_bytes) return false;
    has_decided_ = true;
    const bool is_waiting = options_.probe_bytes == 0 || waited_ * 2 >= Clock::now() - begun_;
    return is_waiting && of_.size_bytes - at_ >= options_.least_bytes;
  }

  Result<void> begin_ranges() {
    held_ += connections_->take_free(options_.most_connections - 1);
    if (held_ == 1) return {};
    const uint64_t end = std::min(at_ + options_.chunk_bytes, of_.size_bytes);
    auto first = open_(at_, end, nullptr);
    if (first && is_range(first->head(), at_, end, of_.size_bytes)) {
      stream_.reset();
      DownloadOf rest = of_;
      rest.from = at_;
      ranges_ = std::make_unique<RangeFetcher>(open_, rest, options_, held_, std::move(*first));
      return {};
    }
    connections_->give_back(std::exchange(held_, 1) - 1);
    if (stream_) return {};  // Which is still good.
    if (!first && !is_refused_range(first.error())) return first.error();
    // Nothing is lost: a server that ignores the range is sending everything.
    if (first && first->head().status == 200) {
      to_skip_ = at_;
      stream_.emplace(std::move(*first));
    }
    return {};
  }

  // By one request, taken up where it stopped.
  Result<std::string_view> next_of_one() {
    while (true) {
      const Clock::time_point before = Clock::now();
      if (!stream_) TRY(start());
      auto piece = stream_->read();
      waited_ += Clock::now() - before;
      if (!piece) {
        if (at_ == of_.size_bytes) return std::string_view();  // Broken behind the last byte.
        if (at_ >= resumed_at_ + kProgressBytes) resumes_ = 0;
        if (!stream_->may_pass()) return piece;
        if (resumes_ >= kMostResumes) return broken_off(piece.error());
        resumed_at_ = at_;
        stream_.reset();
        wait_a_little(++resumes_);
        continue;
      }
      std::string_view bytes = *piece;
      if (bytes.empty()) {
        if (at_ == of_.size_bytes) return bytes;
        return Error(Code::corrupt, "blob {} ended after {} of {} bytes", of_.title, at_, of_.size_bytes);
      }
      const size_t skipped = static_cast<size_t>(std::min<uint64_t>(to_skip_, bytes.size()));
      bytes.remove_prefix(skipped);
      to_skip_ -= skipped;
      at_ += bytes.size();
      if (at_ > of_.size_bytes) return Error(Code::corrupt, "blob {} is longer than its {} bytes", of_.title, of_.size_bytes);
      if (!bytes.empty()) return bytes;
    }
  }

  Error broken_off(const Error& error) const {
    Error out(Code::unavailable, "blob {} broke off after {} of {} bytes, {} times: {}", of_.title, at_, of_.size_bytes,
              resumes_ + 1, error.message());
    return std::move(out).hint(error.hint_text());
  }

  Result<void> start() {
    http::Stream opened = TRY(open_(at_, std::nullopt, nullptr));
    const http::Head& head = opened.head();
    // A server that ignores the range begins anew.
    to_skip_ = head.status == 200 ? at_ : 0;
    if (head.status == 206) {
      const auto range = http::parse_content_range(head.content_range);
      if (!range || range->first != at_)
        return Error(Code::corrupt, "blob {}: asked for the bytes from {}, got '{}'", of_.title, at_, printable(head.content_range));
    }
    stream_.emplace(std::move(opened));
    return {};
  }

  const OpenRange open_;
  const DownloadOf of_;
  const RangeOptions options_;
  const std::shared_ptr<Connections> connections_;
  size_t held_ = 1;  // Of the connections.
  bool has_decided_ = false;  // Whether by ranges.
  Clock::time_point begun_;  // With a connection: waiting for that says nothing of who reads.
  Clock::duration waited_{0};  // For the network, by one request.
  std::unique_ptr<RangeFetcher> ranges_;
  std::optional<http::Stream> stream_;
  uint64_t at_;
  uint64_t to_skip_ = 0;
  uint64_t resumed_at_ = 0;
  int resumes_ = 0;
};

}  // namespace

void Connections::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return taken_ < most_; });
  ++taken_;
}

size_t Connections::take_free(size_t wanted) {
  const std::lock_guard lock(mutex_);
  const size_t got = std::min(wanted, most_ - taken_);
  taken_ += got;
  return got;
}

void Connections::give_back(size_t count) {
  {
    const std::lock_guard lock(mutex_);
    taken_ -= count;
  }
  changed_.notify_all();
}

Source download(OpenRange open, DownloadOf of, RangeOptions options, std::shared_ptr<Connections> connections) {
  auto running = std::make_shared<Download>(std::move(open), std::move(of), options, std::move(connections));
  return [running] { return running->next(); };
}

}  // namespace kist::registry
