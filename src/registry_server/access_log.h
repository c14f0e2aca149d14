// Lines for each request, written together.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace kist::registry_server {

/// Threads: any. What cannot be written is dropped: a full disk must not stop the registry.
class AccessLog {
 public:
  /// `path`: a file, or "-" for stdout. Errors: those of opening it.
  static Result<std::unique_ptr<AccessLog>> open(std::string path);
  ~AccessLog() { flush(); }

  void add(std::string_view line);
  void flush();
  /// Begins the file anew, after somebody has moved it away.
  Result<void> reopen();

 private:
  explicit AccessLog(std::string path) : path_(std::move(path)) {}
  void write_out();

  std::string path_;
  std::mutex mutex_;  // Guards what follows.
  os::Fd file_;
  std::string held_;
};

}  // namespace kist::registry_server
