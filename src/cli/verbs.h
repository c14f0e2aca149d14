// The table of all verbs: what `kist help` lists and every verb's flags.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/flags.h"

namespace kist::cli {

struct VerbGroup {
  std::string_view title;
  std::span<const VerbSpec> verbs;
};

std::span<const VerbGroup> verb_groups();
/// Null when there is no such verb.
const VerbSpec* find_verb(std::string_view name);
/// Whether there are verbs of two words that begin with this one ("volume").
bool is_group(std::string_view word);
/// A command line whose verb has two words as one whose first argument is the verb: "volume ls -q" as
/// {"volume ls", "-q"}. docker's other spellings too: "container ls" as "ps".
std::vector<std::string> joined_words(std::vector<std::string> args);
/// What may follow the word "image", and the verb that it stands for: "rm" is "rmi".
std::span<const std::pair<std::string_view, std::string_view>> image_words();
/// The text of `kist help`.
std::string overview();
/// The text of `kist help volume`: the verbs that begin with this word.
std::string group_help(std::string_view word);
/// An error with the nearest verb as a hint.
Error unknown_verb(std::string_view name);
/// The reference in Markdown: every verb with its help, as docs/reference.md has it.
std::string reference();
/// A script for `shell` (bash, zsh, fish). Errors: invalid (another shell).
Result<std::string> completion(std::string_view shell);

}  // namespace kist::cli
