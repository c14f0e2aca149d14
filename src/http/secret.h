// Text that must never be printed.
#pragma once

#include <string>
#include <utility>

namespace kist::http {

/// A password, or an address that may hold one. On purpose there is no formatter and no operator<<:
/// putting one into a message does not compile. Lifetime and copies are as those of a string.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  /// For handing it to who needs it (curl, the environment of a child). Never for messages.
  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string text_;
};

}  // namespace kist::http
