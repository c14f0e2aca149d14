#include "debian/shell_trace.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "debian/path_filter.h"
#include "debian/shell_conditions.h"
#include "debian/shell_syntax.h"

namespace kist::debian {
namespace {

using Kind = ShellNode::Kind;
using Value = std::optional<std::string>;

constexpr int kMaxSteps = 20'000;
constexpr int kMaxCalls = 24;

// How a part of the script ends: what comes after exit is not reached.
enum class Flow { normal, returned, exited };

// One class, longer than others: walking commands and expanding words call each other through `$(…)`
// and share all of its state.
class Tracer {
 public:
  Tracer(const ShellWorld& world, int& steps)
      : world_(world), steps_(steps), arguments_(world.arguments) {
    for (const auto& [name, value] : world.variables) variables_[name] = value;
  }

  Result<void> run(const ShellNode& node) {
    collect_functions(node);
    TRY(walk(node));
    return {};
  }

  std::vector<ShellEffect> effects;

 private:
  // Functions may be used before the line that defines them is walked, inside other functions.
  void collect_functions(const ShellNode& node) {
    if (node.kind == Kind::function) functions_[node.name] = &node.children[0];
    for (const ShellNode& child : node.children) collect_functions(child);
  }

  Result<Verdict> walk(const ShellNode& node) {
    if (++steps_ > kMaxSteps)
      return Error(Code::unsupported, "script takes more than {} steps", kMaxSteps);
    if (flow_ != Flow::normal) return Verdict::unknown;
    Verdict result = Verdict::yes;
    switch (node.kind) {
      case Kind::simple:
        return simple(node);
      case Kind::sequence:
        for (const ShellNode& child : node.children) {
          result = TRY(walk(child));
        }
        break;
      case Kind::subshell:
        result = TRY(walk(node.children[0]));
        if (flow_ == Flow::exited) flow_ = Flow::normal;
        break;
      case Kind::all_of:
      case Kind::any_of:
        return both(node);
      case Kind::negation:
        result = TRY(walk(node.children[0]));
        return invert(result);
      case Kind::pipeline:
        for (const ShellNode& child : node.children) {
          result = TRY(walk(child));
        }
        flow_ = Flow::normal;  // Each part is a subshell.
        break;
      case Kind::branch:
        return branch(node);
      case Kind::loop:
        return loop(node);
      case Kind::for_each:
        return for_each(node);
      case Kind::choice:
        return choice(node);
      case Kind::function:
        return Verdict::yes;
    }
    note_writes(node, {});
    return result;
  }

  // A part that may or may not run: an exit in it does not end what follows, and the variables that
  // it sets are not known afterwards.
  Result<Verdict> maybe(const ShellNode& node) {
    output_known_ = false;
    const auto before = variables_;
    const Verdict result = TRY(walk(node));
    flow_ = Flow::normal;
    for (auto& [name, value] : variables_) {
      const auto old = before.find(name);
      if (old == before.end() || old->second != value) value = std::nullopt;
    }
    return result == Verdict::unknown ? result : Verdict::unknown;
  }

  Result<Verdict> both(const ShellNode& node) {
    const bool all = node.kind == Kind::all_of;
    const Verdict left = TRY(walk(node.children[0]));
    if (left == (all ? Verdict::no : Verdict::yes)) return left;
    if (left != Verdict::unknown) return TRY(walk(node.children[1]));
    return TRY(maybe(node.children[1]));
  }

  Result<Verdict> branch(const ShellNode& node) {
    const Verdict condition = TRY(walk(node.children[0]));
    const bool has_else = node.children.size() > 2;
    if (condition == Verdict::yes) return TRY(walk(node.children[1]));
    if (condition == Verdict::no) {
      if (!has_else) return Verdict::yes;
      return TRY(walk(node.children[2]));
    }
    TRY(maybe(node.children[1]));
    if (has_else) {
      TRY(maybe(node.children[2]));
    }
    return Verdict::unknown;
  }

  Result<Verdict> loop(const ShellNode& node) {
    TRY(maybe(node.children[0]));
    TRY(maybe(node.children[1]));
    // Once more with what the first round made unknown.
    TRY(maybe(node.children[1]));
    return Verdict::unknown;
  }

