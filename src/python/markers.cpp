#include "python/markers.h"

#include <algorithm>

#include "base/text.h"
#include "python/pylock.h"
#include "python/versions.h"

namespace kist::python {
namespace {

constexpr size_t kMaxBytes = 256u << 10;
constexpr size_t kMaxDepth = 64;

constexpr std::string_view kVariables[] = {"python_version",
                                           "python_full_version",
                                           "os_name",
                                           "sys_platform",
                                           "platform_release",
                                           "platform_system",
                                           "platform_version",
                                           "platform_machine",
                                           "platform_python_implementation",
                                           "implementation_name",
                                           "implementation_version",
                                           "extra",
                                           "extras",
                                           "dependency_groups"};
// Spellings of PEP 345 that old packages still use.
constexpr std::pair<std::string_view, std::string_view> kOldVariables[] = {
    {"os.name", "os_name"},
    {"sys.platform", "sys_platform"},
    {"platform.version", "platform_version"},
    {"platform.machine", "platform_machine"},
    {"platform.python_implementation", "platform_python_implementation"},
    {"python_implementation", "platform_python_implementation"}};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

// Variables whose values are versions; the others compare as text, as PEP 508 asks for.
bool compares_versions(std::string_view variable) {
  return variable == "python_version" || variable == "python_full_version" ||
         variable == "implementation_version" || variable == "platform_release";
}

bool compare_text(std::string_view left, std::string_view op, std::string_view right) {
  if (op == "==" || op == "===") return left == right;
  if (op == "!=") return left != right;
  if (op == "<") return left < right;
  if (op == "<=") return left <= right;
  if (op == ">") return left > right;
  if (op == ">=") return left >= right;
  return false;  // "~=" means nothing for text.
}

// The same comparison with its sides exchanged.
std::string mirrored(const std::string& op) {
  if (op == "<") return ">";
  if (op == "<=") return ">=";
  if (op == ">") return "<";
  if (op == ">=") return "<=";
  return op;
}

bool compare(std::string_view variable, const std::string& value, const std::string& op,
             const std::string& literal) {
  if (op == "in") return literal.find(value) != std::string::npos;
  if (op == "not in") return literal.find(value) == std::string::npos;
  if (compares_versions(variable)) {
    const auto specifier = VersionSpecifier::parse(op + literal);
    const auto version = Version::parse(value);
    if (specifier && version) return specifier->contains(*version);
  }
  return compare_text(value, op, literal);
}

const std::set<std::string>* set_of(std::string_view variable,
                                    const MarkerEnvironment& environment) {
  if (variable == "extra" || variable == "extras") return &environment.extras;
  if (variable == "dependency_groups") return &environment.dependency_groups;
  return nullptr;
}

}  // namespace

std::optional<std::string> MarkerEnvironment::variable(std::string_view name) const {
  if (name == "python_version") return target.python();
  if (name == "python_full_version" || name == "implementation_version")
    return target.python_full_version();
  if (name == "os_name") return "posix";
  if (name == "sys_platform") return "linux";
  if (name == "platform_system") return "Linux";
  if (name == "platform_machine") return target.machine();
  if (name == "platform_python_implementation") return "CPython";
  if (name == "implementation_name") return "cpython";
  // The kernel's release and version are not a property of an environment: a lock that depended on
  // them would not be the same on two machines. uv leaves them empty as well.
  if (name == "platform_release" || name == "platform_version") return "";
  return std::nullopt;
}

// Recursive descent; depth is bounded, since markers come from package metadata.
class MarkerParser {
 public:
  MarkerParser(std::string_view text, Marker& out) : text_(text), out_(out) {}

  Result<void> parse() {
    TRY(any(0));
    skip_space();
    if (at_ != text_.size()) return wrong("'and', 'or' or the end");
    return {};
  }

 private:
  Error wrong(std::string_view wanted) const {
    const std::string got =
        at_ < text_.size() ? fmt::format("'{}'", printable(text_.substr(at_, 16))) : "the end";
    return Error(Code::invalid, "marker '{}' has {} at offset {}, want {}", printable(text_), got,
                 at_, wanted)
        .hint("PEP 508 says how markers are written");
  }

  void skip_space() {
    while (at_ < text_.size() && trim(text_.substr(at_, 1)).empty()) ++at_;
  }

  std::string_view peek_word() {
    skip_space();
    size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }

  bool skip_word(std::string_view word) {
    if (peek_word() != word) return false;
    at_ += word.size();
    return true;
  }

