// How kist says that something failed: Result<T>, Error and TRY. Nothing of ours throws.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace kist {

/// What a *caller* may branch on. Add a value only when some caller must act differently on it;
/// cli/ maps codes to exit statuses in one switch.
enum class Code { invalid, not_found, exists, denied, unavailable, corrupt, unsupported, internal };

/// Why something failed, told so that a person can fix it.
class Error {
 public:
  template <class... A>
  Error(Code code, fmt::format_string<A...> message, A&&... args)
      : code_(code), frames_{fmt::format(message, std::forward<A>(args)...)} {}

  /// `what` names the call and its operand: `from_errno(errno, "open '{}'", path)`. `err` is taken
  /// by value before anything is formatted, because an allocation may overwrite errno.
  template <class... A>
  static Error from_errno(int err, fmt::format_string<A...> what, A&&... args) {
    return make_from_errno(err, fmt::format(what, std::forward<A>(args)...));
  }

  /// Adds an outer frame: what we were trying to do when the inner failure happened.
  Error&& context(std::string frame) && {
    frames_.push_back(std::move(frame));
    return std::move(*this);
  }

  /// Sets the one thing the user should try: a literal command in backticks, or one short clause.
  Error&& hint(std::string text) && {
    hint_ = std::move(text);
    return std::move(*this);
  }

  Code code() const { return code_; }
  /// The outermost frame.
  const std::string& message() const { return frames_.back(); }
  /// All frames, innermost first.
  const std::vector<std::string>& frames() const { return frames_; }
  const std::string& hint_text() const { return hint_; }
  /// "error: outermost\n  cause: …\n  cause: innermost\n\nhint: …\n"
  std::string render() const;

 private:
  static Error make_from_errno(int err, std::string what);
  static Code code_of_errno(int err);  // The only place where errno values get a meaning.

  Code code_;
  std::vector<std::string> frames_;  // Innermost first.
  std::string hint_;
};

/// Either a T or an Error. [[nodiscard]] as a class, so that ignoring a failure breaks the build.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  // NOLINTNEXTLINE(google-explicit-constructor): so that `return Error(…);` works.
  Result(Error e) : tl::expected<T, Error>(tl::unexpect, std::move(e)) {}

  T take() {  // For TRY only.
    if constexpr (!std::is_void_v<T>) return std::move(**this);
  }
};

[[noreturn]] void assertion_failed(const char* what, const char* file, int line);

}  // namespace kist

// Unwraps a Result or returns its error, optionally with context:
//   Fd fd = TRY(open_file(path), "reading lockfile '{}'", path);
// Only as a statement, the initialiser of a variable, or the operand of `return`: leaving a larger
// expression half-way leaks what it has built (both compilers do). tools/tidy.py checks.
#define TRY(expr, ...)                                                                     \
  __extension__({                                                                          \
    auto try_result = (expr);                                                              \
    if (!try_result) [[unlikely]]                                                          \
      return std::move(try_result).error() __VA_OPT__(.context(fmt::format(__VA_ARGS__))); \
    try_result.take();                                                                     \
  })

// A bug, not an error: aborts, in release builds too.
#define KIST_ASSERT(cond)                                                    \
  do {                                                                       \
    if (!(cond)) [[unlikely]]                                                \
      ::kist::assertion_failed(#cond, __FILE__, __LINE__);                   \
  } while (0)
