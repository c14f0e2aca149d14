#include "registry_server/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include "os/files.h"

namespace kist::registry_server {
namespace {

constexpr size_t kWriteAt = 32 << 10;

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(std::string path) {
  auto log = std::unique_ptr<AccessLog>(new AccessLog(std::move(path)));
  TRY(log->reopen());
  return log;
}

Result<void> AccessLog::reopen() {
  const std::scoped_lock lock(mutex_);
  write_out();
  if (path_ == "-") file_ = os::Fd(::dup(STDOUT_FILENO));
  else file_ = TRY(os::open_file(path_, O_WRONLY | O_CREAT | O_APPEND, 0640));
  return {};
}

void AccessLog::add(std::string_view line) {
  const std::scoped_lock lock(mutex_);
  held_.append(line).append("\n");
  if (held_.size() >= kWriteAt) write_out();
}

void AccessLog::flush() {
  const std::scoped_lock lock(mutex_);
  write_out();
}

void AccessLog::write_out() {
  if (!held_.empty() && file_.is_open()) (void)os::write_all(file_, held_);
  held_.clear();
}

}  // namespace kist::registry_server
