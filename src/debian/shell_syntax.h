// POSIX shell scripts as a syntax tree: as much of the language as maintainer scripts use.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kist::debian {

/// A piece of a word.
struct ShellPart {
  enum class Kind {
    literal,
    variable,  // text: "NAME", or "NAME" with an operator in `modifier` as ":-default".
    command,   // text: the source between $( and ).
    unknown,   // Arithmetic and what else we do not follow.
  };
  Kind kind;
  std::string text;
  std::string modifier;
  bool quoted = false;
};
using ShellWord = std::vector<ShellPart>;

struct ShellNode {
  enum class Kind {
    simple,    // assignments, words, writes
    sequence,  // children, one after the other
    all_of,    // children[0] && children[1]
    any_of,    // children[0] || children[1]
    negation,  // ! children[0]
    pipeline,  // children[0] | children[1] …
    branch,    // if children[0] then children[1] else children[2]
    loop,      // while or until: children[0] condition, children[1] body
    for_each,  // for `name` in `words`: children[0]
    choice,    // case words[0]: patterns[i] leads to children[i]
    function,  // `name`: children[0]
    subshell,  // children[0]
  };
  Kind kind = Kind::sequence;
  std::string name;
  std::vector<std::pair<std::string, ShellWord>> assignments;
  std::vector<ShellWord> words;
  std::vector<ShellWord> writes;  // Targets of > and >>.
  std::vector<ShellNode> children;
  std::vector<std::vector<ShellWord>> patterns;
};

/// Here-documents are passed over. Hostile scripts are bounded in nesting (100) and size (4 MiB).
/// Errors: unsupported (what we do not understand, with the line).
Result<ShellNode> parse_shell(std::string_view script);

}  // namespace kist::debian
