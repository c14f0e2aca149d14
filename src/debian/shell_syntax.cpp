#include "debian/shell_syntax.h"

#include <algorithm>

#include "base/text.h"
#include "debian/shell_lexer.h"

namespace kist::debian {
namespace {

using Kind = ShellNode::Kind;
using TokenKind = ShellToken::Kind;

constexpr int kMaxDepth = 100;

class Parser {
 public:
  explicit Parser(std::vector<ShellToken> tokens) : tokens_(std::move(tokens)) {}

  Result<ShellNode> run() {
    ShellNode node = TRY(list());
    if (now().kind != TokenKind::end) return unexpected();
    return node;
  }

 private:
  const ShellToken& now() const { return tokens_[at_]; }
  bool is_word(std::string_view text) const {
    return now().kind == TokenKind::word && now().text == text;
  }
  bool is_op(std::string_view text) const {
    return now().kind == TokenKind::op && now().text == text;
  }
  Error unexpected() const {
    return Error(Code::unsupported, "line {} has '{}' where it is not understood", now().line,
                 printable(now().text));
  }
  void skip_newlines() {
    while (now().kind == TokenKind::newline) ++at_;
  }
  Result<void> expect_word(std::string_view text) {
    skip_newlines();
    if (!is_word(text)) return unexpected();
    ++at_;
    return {};
  }

  // Whether a list ends here: at what closes the construct around it.
  bool at_list_end() const {
    if (now().kind == TokenKind::end || is_op(")") || is_op(";;")) return true;
    static constexpr std::string_view kClosers[] = {"then", "else", "elif", "fi",
                                                    "do",   "done", "esac", "}"};
    return std::any_of(std::begin(kClosers), std::end(kClosers),
                       [&](std::string_view word) { return is_word(word); });
  }

  Result<ShellNode> list() {
    if (++depth_ > kMaxDepth) return Error(Code::unsupported, "script is nested too deeply");
    ShellNode node;
    while (true) {
      while (now().kind == TokenKind::newline || is_op(";") || is_op("&")) ++at_;
      if (at_list_end()) break;
      ShellNode child = TRY(and_or());
      node.children.push_back(std::move(child));
    }
    --depth_;
    return node;
  }

  Result<ShellNode> and_or() {
    ShellNode left = TRY(pipeline());
    while (is_op("&&") || is_op("||")) {
      ShellNode both;
      both.kind = is_op("&&") ? Kind::all_of : Kind::any_of;
      ++at_;
      skip_newlines();
      ShellNode right = TRY(pipeline());
      both.children.push_back(std::move(left));
      both.children.push_back(std::move(right));
      left = std::move(both);
    }
    return left;
  }

  Result<ShellNode> pipeline() {
    bool negated = false;
    while (is_word("!")) {
      negated = !negated;
      ++at_;
    }
    ShellNode node = TRY(command());
    if (is_op("|")) {
      ShellNode pipe;
      pipe.kind = Kind::pipeline;
      pipe.children.push_back(std::move(node));
      while (is_op("|")) {
        ++at_;
        skip_newlines();
        ShellNode next = TRY(command());
        pipe.children.push_back(std::move(next));
      }
      node = std::move(pipe);
    }
    if (!negated) return node;
    ShellNode negation;
    negation.kind = Kind::negation;
    negation.children.push_back(std::move(node));
    return negation;
  }

  Result<ShellNode> command() {
    ShellNode node = TRY(compound());
    // Redirections of a whole construct count for it: `{ …; } > file`.
    while (now().kind == TokenKind::redirect) {
      TRY(redirect(node));
    }
    return node;
  }

  Result<ShellNode> compound() {
    if (is_word("if")) return branch();
    if (is_word("while") || is_word("until")) return loop();
    if (is_word("for")) return for_each();
    if (is_word("case")) return choice();
    if (is_word("{")) return group("}");
    if (is_op("(")) return subshell();
    if (is_word("function")) {
      ++at_;
      return function();
    }
    if (now().kind == TokenKind::word && !now().text.empty() &&
        tokens_[at_ + 1].kind == TokenKind::op && tokens_[at_ + 1].text == "(")
      return function();
    return simple();
  }

  Result<ShellNode> branch() {
    ++at_;
    ShellNode node;
    node.kind = Kind::branch;
    ShellNode condition = TRY(list());
    TRY(expect_word("then"));
    ShellNode body = TRY(list());
    node.children.push_back(std::move(condition));
    node.children.push_back(std::move(body));
    if (is_word("elif")) {
      ShellNode rest = TRY(branch());
      node.children.push_back(std::move(rest));
      return node;
    }
    if (is_word("else")) {
      ++at_;
      ShellNode rest = TRY(list());
      node.children.push_back(std::move(rest));
    }
    TRY(expect_word("fi"));
    return node;
  }

