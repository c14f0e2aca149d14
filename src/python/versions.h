// Versions of Python packages and what is asked of them (PEP 440). Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kist::python {

/// "1!2.0.post1.dev3+cu121". Compares as PEP 440 says: 1.0 equals 1.0.0, 1.0rc1 is before 1.0.
class Version {
 public:
  /// Takes every spelling that PEP 440 normalizes ("v1.0-ALPHA.1"). Errors: invalid.
  static Result<Version> parse(std::string_view text);

  /// Normalized: "1.0a1".
  std::string string() const;
  bool is_prerelease() const { return pre_.has_value() || dev_.has_value(); }
  bool is_postrelease() const { return post_.has_value(); }
  bool has_local() const { return !local_.empty(); }
  uint64_t epoch() const { return epoch_; }
  const std::vector<uint64_t>& release() const { return release_; }
  Version without_local() const;
  /// Epoch and release alone.
  Version base() const;

  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == 0; }

 private:
  friend class VersionParser;
  struct Pre {
    char letter;  // 'a', 'b' or 'r'
    uint64_t number;
    auto operator<=>(const Pre&) const = default;
  };
  using LocalPart = std::variant<std::string, uint64_t>;  // A number is above any text.

  uint64_t epoch_ = 0;
  std::vector<uint64_t> release_;
  std::optional<Pre> pre_;
  std::optional<uint64_t> post_, dev_;
  std::vector<LocalPart> local_;
};

/// One clause: ">=1.2", "==1.*", "~=2.2", "===anything".
class VersionSpecifier {
 public:
  enum class Operator {
    compatible,
    equal,
    not_equal,
    less_equal,
    greater_equal,
    less,
    greater,
    arbitrary
  };
  /// Errors: invalid.
  static Result<VersionSpecifier> parse(std::string_view text);
  /// Whether the version satisfies the clause; pre-releases are not treated specially here.
  bool contains(const Version& version) const;
  Operator op() const { return op_; }
  bool is_prefix() const { return prefix_; }
  const std::string& text() const { return text_; }

 private:
  bool matches_prefix(const Version& version) const;

  Operator op_ = Operator::equal;
  bool prefix_ = false;  // Ends with ".*".
  Version version_;      // Not for `arbitrary`.
  std::string text_;     // What follows the operator.
};

/// Clauses joined by ",": all must hold. Empty: anything.
class VersionSpecifiers {
 public:
  /// Errors: invalid.
  static Result<VersionSpecifiers> parse(std::string_view text);
  bool contains(const Version& version) const;
  /// "==1.2" or "===1.2" alone: pins one version, as hash checking asks for.
  bool is_pin() const;
  const std::vector<VersionSpecifier>& clauses() const { return clauses_; }

 private:
  std::vector<VersionSpecifier> clauses_;
};

}  // namespace kist::python
