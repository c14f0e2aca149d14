// Command lines from tables: one table per verb parses its arguments, prints its help, completes it
// in the shell and writes its page of the reference. Pure.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::cli {

struct FlagSpec {
  std::string_view name;        // "--volume"
  std::string_view short_name;  // "-v", or empty.
  std::string_view value;       // "SOURCE:TARGET[:ro]"; empty for a switch.
  std::string_view help;        // One line, lower case, no period.
  bool repeated = false;
};

struct VerbSpec {
  std::string_view name;
  std::string_view summary;     // One line, as in the list of verbs.
  std::string_view positionals; // "CMD [ARG…]"
  size_t min_positionals = 0;
  size_t max_positionals = 0;
  bool rest = false;            // All from the first positional on belongs to the command inside.
  std::string_view description; // Paragraphs of help, with an example.
  std::span<const FlagSpec> flags;
};

/// What a command line said.
class Parsed {
 public:
  bool has(std::string_view flag) const { return values_.count(std::string(flag)) != 0; }
  /// Whether a switch was given as `--flag=false`; has() is false then.
  bool off(std::string_view flag) const { return off_.count(std::string(flag)) != 0; }
  /// The last value given, or `otherwise`.
  std::string value(std::string_view flag, std::string_view otherwise = "") const;
  const std::vector<std::string>& values(std::string_view flag) const;
  const std::vector<std::string>& positionals() const { return positionals_; }

 private:
  friend Result<Parsed> parse(const VerbSpec&, std::span<const std::string>);
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::set<std::string> off_;
  std::vector<std::string> positionals_;
};

/// Understands "--flag value", "--flag=value", "--switch=true|false", "-f value", "-fvalue", "-qv", and "--".
/// Of a flag that is given several times and is not `repeated` the last one counts.
/// Errors: invalid; a misspelt flag comes with the nearest one.
Result<Parsed> parse(const VerbSpec& verb, std::span<const std::string> args);

/// The text of `kist VERB --help`.
std::string help(const VerbSpec& verb);

}  // namespace kist::cli
