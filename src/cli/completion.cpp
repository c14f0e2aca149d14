// Completion scripts, from the table of verbs.
#include <algorithm>

#include "base/text.h"
#include "cli/verbs.h"

namespace kist::cli {
namespace {

std::string_view first_word(std::string_view name) { return name.substr(0, name.find(' ')); }

// Of verbs with two words the first ones, or those that follow `group`.
std::string words_after(std::string_view group) {
  std::vector<std::string_view> out;
  for (const VerbGroup& all : verb_groups()) {
    for (const VerbSpec& verb : all.verbs) {
      const std::string_view first = first_word(verb.name);
      if (!group.empty() && (first != group || first == verb.name)) continue;
      const std::string_view word = group.empty() ? first : verb.name.substr(first.size() + 1);
      if (std::find(out.begin(), out.end(), word) == out.end()) out.push_back(word);
    }
  }
  if (group == "image")
    for (const auto& [word, verb] : image_words()) out.push_back(word);
  return fmt::format("{}", fmt::join(out, " "));
}

// The verb that two words stand for, if it has another name.
const VerbSpec* spelt(std::string_view group, std::string_view word) {
  if (group == "image")
    for (const auto& [other, verb] : image_words())
      if (other == word) return find_verb(verb);
  return find_verb(group.empty() ? std::string(word) : fmt::format("{} {}", group, word));
}

std::vector<std::string_view> groups() {
  std::vector<std::string_view> out;
  for (const VerbGroup& all : verb_groups())
    for (const VerbSpec& verb : all.verbs)
      if (const auto first = first_word(verb.name);
          first != verb.name && std::find(out.begin(), out.end(), first) == out.end())
        out.push_back(first);
  return out;
}

std::string flag_names(const VerbSpec& verb) {
  std::string out;
  for (const FlagSpec& flag : verb.flags) out += fmt::format("{}{}", out.empty() ? "" : " ", flag.name);
  return out;
}

// Verbs whose first argument is one of a few words.
struct Choices {
  std::string_view verb;
  std::string words;
};

std::vector<Choices> choices() {
  // Those of runtime_cli, which this module does not know; tests/cli/completion.py compares them.
  constexpr const char* kRuntime =
      "checkpoint create delete events exec features kill list pause ps restore resume run spec start state update";
  return {{"completion", "bash zsh fish"}, {"help", words_after("")}, {"runtime", kRuntime}};
}

std::string bash_completion() {
  std::string out = "_kist() {\n  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} flags=\n"
                    "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
                    "    COMPREPLY=($(compgen -W \"" + words_after("") + "\" -- \"$cur\")); return\n  fi\n"
                    "  case $verb in\n";
  const auto offer = [](std::string_view verb, const std::string& words) {
    return fmt::format("    {})\n      if [ \"$COMP_CWORD\" = 2 ]; then\n"
                       "        COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return\n      fi", verb, words);
  };
  for (const Choices& one : choices()) out += offer(one.verb, one.words) + ";;\n";
  for (const std::string_view group : groups())
    out += offer(group, words_after(group)) + "\n      verb=\"$verb ${COMP_WORDS[2]}\";;\n";
  out += "  esac\n  case $verb in\n";
  for (const VerbGroup& group : verb_groups())
    for (const VerbSpec& verb : group.verbs)
      out += fmt::format("    {}) flags=\"{}\";;\n", shell_quote(verb.name), flag_names(verb));
  for (const auto& [word, verb] : image_words())
    out += fmt::format("    {}) flags=\"{}\";;\n", shell_quote(fmt::format("image {}", word)), flag_names(*find_verb(verb)));
  return out + "  esac\n  case $cur in\n"
               "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"));;\n"
               "    *) COMPREPLY=($(compgen -f -- \"$cur\"));;\n  esac\n}\n"
               "complete -o filenames -F _kist kist\n";
}

// "word:what it is" as _describe takes it.
std::string described(std::string_view word, std::string_view help) {
  std::string name;
  for (const char c : word) name += c == ':' ? std::string("\\:") : std::string(1, c);
  return shell_quote(fmt::format("{}:{}", name, help));
}

// The words after `group` with their summaries; of verbs with two words only the first is there, without one.
std::string zsh_words(std::string_view group) {
  std::string out;
  const std::string words = words_after(group);
  for (const std::string_view word : split(words, ' ')) {
    const VerbSpec* verb = spelt(group, word);
    out += " " + described(word, verb == nullptr ? "…" : verb->summary);
  }
  return out;
}