  bool skip_char(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // A list of operands of "or" (and below, "and"); its node is the last of out_.nodes_.
  Result<void> any(size_t depth) { return joined(Marker::Kind::any, depth); }

  Result<void> joined(Marker::Kind kind, size_t depth) {
    Marker::Node node{.kind = kind, .children = {}, .left = {}, .right = {}, .op = {}};
    do {
      if (kind == Marker::Kind::any)
        TRY(joined(Marker::Kind::all, depth));
      else
        TRY(atom(depth));
      node.children.push_back(out_.nodes_.size() - 1);
    } while (skip_word(kind == Marker::Kind::any ? "or" : "and"));
    if (node.children.size() > 1) out_.nodes_.push_back(std::move(node));
    return {};
  }

  Result<void> atom(size_t depth) {
    if (depth > kMaxDepth)
      return Error(Code::invalid, "a marker is nested more than {} deep", kMaxDepth);
    if (skip_char('(')) {
      TRY(any(depth + 1));
      if (!skip_char(')')) return wrong("')'");
      return {};
    }
    Marker::Node node;
    node.left = TRY(operand());
    node.op = TRY(comparison_operator());
    node.right = TRY(operand());
    if (node.left.is_variable == node.right.is_variable) {
      return Error(Code::invalid, "marker '{}' compares two {}, want a variable and a text",
                   printable(text_), node.left.is_variable ? "variables" : "texts");
    }
    out_.nodes_.push_back(std::move(node));
    return {};
  }

  Result<Marker::Operand> operand() {
    skip_space();
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
      const size_t end = text_.find(text_[at_], at_ + 1);
      if (end == std::string_view::npos) return wrong("a text that ends");
      Marker::Operand out{.is_variable = false,
                          .text = std::string(text_.substr(at_ + 1, end - at_ - 1))};
      at_ = end + 1;
      return out;
    }
    const std::string_view word = peek_word();
    std::string_view name = word;
    for (const auto& [old_name, new_name] : kOldVariables)
      if (word == old_name) name = new_name;
    if (std::find(std::begin(kVariables), std::end(kVariables), name) == std::end(kVariables))
      return wrong("a variable such as python_version, or a quoted text");
    at_ += word.size();
    return Marker::Operand{.is_variable = true, .text = std::string(name)};
  }

  Result<std::string> comparison_operator() {
    if (skip_word("in")) return std::string("in");
    if (skip_word("not")) {
      if (!skip_word("in")) return wrong("'in' after 'not'");
      return std::string("not in");
    }
    skip_space();
    for (const std::string_view op : {"===", "==", "~=", "!=", "<=", ">=", "<", ">"}) {
      if (!text_.substr(at_).starts_with(op)) continue;
      at_ += op.size();
      return std::string(op);
    }
    return wrong("a comparison such as '=='");
  }

  std::string_view text_;
  Marker& out_;
  size_t at_ = 0;
};

Result<Marker> Marker::parse(std::string_view text) {
  Marker out;
  if (text.size() > kMaxBytes)
    return Error(Code::invalid, "a marker of {}", human_bytes(text.size()));
  if (trim(text).empty()) return out;
  TRY(MarkerParser(text, out).parse());
  return out;
}

bool Marker::evaluate(const MarkerEnvironment& environment) const {
  return nodes_.empty() || evaluate(nodes_.back(), environment);
}

bool Marker::evaluate(const Node& node, const MarkerEnvironment& environment) const {
  const auto child = [&](size_t index) { return evaluate(nodes_[index], environment); };
  if (node.kind == Kind::any) return std::any_of(node.children.begin(), node.children.end(), child);
  if (node.kind == Kind::all) return std::all_of(node.children.begin(), node.children.end(), child);
  const Operand& variable = node.left.is_variable ? node.left : node.right;
  const Operand& literal = node.left.is_variable ? node.right : node.left;
  if (const auto* set = set_of(variable.text, environment)) {
    const bool member = set->contains(normalize_name(literal.text));
    return node.op == "!=" || node.op == "not in" ? !member : member;
  }
  const std::string value = environment.variable(variable.text).value_or("");
  if (node.left.is_variable) return compare(variable.text, value, node.op, literal.text);
  // `"3.8" <= python_version`; for "in", the sides do not exchange: `"linux" in sys_platform`.
  if (node.op == "in") return value.find(literal.text) != std::string::npos;
  if (node.op == "not in") return value.find(literal.text) == std::string::npos;
  return compare(variable.text, value, mirrored(node.op), literal.text);
}

bool Marker::mentions(std::string_view variable) const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
    return node.kind == Kind::comparison &&
           ((node.left.is_variable && node.left.text == variable) ||
            (node.right.is_variable && node.right.text == variable));
  });
}

}  // namespace kist::python
