#include "debian/shell_lexer.h"

#include <algorithm>

#include "base/text.h"

namespace kist::debian {
namespace {

using Kind = ShellPart::Kind;
using TokenKind = ShellToken::Kind;

constexpr size_t kMaxBytes = 4u << 20;

bool is_name(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

struct HereDocument {
  std::string end;
  bool strip_tabs;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<ShellToken>> run() {
    while (at_ < text_.size()) {
      TRY(step());
    }
    push(TokenKind::newline, "\n");
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  Error unfinished(const char* what) const {
    return Error(Code::unsupported, "line {} has an unfinished {}", line_, what);
  }
  bool ahead(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  char peek(size_t offset = 0) const {
    return at_ + offset < text_.size() ? text_[at_ + offset] : '\0';
  }
  void push(TokenKind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), {}, line_});
  }

  Result<void> step() {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\r') return ++at_, Result<void>();
    if (ahead("\\\n")) return at_ += 2, ++line_, Result<void>();
    if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return {};
    }
    if (c == '\n') {
      push(TokenKind::newline, "\n");
      ++at_;
      ++line_;
      skip_here_documents();
      return {};
    }
    if (lex_redirect()) return {};
    for (const std::string_view op : {"&&", "||", ";;", ";", "&", "|", "(", ")"}) {
      if (!ahead(op)) continue;
      push(TokenKind::op, std::string(op));
      at_ += op.size();
      return {};
    }
    return lex_word();
  }