  Result<ShellNode> loop() {
    ++at_;
    ShellNode node;
    node.kind = Kind::loop;
    ShellNode condition = TRY(list());
    TRY(expect_word("do"));
    ShellNode body = TRY(list());
    TRY(expect_word("done"));
    node.children.push_back(std::move(condition));
    node.children.push_back(std::move(body));
    return node;
  }

  Result<ShellNode> for_each() {
    ++at_;
    ShellNode node;
    node.kind = Kind::for_each;
    if (now().text.empty()) return unexpected();
    node.name = now().text;
    ++at_;
    skip_newlines();
    if (is_word("in")) {
      ++at_;
      for (; now().kind == TokenKind::word; ++at_) node.words.push_back(now().word);
    } else {
      node.words.push_back({{ShellPart::Kind::variable, "@", "", true}});
    }
    if (is_op(";")) ++at_;
    TRY(expect_word("do"));
    ShellNode body = TRY(list());
    TRY(expect_word("done"));
    node.children.push_back(std::move(body));
    return node;
  }

  Result<ShellNode> choice() {
    ++at_;
    ShellNode node;
    node.kind = Kind::choice;
    if (now().kind != TokenKind::word) return unexpected();
    node.words.push_back(now().word);
    ++at_;
    TRY(expect_word("in"));
    skip_newlines();
    while (!is_word("esac")) {
      if (is_op("(")) ++at_;
      std::vector<ShellWord> patterns;
      while (true) {
        if (now().kind != TokenKind::word) return unexpected();
        patterns.push_back(now().word);
        ++at_;
        if (!is_op("|")) break;
        ++at_;
      }
      if (!is_op(")")) return unexpected();
      ++at_;
      ShellNode body = TRY(list());
      node.patterns.push_back(std::move(patterns));
      node.children.push_back(std::move(body));
      if (is_op(";;")) ++at_;
      skip_newlines();
    }
    ++at_;
    return node;
  }

  Result<ShellNode> group(std::string_view end) {
    ++at_;
    ShellNode node = TRY(list());
    TRY(expect_word(end));
    return node;
  }

  Result<ShellNode> subshell() {
    ++at_;
    ShellNode inside = TRY(list());
    if (!is_op(")")) return unexpected();
    ++at_;
    ShellNode node;
    node.kind = Kind::subshell;
    node.children.push_back(std::move(inside));
    return node;
  }

  Result<ShellNode> function() {
    ShellNode node;
    node.kind = Kind::function;
    node.name = now().text;
    ++at_;
    if (is_op("(")) {
      ++at_;
      if (!is_op(")")) return unexpected();
      ++at_;
    }
    skip_newlines();
    ShellNode body = TRY(command());
    node.children.push_back(std::move(body));
    return node;
  }

  Result<void> redirect(ShellNode& node) {
    const std::string op = now().text;
    ++at_;
    if (now().kind != TokenKind::word) return unexpected();
    if (op == ">" || op == ">>" || op == ">|") node.writes.push_back(now().word);
    ++at_;
    return {};
  }

  // "NAME=…" as name and value; empty when the word is no assignment.
  static std::optional<std::pair<std::string, ShellWord>> assignment(const ShellWord& word) {
    if (word.empty() || word[0].kind != ShellPart::Kind::literal || word[0].quoted)
      return std::nullopt;
    const std::string& text = word[0].text;
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) return std::nullopt;
    const auto name_byte = [](char c) {
      return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (!std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(equals), name_byte))
      return std::nullopt;
    ShellWord value = word;
    value[0].text = text.substr(equals + 1);
    return std::pair(text.substr(0, equals), std::move(value));
  }

  Result<ShellNode> simple() {
    ShellNode node;
    node.kind = Kind::simple;
    const size_t begin = at_;
    while (true) {
      if (now().kind == TokenKind::redirect) {
        TRY(redirect(node));
      } else if (now().kind == TokenKind::word) {
        auto assigned = assignment(now().word);
        if (node.words.empty() && assigned) {
          node.assignments.push_back(std::move(*assigned));
        } else {
          node.words.push_back(now().word);
        }
        ++at_;
      } else {
        break;
      }
    }
    if (at_ == begin) return unexpected();
    return node;
  }

  std::vector<ShellToken> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<ShellNode> parse_shell(std::string_view script) {
  std::vector<ShellToken> tokens = TRY(lex_shell(script));
  return Parser(std::move(tokens)).run();
}

}  // namespace kist::debian
