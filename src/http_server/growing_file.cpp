#include "http_server/growing_file.h"

namespace kist::http_server {

GrowingFile::Seen GrowingFile::seen() const {
  const std::scoped_lock lock(mutex_);
  return seen_;
}

void GrowingFile::wake_due() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (!is_due(at->second)) {
      ++at;
      continue;
    }
    // Under the lock: forget() then knows that it is over.
    at->second.wake();
    at = waiting_.erase(at);
  }
}

void GrowingFile::grown(uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  seen_.bytes = bytes;
  wake_due();
}

void GrowingFile::end(bool is_good) {
  const std::scoped_lock lock(mutex_);
  seen_.state = is_good ? State::good : State::broken;
  wake_due();
}

uint64_t GrowingFile::when_more(uint64_t bytes, std::function<void()> wake) {
  const std::scoped_lock lock(mutex_);
  const uint64_t ticket = next_ticket_++;
  Waiting one{bytes, std::move(wake)};
  if (is_due(one)) one.wake();
  else waiting_.emplace(ticket, std::move(one));
  return ticket;
}

void GrowingFile::forget(uint64_t ticket) {
  const std::scoped_lock lock(mutex_);
  waiting_.erase(ticket);
}

}  // namespace kist::http_server
