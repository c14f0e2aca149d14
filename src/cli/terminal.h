// The two streams a person or a script reads, and how errors and progress look on them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::cli {

/// stdout carries what a script wants, stderr the rest. Writing never fails a verb but for stdout,
/// where finish() tells.
class Terminal {
 public:
  /// `color`: "auto", "always" or "never"; `no_color`: NO_COLOR was set.
  Terminal(std::string_view color, bool no_color);

  void line(std::string_view text);   // stdout
  void text(std::string_view text);   // stdout, as it is
  void note(std::string_view text);   // stderr
  void error(const Error& error);     // stderr
  bool out_is_terminal() const { return out_is_terminal_; }
  bool err_is_terminal() const { return err_is_terminal_; }
  bool color() const { return color_; }
  /// Errors: unavailable, when what was printed did not reach its reader (disk full).
  Result<void> finish();

 private:
  bool out_is_terminal_;
  bool err_is_terminal_;
  bool color_;
  int write_error_ = 0;
};

/// The exit status of a verb that failed: 2 for wrong usage, 1 otherwise.
int exit_status(const Error& error);

}  // namespace kist::cli
