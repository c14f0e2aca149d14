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
  return fmt::format("{}", fmt::join(out, " "));
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

std::string bash_completion() {
  std::string out = "_kist() {\n  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} flags=\n"
                    "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
                    "    COMPREPLY=($(compgen -W \"" + words_after("") + "\" -- \"$cur\")); return\n  fi\n"
                    "  case $verb in\n";
  for (const std::string_view group : groups())
    out += fmt::format("    {})\n      if [ \"$COMP_CWORD\" = 2 ]; then\n"
                       "        COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return\n      fi\n"
                       "      verb=\"$verb ${{COMP_WORDS[2]}}\";;\n",
                       group, words_after(group));
  out += "  esac\n  case $verb in\n";
  for (const VerbGroup& group : verb_groups())
    for (const VerbSpec& verb : group.verbs)
      out += fmt::format("    {}) flags=\"{}\";;\n", shell_quote(verb.name), flag_names(verb));
  return out + "  esac\n  case $cur in\n"
               "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"));;\n"
               "    *) COMPREPLY=($(compgen -f -- \"$cur\"));;\n  esac\n}\n"
               "complete -o filenames -F _kist kist\n";
}

std::string zsh_completion() {
  return "#compdef kist\nautoload -U +X bashcompinit && bashcompinit\n" + bash_completion();
}

// When fish offers a verb, or its flags.
std::string fish_after(std::string_view name) {
  std::string out;
  for (const std::string_view word : split(name, ' '))
    out += fmt::format("{}__fish_seen_subcommand_from {}", out.empty() ? "" : "; and ", word);
  return out;
}

std::string fish_completion() {
  std::string out = "complete -c kist -n __fish_use_subcommand -f\n";
  for (const std::string_view group : groups())
    out += fmt::format("complete -c kist -n __fish_use_subcommand -a {}\n", group);
  for (const VerbGroup& group : verb_groups()) {
    for (const VerbSpec& verb : group.verbs) {
      const std::string_view first = first_word(verb.name);
      const bool alone = first == verb.name;
      const std::string when = alone ? "__fish_use_subcommand" : shell_quote("__fish_seen_subcommand_from " + std::string(first));
      out += fmt::format("complete -c kist -n {} -a {} -d {}\n", when, alone ? first : verb.name.substr(first.size() + 1),
                         shell_quote(verb.summary));
      for (const FlagSpec& flag : verb.flags)
        out += fmt::format("complete -c kist -n '{}' -l {} -d {}\n", fish_after(verb.name), flag.name.substr(2),
                           shell_quote(flag.help));
    }
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
