// Which files of packages are left out, as dpkg's path-exclude and path-include do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kist::debian {

/// Rules in order; the last one that matches a path decides. A pattern is absolute ("/usr/share/
/// doc/*"); '*' matches slashes too, '?' one byte, '[…]' a set. A value; part of a package's key.
class PathFilter {
 public:
  PathFilter& exclude(std::string pattern);
  PathFilter& include(std::string pattern);
  /// `path` as in a tree: relative, after the usr-merge or before it, as the package has it.
  bool excludes(std::string_view path) const;
  /// Every rule in a line, for keys and for the record in /etc/dpkg/dpkg.cfg.d.
  std::string text() const;

  /// Documents, man pages and translations go; copyright files stay (their licences ask for it),
  /// and so does the locale C.UTF-8. What slim images leave out.
  static PathFilter slim();

 private:
  struct Rule {
    bool exclude;
    std::string pattern;
  };
  std::vector<Rule> rules_;
};

/// Shell-style match over bytes; '*' crosses slashes. Linear in practice, no recursion.
bool matches_pattern(std::string_view text, std::string_view pattern);

}  // namespace kist::debian