  // "[n]>[>|&]", "[n]<[&]", "<<[-]": the target is the word that follows.
  bool lex_redirect() {
    size_t digits = 0;
    while (peek(digits) >= '0' && peek(digits) <= '9') ++digits;
    const char c = peek(digits);
    if (c != '<' && c != '>') return false;
    at_ += digits;
    for (const std::string_view op : {"<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">"}) {
      if (!ahead(op)) continue;
      push(TokenKind::redirect, std::string(op));
      at_ += op.size();
      if (op.starts_with("<<")) read_here_mark(op == "<<-");
      return true;
    }
    return false;
  }

  void read_here_mark(bool strip_tabs) {
    while (peek() == ' ' || peek() == '\t') ++at_;
    std::string end;
    while (at_ < text_.size() && std::string_view(" \t\n;|&<>()").find(peek()) == std::string_view::npos) {
      if (peek() != '\'' && peek() != '"' && peek() != '\\') end += peek();
      ++at_;
    }
    here_.push_back({end, strip_tabs});
    // The mark stands as an empty word, so that every redirection has one.
    ShellToken token{TokenKind::word, "", {{Kind::literal, end, "", true}}, line_};
    tokens_.push_back(std::move(token));
  }

  void skip_here_documents() {
    for (const HereDocument& here : here_) {
      while (at_ < text_.size()) {
        const size_t end = std::min(text_.find('\n', at_), text_.size());
        std::string_view line = text_.substr(at_, end - at_);
        at_ = std::min(end + 1, text_.size());
        ++line_;
        while (here.strip_tabs && line.starts_with('\t')) line.remove_prefix(1);
        if (line == here.end) break;
      }
    }
    here_.clear();
  }

  Result<void> lex_word() {
    ShellToken token{TokenKind::word, "", {}, line_};
    bool plain = true;
    while (at_ < text_.size()) {
      const char c = peek();
      if (std::string_view(" \t\r\n;&|()<>").find(c) != std::string_view::npos) break;
      if (c == '\'' || c == '"' || c == '\\' || c == '$' || c == '`') plain = false;
      if (c == '\'') {
        TRY(single_quoted(token.word));
      } else if (c == '"') {
        TRY(double_quoted(token.word));
      } else if (c == '\\') {
        if (peek(1) != '\n' && at_ + 1 < text_.size()) add(token.word, peek(1), true);
        if (peek(1) == '\n') ++line_;
        at_ = std::min(at_ + 2, text_.size());
      } else if (c == '$' || c == '`') {
        TRY(expansion(token.word, false));
      } else {
        add(token.word, c, false);
        ++at_;
      }
    }
    if (plain && token.word.size() == 1) token.text = token.word[0].text;
    tokens_.push_back(std::move(token));
    return {};
  }

  static void add(ShellWord& word, char c, bool quoted) {
    if (word.empty() || word.back().kind != Kind::literal || word.back().quoted != quoted)
      word.push_back({Kind::literal, "", "", quoted});
    word.back().text += c;
  }

  Result<void> single_quoted(ShellWord& word) {
    const size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return unfinished("quote");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    line_ += static_cast<int>(std::count(inside.begin(), inside.end(), '\n'));
    word.push_back({Kind::literal, std::string(inside), "", true});
    at_ = end + 1;
    return {};
  }

  Result<void> double_quoted(ShellWord& word) {
    ++at_;
    word.push_back({Kind::literal, "", "", true});  // So that "" is a word.
    while (peek() != '"') {
      if (at_ >= text_.size()) return unfinished("quote");
      const char c = peek();
      if (c == '\n') ++line_;
      if (c == '\\' && std::string_view("\"\\$`\n").find(peek(1)) != std::string_view::npos) {
        if (peek(1) != '\n') add(word, peek(1), true);
        at_ += 2;
      } else if (c == '$' || c == '`') {
        TRY(expansion(word, true));
      } else {
        add(word, c, true);
        ++at_;
      }
    }
    ++at_;
    return {};
  }

  // At '$' or '`'.
  Result<void> expansion(ShellWord& word, bool quoted) {
    if (peek() == '`') {
      const size_t end = text_.find('`', at_ + 1);
      if (end == std::string_view::npos) return unfinished("substitution");
      word.push_back({Kind::command, std::string(text_.substr(at_ + 1, end - at_ - 1)), "", quoted});
      at_ = end + 1;
      return {};
    }
    if (ahead("$((")) return balanced(word, 1, Kind::unknown, quoted);
    if (ahead("$(")) return balanced(word, 1, Kind::command, quoted);
    if (ahead("${")) return braced(word, quoted);
    if (is_name(peek(1)) || std::string_view("@*#?$!-").find(peek(1)) != std::string_view::npos) {
      size_t end = at_ + 2;
      const bool number = peek(1) >= '0' && peek(1) <= '9';
      while (is_name(peek(1)) && !number && end < text_.size() && is_name(text_[end])) ++end;
      word.push_back({Kind::variable, std::string(text_.substr(at_ + 1, end - at_ - 1)), "", quoted});
      at_ = end;
      return {};
    }
    add(word, '$', quoted);
    ++at_;
    return {};
  }

  // "$( … )" with quotes and nesting inside.
  Result<void> balanced(ShellWord& word, size_t skip, Kind kind, bool quoted) {
    const size_t begin = at_ + skip + 1;
    int depth = 0;
    char quote = '\0';
    for (size_t i = at_ + skip; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\n') ++line_;
      if (c == '\\' && quote != '\'') {
        ++i;
      } else if (quote != '\0') {
        if (c == quote) quote = '\0';
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (c == '(') {
        ++depth;
      } else if (c == ')' && --depth == 0) {
        word.push_back({kind, std::string(text_.substr(begin, i - begin)), "", quoted});
        at_ = i + 1;
        return {};
      }
    }
    return unfinished("substitution");
  }

  Result<void> braced(ShellWord& word, bool quoted) {
    int depth = 0;
    for (size_t i = at_ + 1; i < text_.size(); ++i) {
      if (text_[i] == '{') ++depth;
      if (text_[i] == '\\') ++i;
      if (i >= text_.size() || text_[i] != '}' || --depth != 0) continue;
      const std::string_view inside = text_.substr(at_ + 2, i - at_ - 2);
      size_t name = 0;
      while (name < inside.size() && is_name(inside[name])) ++name;
      if (name == 0) {
        word.push_back({Kind::unknown, std::string(inside), "", quoted});
      } else {
        word.push_back({Kind::variable, std::string(inside.substr(0, name)),
                        std::string(inside.substr(name)), quoted});
      }
      at_ = i + 1;
      return {};
    }
    return unfinished("expansion");
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  std::vector<ShellToken> tokens_;
  std::vector<HereDocument> here_;
};

}  // namespace

Result<std::vector<ShellToken>> lex_shell(std::string_view script) {
  if (script.size() > kMaxBytes)
    return Error(Code::unsupported, "script has more than {}", human_bytes(kMaxBytes));
  return Lexer(script).run();
}

}  // namespace kist::debian