std::string zsh_completion() {
  std::string out = "#compdef kist\n_kist() {\n  local verb=$words[2]\n  local -a offered\n"
                    "  if (( CURRENT == 2 )); then\n    offered=(" + zsh_words("") + " )\n"
                    "    _describe verb offered; return\n  fi\n  case $verb in\n";
  for (const Choices& one : choices())
    out += fmt::format("    {}) if (( CURRENT == 3 )); then compadd -- {}; return; fi;;\n", one.verb, one.words);
  for (const std::string_view group : groups())
    out += fmt::format("    {})\n      if (( CURRENT == 3 )); then\n        offered=({} )\n"
                       "        _describe verb offered; return\n      fi\n      verb=\"$verb $words[3]\";;\n", group, zsh_words(group));
  out += "  esac\n  case $verb in\n";
  for (const VerbGroup& group : verb_groups())
    for (const VerbSpec& verb : group.verbs) {
      out += fmt::format("    {}) offered=(", shell_quote(verb.name));
      for (const FlagSpec& flag : verb.flags) out += " " + described(flag.name, flag.help);
      out += " );;\n";
    }
  for (const auto& [word, verb] : image_words()) {
    out += fmt::format("    {}) offered=(", shell_quote(fmt::format("image {}", word)));
    for (const FlagSpec& flag : find_verb(verb)->flags) out += " " + described(flag.name, flag.help);
    out += " );;\n";
  }
  return out + "  esac\n  if [[ $PREFIX == -* ]]; then _describe -o flag offered; else _files; fi\n}\n"
               // As a file of fpath it is the function's body; sourced, it registers the function.
               "if [ \"$funcstack[1]\" = _kist ]; then _kist \"$@\"; else compdef _kist kist; fi\n";
}

// Conditions: whether the words so far are the verb, and whether the next word belongs to it alone.
constexpr const char* kFishConditions = R"(function __kist_is
  set -l words (commandline -opc)
  set -l last (math (count $argv) + 1)
  test (count $words) -ge $last; or return 1
  test $last -eq 1; or test "$words[2..$last]" = "$argv"
end
function __kist_wants
  set -l words (commandline -opc)
  test (count $words) -eq (math (count $argv) + 1); and __kist_is $argv
end
)";

std::string fish_completion() {
  std::string out = std::string(kFishConditions) + "complete -c kist -n __kist_wants -f\n";
  for (const std::string_view group : groups()) {
    if (find_verb(group) == nullptr) out += fmt::format("complete -c kist -n __kist_wants -a {}\n", group);
    out += fmt::format("complete -c kist -n '__kist_wants {}' -f\n", group);
  }
  for (const Choices& one : choices())
    out += fmt::format("complete -c kist -n '__kist_wants {}' -f -a '{}'\n", one.verb, one.words);
  for (const VerbGroup& group : verb_groups()) {
    for (const VerbSpec& verb : group.verbs) {
      const std::string_view first = first_word(verb.name);
      const bool alone = first == verb.name;
      out += fmt::format("complete -c kist -n '__kist_wants{}' -a {} -d {}\n", alone ? "" : fmt::format(" {}", first),
                         alone ? first : verb.name.substr(first.size() + 1), shell_quote(verb.summary));
      for (const FlagSpec& flag : verb.flags)
        out += fmt::format("complete -c kist -n '__kist_is {}' -l {} -d {}\n", verb.name, flag.name.substr(2),
                           shell_quote(flag.help));
    }
  }
  for (const auto& [word, verb] : image_words()) {
    const VerbSpec& spec = *find_verb(verb);
    out += fmt::format("complete -c kist -n '__kist_wants image' -a {} -d {}\n", word, shell_quote(spec.summary));
    for (const FlagSpec& flag : spec.flags)
      out += fmt::format("complete -c kist -n '__kist_is image {}' -l {} -d {}\n", word, flag.name.substr(2), shell_quote(flag.help));
  }
  return out;
}

}  // namespace

Result<std::string> completion(std::string_view shell) {
  if (shell == "bash") return bash_completion();
  if (shell == "zsh") return zsh_completion();
  if (shell == "fish") return fish_completion();
  return Error(Code::invalid, "no completion for shell '{}', only bash, zsh and fish", printable(shell));
}

}  // namespace kist::cli
