// Names: small files that say which tree a name stands for. Module-private.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"

namespace kist::store {

using NamedTree = std::pair<std::string, oci::Digest>;

/// Writes names in two steps, so that one syncfs between them makes the contents durable:
/// prepare() writes the files into `staging`, publish() renames them to names/ and makes the
/// renames durable.
class NameWriter {
 public:
  /// `files`: further ones, by their path below `home`, that appear after the names.
  static Result<NameWriter> prepare(
      const std::string& home, const std::string& staging, const std::vector<NamedTree>& names,
      const std::vector<std::pair<std::string, std::string>>& files = {});
  Result<void> publish() const;

 private:
  struct Move {
    std::string from;
    std::string to;
  };
  Result<void> write(const std::string& staging, const std::string& to, std::string_view text);
  explicit NameWriter(std::string home) : home_(std::move(home)) {}
  std::string home_;
  std::vector<Move> moves_;
};

/// Empty for a missing name and for a torn one.
Result<std::optional<oci::Digest>> read_name(const std::string& home, std::string_view name);
Result<std::vector<std::string>> list_names(const std::string& home, std::string_view prefix);

}  // namespace kist::store
