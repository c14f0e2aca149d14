#include "containers/log_reader.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <vector>

#include "base/text.h"
#include "os/files.h"

namespace kist::containers {
namespace {

// A file of the log, mapped: it is only ever appended to, renamed and unlinked.
class Mapped {
 public:
  explicit Mapped(const std::string& path) {
    if (auto file = os::open_file(path, O_RDONLY)) file_ = std::move(*file);
  }
  Mapped(Mapped&& other) noexcept
      : file_(std::move(other.file_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapped& operator=(Mapped&& other) noexcept {
    Mapped taken(std::move(other));
    std::swap(file_, taken.file_);
    std::swap(data_, taken.data_);
    std::swap(size_, taken.size_);
    return *this;
  }
  ~Mapped() { forget(); }

  bool is_open() const { return file_.is_open(); }
  // What there is by now.
  std::string_view text() {
    struct stat info = {};
    if (!file_.is_open() || ::fstat(file_.get(), &info) != 0) return {};
    const auto size = static_cast<size_t>(info.st_size);
    if (size == size_) return {data_, size_};
    forget();
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file_.get(), 0);
    if (mapped == MAP_FAILED) return {};
    data_ = static_cast<const char*>(mapped);
    size_ = size;
    return {data_, size_};
  }
  bool is_still(const std::string& path) const {
    struct stat here = {};
    struct stat named = {};
    return ::fstat(file_.get(), &here) == 0 && ::stat(path.c_str(), &named) == 0 && here.st_ino == named.st_ino;
  }

 private:
  void forget() {
    if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
    data_ = nullptr;
    size_ = 0;
  }
  os::Fd file_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

struct Line {
  std::string_view time;
  Stream stream = Stream::standard_output;
  bool is_whole = true;
  std::string_view content;  // Without its newline.
};

Line parse_line(std::string_view text) {
  const size_t time_end = text.find(' ');
  const size_t stream_end = time_end == text.npos ? text.npos : text.find(' ', time_end + 1);
  const size_t tag_end = stream_end == text.npos ? text.npos : text.find(' ', stream_end + 1);
  if (tag_end == text.npos) return {.content = text};
  const std::string_view stream = text.substr(time_end + 1, stream_end - time_end - 1);
  const std::string_view tag = text.substr(stream_end + 1, tag_end - stream_end - 1);
  return {.time = text.substr(0, time_end),
          .stream = stream == "stderr" ? Stream::standard_error : Stream::standard_output,
          .is_whole = !tag.starts_with('P'),
          .content = text.substr(tag_end + 1)};
}

bool is_wanted(const Line& line, const LogQuery& query) {
  return line.stream == Stream::standard_output ? query.standard_output : query.standard_error;
}

// Where the last `count` wanted lines of the text begin; `count` is lowered by those found.
size_t tail_start(std::string_view text, const LogQuery& query, uint64_t& count) {
  size_t end = text.size();
  while (end > 0 && count > 0) {
    const size_t before = end < 2 ? text.npos : text.rfind('\n', end - 2);
    const size_t start = before == text.npos ? 0 : before + 1;
    const Line line = parse_line(text.substr(start, end - start - 1));
    // Pieces of a line count with the piece that ends it.
    if (is_wanted(line, query) && (line.is_whole || end == text.size())) --count;
    end = start;
  }
  // What went before on the first of these lines.
  while (end > 0) {
    const size_t before = end < 2 ? text.npos : text.rfind('\n', end - 2);
    const size_t start = before == text.npos ? 0 : before + 1;
    if (parse_line(text.substr(start, end - start - 1)).is_whole) break;
    end = start;
  }
  return end;
}

class Printer {
 public:
  Printer(const LogQuery& query, const std::function<bool(Stream, std::string_view)>& sink)
      : query_(query), sink_(sink) {}

  // All whole lines of the text; returns how many bytes that were. Stops with `done`.
  size_t print(std::string_view text) {
    size_t at = 0;
    while (!done && at < text.size()) {
      const size_t end = text.find('\n', at);
      if (end == text.npos) break;
      print_line(parse_line(text.substr(at, end - at)));
      at = end + 1;
    }
    return at;
  }
  bool done = false;

 private:
  void print_line(const Line& line) {
    if (!is_wanted(line, query_) || !is_in_time(line)) return;
    bool& goes_on = goes_on_[line.stream == Stream::standard_output ? 0 : 1];
    buffer_.clear();
    if (query_.timestamps && !goes_on && !line.time.empty()) buffer_.append(line.time).append(" ");
    buffer_.append(line.content);
    if (line.is_whole) buffer_ += '\n';
    goes_on = !line.is_whole;
    if (!done) done = !sink_(line.stream, buffer_);
  }
  bool is_in_time(const Line& line) {
    if (query_.since_ns == 0 && query_.until_ns == 0) return true;
    const auto time = parse_time(line.time, 0);
    if (!time) return true;
    if (query_.until_ns != 0 && *time > query_.until_ns) return false;
    return *time >= query_.since_ns;
  }
  const LogQuery& query_;
  const std::function<bool(Stream, std::string_view)>& sink_;
  std::string buffer_;
  bool goes_on_[2] = {};
};

std::vector<Mapped> open_all(const std::string& path) {
  std::vector<Mapped> files;
  for (int i = 1;; ++i) {
    Mapped older(fmt::format("{}.{}", path, i));
    if (!older.is_open()) break;
    files.push_back(std::move(older));
  }
  std::reverse(files.begin(), files.end());
  Mapped current(path);
  if (current.is_open()) files.push_back(std::move(current));
  return files;
}

// Waits until the file changes, or for a moment: who watches the container must be asked as well.
class Waiter {
 public:
  explicit Waiter(const std::string& folder) : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (fd_.is_open()) ::inotify_add_watch(fd_.get(), folder.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  }
  void wait() const {
    constexpr int kMomentMs = 200;
    pollfd event = {fd_.get(), POLLIN, 0};
    ::poll(&event, fd_.is_open() ? 1 : 0, kMomentMs);
    char buffer[4096];
    while (fd_.is_open() && ::read(fd_.get(), buffer, sizeof buffer) > 0) {
    }
  }

 private:
  os::Fd fd_;
};

void follow(const std::string& path, Mapped file, size_t at, Printer& printer, const std::function<bool()>& goes_on) {
  const Waiter waiter(os::parent_of(path));
  while (!printer.done) {
    // Asked before looking: what comes between the two is then seen in the next round.
    const bool more_may_come = goes_on();
    at += printer.print(file.text().substr(at));
    if (!file.is_still(path)) {
      Mapped next(path);
      if (next.is_open()) {
        at += printer.print(file.text().substr(at));
        file = std::move(next);
        at = 0;
        continue;
      }
    }
    if (!more_may_come) return;
    waiter.wait();
  }
}

}  // namespace

Result<void> read_log(const std::string& path, const LogQuery& query,
                      const std::function<bool(Stream, std::string_view)>& sink,
                      const std::function<bool()>& goes_on) {
  std::vector<Mapped> files = open_all(path);
  size_t first = 0;
  size_t start = 0;
  if (query.tail) {
    uint64_t left = *query.tail;
    first = files.size();
    while (first > 0 && left > 0) start = tail_start(files[--first].text(), query, left);
    if (*query.tail == 0 && first > 0) start = files[--first].text().size();
  }
  Printer printer(query, sink);
  size_t at = 0;
  for (size_t i = first; i < files.size() && !printer.done; ++i) {
    const size_t from = i == first ? start : 0;
    at = from + printer.print(files[i].text().substr(from));
  }
  if (!query.follow || printer.done) return {};
  while (files.empty()) {
    Mapped file(path);
    if (file.is_open()) files.push_back(std::move(file));
    else if (!goes_on()) return {};
    else Waiter(os::parent_of(path)).wait();
  }
  follow(path, std::move(files.back()), at, printer, goes_on);
  return {};
}

}  // namespace kist::containers
