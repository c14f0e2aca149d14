#include "containers/log_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <cstring>

#include "os/files.h"

namespace kist::containers {
namespace {

std::string prefix_of(Stream stream, char tag) {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts = {};
  ::gmtime_r(&now.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z {} {} ", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec,
                     stream == Stream::standard_output ? "stdout" : "stderr", tag);
}

}  // namespace

Result<LogWriter> LogWriter::open(std::string path, uint64_t max_bytes, uint64_t max_files) {
  LogWriter out(std::move(path), max_bytes, max_files);
  TRY(out.reopen());
  return out;
}

Result<void> LogWriter::reopen() {
  file_ = TRY(os::open_file(path_, O_WRONLY | O_CREAT | O_APPEND, 0600));
  struct stat info = {};
  if (::fstat(file_.get(), &info) != 0) return Error::from_errno(errno, "look at '{}'", path_);
  size_bytes_ = static_cast<uint64_t>(info.st_size);
  return {};
}

// Short pieces lie together: for the kernel one long piece is far less work than many short ones.
void LogWriter::add(std::string_view piece) {
  pending_bytes_ += piece.size();
  if (piece.size() > kShortBytes) {
    pieces_[piece_count_++] = {const_cast<char*>(piece.data()), piece.size()};
    return;
  }
  char* place = gathered_.get() + gathered_bytes_;
  std::memcpy(place, piece.data(), piece.size());
  gathered_bytes_ += piece.size();
  iovec* last = piece_count_ == 0 ? nullptr : &pieces_[piece_count_ - 1];
  if (last != nullptr && static_cast<char*>(last->iov_base) + last->iov_len == place)
    last->iov_len += piece.size();
  else
    pieces_[piece_count_++] = {place, piece.size()};
}

void LogWriter::flush() {
  iovec* next = pieces_.data();
  size_t left = piece_count_;
  while (left > 0) {
    const ssize_t wrote = ::writev(file_.get(), next, static_cast<int>(left));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      for (; left > 0; ++next, --left) lost_bytes_ += next->iov_len;
      break;
    }
    size_bytes_ += static_cast<uint64_t>(wrote);
    auto done = static_cast<size_t>(wrote);
    while (left > 0 && done >= next->iov_len) {
      done -= next->iov_len;
      if (next->iov_len > 0) last_byte_ = static_cast<const char*>(next->iov_base)[next->iov_len - 1];
      ++next, --left;
    }
    if (left > 0 && done > 0) last_byte_ = static_cast<const char*>(next->iov_base)[done - 1];
    if (left > 0) {
      next->iov_base = static_cast<char*>(next->iov_base) + done;
      next->iov_len -= done;
    }
  }
  piece_count_ = 0;
  pending_bytes_ = 0;
  gathered_bytes_ = 0;
}

void LogWriter::rotate() {
  if (max_files_ > 1) {
    for (uint64_t i = max_files_ - 1; i > 1; --i)
      (void)::rename(fmt::format("{}.{}", path_, i - 1).c_str(), fmt::format("{}.{}", path_, i).c_str());
    (void)::rename(path_.c_str(), (path_ + ".1").c_str());
  } else {
    (void)::unlink(path_.c_str());
  }
  // Whoever cannot make a new file goes on with the old one.
  if (!reopen()) size_bytes_ = 0;
}

void LogWriter::tell_losses() {
  if (lost_bytes_ == told_lost_bytes_) return;
  // The line that the disk's end cut off is ended first.
  const std::string line = fmt::format("{}{}kist: {} bytes of output were lost: the disk of the log was full\n",
                                       last_byte_ == '\n' ? "" : "\n", prefix_of(Stream::standard_error, 'F'), lost_bytes_ - told_lost_bytes_);
  const ssize_t wrote = ::write(file_.get(), line.data(), line.size());
  if (wrote > 0) last_byte_ = line[static_cast<size_t>(wrote) - 1];
  if (wrote != static_cast<ssize_t>(line.size())) return;
  size_bytes_ += line.size();
  told_lost_bytes_ = lost_bytes_;
}

void LogWriter::write(Stream stream, std::string_view bytes) {
  if (bytes.empty()) return;
  tell_losses();
  // One time for all that was read at once: it did arrive at once.
  const std::string whole = prefix_of(stream, 'F');
  const std::string part = whole.substr(0, whole.size() - 2) + "P ";
  constexpr std::string_view kNewline = "\n";
  while (!bytes.empty()) {
    const auto* end = static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
    const size_t size = end == nullptr ? bytes.size() : static_cast<size_t>(end - bytes.data()) + 1;
    const size_t line_bytes = size + whole.size() + 1;
    const bool full = max_bytes_ != 0 && size_bytes_ + pending_bytes_ + line_bytes > max_bytes_;
    if (full || piece_count_ + 3 > kPieces || gathered_bytes_ + 3 * kShortBytes > kGatherBytes) flush();
    if (full && size_bytes_ > 0) rotate();
    add(end == nullptr ? part : whole);
    add(bytes.substr(0, size));
    if (end == nullptr) add(kNewline);
    bytes.remove_prefix(size);
  }
  flush();
}

}  // namespace kist::containers
