// Messages as runc writes them: lines of text for people, or of JSON for programs that run us.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace kist::runtime_cli {

class Log {
 public:
  enum class Format { text, json };
  enum class Level { debug, warning, error };
  /// To standard error.
  Log() = default;
  /// Appends to a file.
  static Result<Log> open(const std::string& path, Format format, bool debug);
  void write(Level level, std::string_view message) const;
  /// The error that ends the program: in the log, and for people on standard error too.
  void fail(const Error& error) const;

 private:
  os::Fd file_;
  Format format_ = Format::text;
  bool debug_ = false;
};

}  // namespace kist::runtime_cli