  Result<Verdict> for_each(const ShellNode& node) {
    for (const ShellWord& word : node.words) {
      const std::optional<std::vector<std::string>> values = fields(word);
      if (!values) {
        variables_[node.name] = std::nullopt;
        TRY(maybe(node.children[0]));
        variables_[node.name] = std::nullopt;
        continue;
      }
      for (const std::string& value : *values) {
        const bool pattern = value.find_first_of("*?[") != std::string::npos;
        variables_[node.name] = pattern ? Value() : Value(value);
        auto walked = pattern ? maybe(node.children[0]) : walk(node.children[0]);
        TRY(std::move(walked));
      }
    }
    return Verdict::yes;
  }

  Result<Verdict> choice(const ShellNode& node) {
    const Value subject = expand(node.words[0]);
    for (size_t i = 0; i < node.children.size(); ++i) {
      bool unknown = !subject;
      bool matched = false;
      for (const ShellWord& word : node.patterns[i]) {
        const Value pattern = expand(word);
        if (!pattern) unknown = true;
        if (subject && pattern && matches_pattern(*subject, *pattern)) matched = true;
      }
      if (matched && !unknown) return TRY(walk(node.children[i]));
      if (unknown) {
        TRY(maybe(node.children[i]));
      }
    }
    return Verdict::unknown;
  }

  // --- Words ---

  Value lookup(const std::string& name) const {
    if (name == "@" || name == "*") {
      std::string all;
      for (const std::string& argument : arguments_) all += (all.empty() ? "" : " ") + argument;
      return all;
    }
    if (name == "#") return std::to_string(arguments_.size());
    if (name == "0") return "postinst";
    if (name == "?" || name == "$" || name == "!" || name == "-") return std::nullopt;
    if (const auto number = parse_number(name))
      return *number <= arguments_.size() ? arguments_[*number - 1] : std::string();
    const auto found = variables_.find(name);
    return found == variables_.end() ? Value(std::string()) : found->second;
  }

  Value expand_variable(const ShellPart& part) const {
    const Value value = lookup(part.text);
    const std::string& modifier = part.modifier;
    if (modifier.empty() || !value) return value;
    if (modifier.starts_with(":-") || modifier.starts_with("-")) {
      if (!value->empty()) return value;
      const std::string rest = modifier.substr(modifier.find('-') + 1);
      return rest.find_first_of("$`") == std::string::npos ? Value(rest) : std::nullopt;
    }
    // "%pattern" and "#pattern" with literal patterns: what scripts use to cut names.
    std::string pattern = modifier.substr(modifier.find_first_not_of("%#"));
    if (pattern.find_first_of("$`*?[") != std::string::npos) return std::nullopt;
    if (modifier[0] == '%')
      return value->ends_with(pattern) ? value->substr(0, value->size() - pattern.size()) : *value;
    if (modifier[0] == '#')
      return value->starts_with(pattern) ? value->substr(pattern.size()) : *value;
    return std::nullopt;
  }

  // The output of a substitution: of the few commands whose answer is known, or of functions that
  // only echo what is known.
  Value substitute(const std::string& source) const {
    const auto parsed = parse_shell(source);
    if (!parsed) return std::nullopt;
    Value known = known_output(*parsed);
    if (known || calls_ >= kMaxCalls) return known;
    Tracer inner(*this);
    inner.effects.clear();
    inner.output_.clear();
    inner.output_known_ = true;
    inner.captures_ = true;
    ++inner.calls_;
    inner.collect_functions(*parsed);
    if (!inner.walk(*parsed) || !inner.effects.empty() || !inner.output_known_) return std::nullopt;
    while (inner.output_.ends_with('\n')) inner.output_.pop_back();
    return inner.output_;
  }

  Value known_output(const ShellNode& node) const {
    if (node.children.size() != 1 || node.children[0].kind != Kind::simple) return std::nullopt;
    std::vector<std::string> words;
    for (const ShellWord& word : node.children[0].words) {
      const Value value = expand(word);
      if (!value) return std::nullopt;
      words.push_back(*value);
    }
    if (words.size() >= 2 && (words[0] == "which" || (words[0] == "command" && words[1] == "-v")))
      return find_program(words.back()).value_or("");
    if (words.size() == 2 && words[0] == "dpkg" && words[1] == "--print-architecture")
      return lookup("DPKG_MAINTSCRIPT_ARCH");
    if (words.size() == 2 && words[0] == "basename") {
      const size_t slash = words[1].rfind('/');
      return words[1].substr(slash == std::string::npos ? 0 : slash + 1);
    }
    return std::nullopt;
  }

