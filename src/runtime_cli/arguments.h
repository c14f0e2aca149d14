// The command line of runc: options with one or two dashes, "--name value" or "--name=value".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::runtime_cli {

struct Option {
  std::string_view name;        // "bundle"
  std::string_view short_name;  // "b", or empty
  std::string_view value;       // Placeholder of its value; empty: it has none.
  std::string_view help;
};

/// What was given. An option that was given several times has all its values.
class Arguments {
 public:
  bool has(std::string_view name) const { return values_.contains(name); }
  /// The last value.
  std::string text(std::string_view name, std::string_view otherwise = {}) const;
  std::vector<std::string> all(std::string_view name) const;
  Result<std::optional<int64_t>> number(std::string_view name) const;
  const std::vector<std::string>& words() const { return words_; }

 private:
  friend Result<Arguments> parse(std::span<const std::string>, std::span<const Option>, bool);
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> words_;
};

/// `stop_at_word`: what follows the first word is all words (a command of its own).
/// Errors: invalid (an unknown option, with the nearest known one; a missing value).
Result<Arguments> parse(std::span<const std::string> args, std::span<const Option> options,
                        bool stop_at_word);

}  // namespace kist::runtime_cli
