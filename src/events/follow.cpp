#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "events/events.h"
#include "events/files.h"
#include "os/files.h"

namespace kist::events {
namespace {

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// One file, read as it grows.
class Reader {
 public:
  explicit Reader(os::Fd file) : file_(std::move(file)) {}
  const os::Fd& file() const { return file_; }
  // False: enough.
  bool read_on(const Range& range, const std::function<bool(const Event&)>& sink) {
    std::string buffer(64 << 10, '\0');
    ssize_t got;
    while ((got = ::read(file_.get(), buffer.data(), buffer.size())) > 0) {
      left_.append(buffer, 0, static_cast<size_t>(got));
      size_t at = 0;
      for (size_t end; (end = left_.find('\n', at)) != std::string::npos; at = end + 1) {
        const auto event = decode(std::string_view(left_).substr(at, end - at));
        if (!event || event->time_ns < range.since_ns || event->time_ns > range.until_ns) continue;
        if (!sink(*event)) return false;
      }
      left_.erase(0, at);
      constexpr size_t kLongestLine = 1 << 20;
      if (left_.size() > kLongestLine) left_.clear();
    }
    return true;
  }

 private:
  os::Fd file_;
  std::string left_;
};

bool is_same(const os::Fd& file, const std::string& path) {
  struct stat mine = {};
  struct stat there = {};
  return ::fstat(file.get(), &mine) == 0 && ::stat(path.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
         mine.st_dev == there.st_dev;
}

void wait_for_more(const os::Fd& watch, int64_t until_ns) {
  constexpr int64_t kLongest = 60'000;  // Milliseconds; the calendar may be set.
  const int64_t left = until_ns == INT64_MAX ? kLongest : std::max<int64_t>((until_ns - now_ns()) / 1'000'000 + 1, 0);
  pollfd event = {watch.get(), POLLIN, 0};
  if (::poll(&event, 1, static_cast<int>(std::min(left, kLongest))) <= 0) return;
  char told[4096];
  (void)!::read(watch.get(), told, sizeof told);
}

}  // namespace

Result<void> follow(const std::string& kist_home, const Range& given, const std::function<bool(const Event&)>& sink) {
  Range range = given;
  if (range.since_ns == 0) range.since_ns = now_ns();
  const std::string path = journal_path(kist_home);
  TRY(os::make_folders(os::parent_of(path), 0700));
  // Before the first look, so that nothing falls between the two.
  const os::Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch.is_open() ||
      ::inotify_add_watch(watch.get(), os::parent_of(path).c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
    return Error::from_errno(errno, "watch the journal of events");
  if (auto old = os::open_file(path + ".1", O_RDONLY))
    if (!Reader(std::move(*old)).read_on(range, sink)) return {};
  std::optional<Reader> journal;
  for (;;) {
    const bool over = now_ns() > range.until_ns;
    if (journal && !journal->read_on(range, sink)) return {};
    // Rotated: the old one was read to its end above, once more for who wrote late.
    if (journal && !is_same(journal->file(), path)) {
      if (!journal->read_on(range, sink)) return {};
      journal.reset();
    }
    if (!journal) {
      if (auto file = os::open_file(path, O_RDONLY)) {
        journal.emplace(std::move(*file));
        continue;
      }
    }
    if (over) return {};
    wait_for_more(watch, range.until_ns);
  }
}

}  // namespace kist::events