  Value expand(const ShellWord& word) const {
    std::string out;
    for (const ShellPart& part : word) {
      Value value;
      if (part.kind == ShellPart::Kind::literal) value = part.text;
      if (part.kind == ShellPart::Kind::variable) value = expand_variable(part);
      if (part.kind == ShellPart::Kind::command) value = substitute(part.text);
      if (!value) return std::nullopt;
      out += *value;
    }
    return out;
  }

  // A word as the arguments that it becomes: unquoted values are split at blanks.
  std::optional<std::vector<std::string>> fields(const ShellWord& word) const {
    const Value value = expand(word);
    if (!value) return std::nullopt;
    const bool splits = std::any_of(word.begin(), word.end(), [](const ShellPart& part) {
      return (part.kind != ShellPart::Kind::literal && !part.quoted) || part.text == "@";
    });
    if (!splits) return std::vector<std::string>{*value};
    std::vector<std::string> out;
    std::string piece;
    for (const char c : *value + " ") {
      if (c != ' ' && c != '\t' && c != '\n') {
        piece += c;
      } else if (!piece.empty()) {
        out.push_back(std::exchange(piece, {}));
      }
    }
    return out;
  }

  std::optional<std::string> find_program(const std::string& name) const {
    if (name.find('/') != std::string::npos)
      return world_.exists(name) ? std::optional(name) : std::nullopt;
    for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/usr/local/bin/"})
      if (world_.exists(folder + name)) return folder + name;
    return std::nullopt;
  }

  // --- Commands ---

  void note_writes(const ShellNode& node, std::vector<Value> words) {
    ShellEffect effect{std::move(words), {}};
    for (const ShellWord& target : node.writes) {
      const Value path = expand(target);
      if (path && path->starts_with("/dev/")) continue;
      effect.writes.push_back(path);
    }
    if (!effect.words.empty() || !effect.writes.empty()) effects.push_back(std::move(effect));
  }

  Result<Verdict> simple(const ShellNode& node) {
    std::vector<Value> words;
    for (const ShellWord& word : node.words) {
      const auto split = fields(word);
      if (!split) words.push_back(std::nullopt);
      if (split) words.insert(words.end(), split->begin(), split->end());
    }
    for (const auto& [name, word] : node.assignments) {
      Value value = expand(word);
      if (words.empty()) variables_[name] = std::move(value);
    }
    if (words.empty() || !words[0]) {
      note_writes(node, std::move(words));
      return Verdict::unknown;
    }
    const std::optional<Verdict> builtin = TRY(run_builtin(words));
    if (builtin) {
      note_writes(node, {});
      return *builtin;
    }
    if (functions_.contains(*words[0])) return call(*words[0], words);
    note_writes(node, std::move(words));
    return Verdict::unknown;
  }

  Result<Verdict> call(const std::string& name, const std::vector<Value>& words) {
    if (calls_ >= kMaxCalls) return Error(Code::unsupported, "script calls itself too deeply");
    std::vector<std::string> arguments;
    for (size_t i = 1; i < words.size(); ++i) {
      // An argument that is not known: the body is walked with a mark that nothing equals.
      arguments.push_back(words[i].value_or(std::string(kUnknownMark)));
    }
    std::swap(arguments, arguments_);
    ++calls_;
    const auto result = walk(*functions_[name]);
    --calls_;
    std::swap(arguments, arguments_);
    if (flow_ == Flow::returned) flow_ = Flow::normal;
    return result;
  }

