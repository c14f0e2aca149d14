// Looking at a tree as a running program would: links are followed, inside the tree.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debian/deb.h"
#include "store/tree.h"

namespace kist::debian {

/// Borrows both; cheap to copy.
class RootView {
 public:
  RootView(const store::Tree& tree, const ContentReader& reader) : tree_(tree), reader_(reader) {}

  /// The entry at a path, absolute or not, with links followed; null when there is none, or when
  /// links go round in a circle.
  const store::Entry* find(std::string_view path) const;
  /// The same without following a link in the last part of the path.
  const store::Entry* find_link(std::string_view path) const;
  bool exists(std::string_view path) const { return find(path) != nullptr; }
  /// Content of a file. Errors: not_found, invalid (not a file), those of the reader.
  Result<std::string> read(std::string_view path) const;
  /// Content of an entry of this or another tree. Errors: those of the reader.
  Result<std::string> read_entry(const store::Entry& entry) const { return reader_(entry); }
  /// "" when the file does not exist. Errors: those of the reader.
  Result<std::string> read_if_exists(std::string_view path) const;
  /// Paths of what is directly in a folder, sorted; none when there is no such folder.
  std::vector<std::string> children(std::string_view folder) const;
  const store::Tree& tree() const { return tree_; }

 private:
  std::optional<std::string> resolve(std::string_view path, bool follow_last) const;

  const store::Tree& tree_;
  const ContentReader& reader_;
};

}  // namespace kist::debian
