// .gitignore and .dockerignore: which files of a project stay out of its image.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kist::engine {

/// Patterns of gitignore(5) and of .dockerignore, in the order in which they were added; the last one
/// that matches decides. Cheap: linear in pattern times path.
class IgnoreRules {
 public:
  /// `folder`: where the file lies, relative to where paths start; "" there.
  void add_git(std::string_view folder, std::string_view text);
  void add_docker(std::string_view text);

  /// Whether a path is left out. As git has it, what is in a folder that is left out is not looked
  /// at; .dockerignore's exceptions reach into such folders.
  bool ignores(std::string_view path, bool is_folder) const;
  /// Whether an exception may bring back something below a folder that is left out.
  bool may_hold_exceptions(std::string_view folder) const;

 private:
  struct Rule {
    std::string folder;
    std::vector<std::string> parts;
    bool is_exception = false;
    bool only_folders = false;
  };
  bool git_ignores(std::string_view path, bool is_folder) const;
  bool docker_ignores(std::string_view path) const;
  std::vector<Rule> git_;
  std::vector<Rule> docker_;
};

/// One name against one part of a pattern: '*', '?', "[a-z]", "[!a]", '\' before what is meant as it is.
bool matches_name(std::string_view pattern, std::string_view name);

}  // namespace kist::engine