  // Empty when it is no builtin.
  Result<std::optional<Verdict>> run_builtin(const std::vector<Value>& words) {
    using Answer = std::optional<Verdict>;
    const std::string& name = *words[0];
    static const std::set<std::string, std::less<>> kNothing = {
        "set", ":", "true", "umask", "trap", "wait", "cd", "hash", "echo", "printf", "log", "db_stop",
        "db_version", "db_capb", "db_input", "db_go", "db_title", "db_fset", "db_subst", "db_beginblock",
        "db_endblock", "db_settitle", "db_purge", "db_unregister", "db_register", "db_set", "continue", "break"};
    if (name == "echo" && captures_) echo(words);
    if (name == "printf") output_known_ = false;
    if (kNothing.contains(name)) return Answer(Verdict::yes);
    if (name == "false") return Answer(Verdict::no);
    if (name == "[" || name == "test") return Answer(test(words, name == "[" ? 1u : 0u));
    if (name == "exit" || name == "return" || name == "exec") {
      if (name == "exec" && words.size() > 1 && words[1]) return Answer();
      flow_ = name == "return" ? Flow::returned : name == "exit" ? Flow::exited : flow_;
      return Answer(Verdict::yes);
    }
    if (name == "shift") {
      if (!arguments_.empty()) arguments_.erase(arguments_.begin());
      return Answer(Verdict::yes);
    }
    if (name == "export" || name == "local" || name == "readonly" || name == "unset") {
      assign(words);
      return Answer(Verdict::yes);
    }
    if (name == "read") {
      for (size_t i = 1; i < words.size(); ++i)
        if (words[i]) variables_[*words[i]] = std::nullopt;
      return Answer(Verdict::unknown);
    }
    if (name == "db_get" || name == "db_metaget") return Answer(ask(words));
    if (name == "." || name == "source") {
      const bool confmodule = words.size() > 1 && words[1] && words[1]->ends_with("/confmodule");
      return confmodule ? Answer(Verdict::yes) : Answer();
    }
    if (name == "which" || name == "command" || name == "type") return Answer(found(words));
    if (name == "dpkg") return Answer(compare_versions_condition(words));
    return Answer();
  }

  void echo(const std::vector<Value>& words) {
    for (size_t i = 1; i < words.size(); ++i) {
      if (!words[i] || (i == 1 && words[i]->starts_with("-n"))) output_known_ = false;
      if (i > 1) output_ += ' ';
      output_ += words[i].value_or("");
    }
    output_ += '\n';
  }

  void assign(const std::vector<Value>& words) {
    for (size_t i = 1; i < words.size(); ++i) {
      if (!words[i]) continue;
      const size_t equals = words[i]->find('=');
      if (equals != std::string::npos)
        variables_[words[i]->substr(0, equals)] = words[i]->substr(equals + 1);
    }
  }

  Verdict ask(const std::vector<Value>& words) {
    variables_["RET"] = std::nullopt;
    if (words.size() < 2 || !words[1] || *words[0] != "db_get") return Verdict::unknown;
    const auto found = world_.defaults.find(*words[1]);
    if (found == world_.defaults.end()) return Verdict::unknown;
    variables_["RET"] = found->second;
    return Verdict::yes;
  }

  Verdict found(const std::vector<Value>& words) const {
    for (size_t i = 1; i < words.size(); ++i) {
      if (!words[i]) return Verdict::unknown;
      if (words[i]->starts_with('-')) continue;
      return verdict(functions_.contains(*words[i]) || find_program(*words[i]).has_value());
    }
    return Verdict::unknown;
  }

  Verdict test(const std::vector<Value>& words, size_t closing) const {
    if (words.size() < 1 + closing) return Verdict::unknown;
    return test_condition({words.begin() + 1, words.end() - static_cast<ptrdiff_t>(closing)}, world_);
  }

  const ShellWorld& world_;
  int& steps_;  // Of the whole script, substitutions included.
  std::vector<std::string> arguments_;
  std::map<std::string, Value> variables_;
  std::map<std::string, const ShellNode*> functions_;
  Flow flow_ = Flow::normal;
  int calls_ = 0;
  bool captures_ = false;  // In a substitution: echo adds to output_.
  bool output_known_ = true;
  std::string output_;
};

}  // namespace

Result<std::vector<ShellEffect>> trace_shell(std::string_view script, const ShellWorld& world) {
  const ShellNode node = TRY(parse_shell(script));
  int steps = 0;
  Tracer tracer(world, steps);
  TRY(tracer.run(node));
  // A mark for an argument that is not known must not pass for one that is.
  for (ShellEffect& effect : tracer.effects)
    for (auto* list : {&effect.words, &effect.writes})
      for (Value& value : *list)
        if (value && value->find(kUnknownMark) != std::string::npos) value = std::nullopt;
  return std::move(tracer.effects);
}

}  // namespace kist::debian
