#include <charconv>

#include "base/text.h"
#include "format/template_nodes.h"

namespace kist::format {
namespace {

namespace json = boost::json;

constexpr size_t kMaxTemplateBytes = 64u << 10;
constexpr int kMaxDepth = 64;

// A text or the inside of an action, in order.
struct Piece {
  bool is_action = false;
  std::string text;
  size_t offset = 0;
};

Error bad(size_t offset, std::string_view why) {
  return Error(Code::invalid, "template, offset {}: {}", offset, why)
      .hint("`--format '{{json .}}'` shows what there is");
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Quoted texts may hold "}}".
size_t find_close(std::string_view text, size_t from) {
  char quote = 0;
  for (size_t i = from; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\' && quote == '"') ++i;
      else if (c == quote) quote = 0;
    } else if (c == '"' || c == '`') {
      quote = c;
    } else if (text.substr(i, 2) == "}}") {
      return i;
    }
  }
  return std::string_view::npos;
}

Result<std::vector<Piece>> cut(std::string_view text) {
  std::vector<Piece> out;
  size_t at = 0;
  bool trim_next = false;
  while (at < text.size()) {
    const size_t open = std::min(text.find("{{", at), text.size());
    std::string plain(text.substr(at, open - at));
    if (trim_next) plain.erase(0, std::min(plain.find_first_not_of(" \t\r\n"), plain.size()));
    trim_next = false;
    if (open == text.size()) {
      out.push_back({false, std::move(plain), at});
      break;
    }
    size_t start = open + 2;
    if (text.substr(start, 1) == "-" && start + 1 < text.size() && is_blank(text[start + 1])) {
      plain.resize(plain.find_last_not_of(" \t\r\n") + 1);
      ++start;
    }
    out.push_back({false, std::move(plain), at});
    const bool is_comment = trim(text.substr(start)).starts_with("/*");
    const size_t close = is_comment ? text.find("}}", text.find("*/", start)) : find_close(text, start);
    if (close == std::string_view::npos) return bad(open, "'{{' is not closed");
    std::string_view inside = text.substr(start, close - start);
    if (inside.size() >= 2 && inside.back() == '-' && is_blank(inside[inside.size() - 2])) {
      trim_next = true;
      inside.remove_suffix(1);
    }
    if (!is_comment) out.push_back({true, std::string(trim(inside)), start});
    at = close + 2;
  }
  return out;
}

// The inside of one action.
class ActionParser {
 public:
  ActionParser(std::string_view text, size_t offset) : text_(text), offset_(offset) {}

  Result<Pipeline> pipeline(int depth = 0) {
    if (depth > kMaxDepth) return fail("too many parentheses");
    Pipeline out;
    TRY(declaration(out));
    while (true) {
      Command command = TRY(this->command(depth));
      out.commands.push_back(std::move(command));
      skip_blanks();
      if (at_ >= text_.size() || text_[at_] == ')') return out;
      if (text_[at_] != '|') return fail("wants '|' or the end");
      ++at_;
    }
  }

  bool at_end() {
    skip_blanks();
    return at_ >= text_.size();
  }
  Error fail(std::string_view why) const {
    return bad(offset_ + at_, why);
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  std::string name() {
    const size_t start = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  // "$i, $v :=" or "$v =", if that is what comes.
  Result<void> declaration(Pipeline& out) {
    skip_blanks();
    const size_t start = at_;
    std::vector<std::string> names;
    while (at_ < text_.size() && text_[at_] == '$') {
      ++at_;
      names.push_back("$" + name());
      skip_blanks();
      if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
        skip_blanks();
        continue;
      }
      if (text_.substr(at_, 2) == ":=" || (text_.substr(at_, 1) == "=" && names.size() == 1)) {
        out.is_declaration = text_[at_] == ':';
        at_ += out.is_declaration ? 2 : 1;
        if (names.size() > 2) return fail("more than two variables");
        out.variables = std::move(names);
        return {};
      }
      break;
    }
    at_ = start;
    return {};
  }

  Result<Command> command(int depth) {
    Command out;
    while (true) {
      skip_blanks();
      if (at_ >= text_.size() || text_[at_] == '|' || text_[at_] == ')') break;
      Operand word = TRY(operand(depth));
      out.words.push_back(std::move(word));
    }
    if (out.words.empty()) return fail("a value is missing");
    return out;
  }

  Result<Operand> operand(int depth) {
    Operand out;
    const char c = text_[at_];
    if (c == '"' || c == '`' || c == '\'') return literal_text(c);
    if ((c >= '0' && c <= '9') || c == '-' || c == '+') return literal_number();
    if (c == '(') {
      ++at_;
      out.kind = Operand::Kind::group;
      Pipeline inner = TRY(pipeline(depth + 1));
      out.group = std::make_shared<Pipeline>(std::move(inner));
      if (at_ >= text_.size() || text_[at_] != ')') return fail("'(' is not closed");
      ++at_;
    } else if (c == '$') {
      ++at_;
      out.kind = Operand::Kind::variable;
      out.name = "$" + name();
    } else if (c != '.') {
      return word();
    }
    return with_fields(std::move(out));
  }

  Result<Operand> with_fields(Operand out) {
    while (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      std::string field = name();
      if (field.empty()) {
        if (out.kind == Operand::Kind::dot && out.fields.empty()) break;  // "." alone.
        return fail("a field's name is missing after '.'");
      }
      out.fields.push_back(std::move(field));
    }
    return out;
  }

  Result<Operand> word() {
    Operand out;
    out.kind = Operand::Kind::literal;
    const std::string text = name();
    if (text.empty()) return fail(fmt::format("unexpected '{}'", printable(text_.substr(at_, 1))));
    if (text == "true" || text == "false") return out.literal = text == "true", out;
    if (text == "nil") return out;
    if (!is_function(text)) return fail(fmt::format("function \"{}\" not defined", text));
    out.kind = Operand::Kind::function;
    out.name = text;
    return out;
  }

  Result<Operand> literal_text(char quote) {
    Operand out;
    out.kind = Operand::Kind::literal;
    std::string text;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      char c = text_[at_];
      if (c == '\\' && quote == '"' && at_ + 1 < text_.size()) {
        c = text_[++at_];
        c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
      }
      text += c;
    }
    if (at_ >= text_.size()) return fail("a quote is not closed");
    ++at_;
    out.literal = json::string(text);
    return out;
  }

  Result<Operand> literal_number() {
    Operand out;
    out.kind = Operand::Kind::literal;
    if (text_[at_] == '+') ++at_;
    int64_t whole = 0;
    const char* const begin = text_.data() + at_;
    const char* const end = text_.data() + text_.size();
    const auto [stop, failed] = std::from_chars(begin, end, whole);
    if (failed != std::errc()) return fail("bad number");
    out.literal = whole;
    at_ += static_cast<size_t>(stop - begin);
    if (stop == end || *stop != '.') return out;
    double real = 0;
    const auto [real_stop, real_failed] = std::from_chars(begin, end, real);
    if (real_failed != std::errc()) return fail("bad number");
    out.literal = real;
    at_ = static_cast<size_t>(real_stop - text_.data());
    return out;
  }

  std::string_view text_;
  size_t offset_;
  size_t at_ = 0;
};

class TreeParser {
 public:
  explicit TreeParser(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

  Result<std::unique_ptr<Node>> run() {
    std::unique_ptr<Node> root = TRY(list(0));
    if (at_ < pieces_.size()) return bad(pieces_[at_].offset, fmt::format("unexpected {{{{{}}}}}", pieces_[at_].text));
    return root;
  }

 private:
  static std::string_view keyword(const Piece& piece) {
    const std::string_view text = piece.text;
    return text.substr(0, text.find_first_of(" \t\n\r"));
  }

  // Up to an "else" or "end", which stays.
  Result<std::unique_ptr<Node>> list(int depth) {
    if (depth > kMaxDepth) return bad(pieces_[at_].offset, "nested too deep");
    auto out = std::make_unique<Node>();
    while (at_ < pieces_.size()) {
      const Piece& piece = pieces_[at_];
      if (piece.is_action && (keyword(piece) == "else" || keyword(piece) == "end")) break;
      ++at_;
      if (!piece.is_action) {
        if (piece.text.empty()) continue;
        auto text = std::make_unique<Node>();
        text->kind = Node::Kind::text;
        text->text = piece.text;
        out->children.push_back(std::move(text));
        continue;
      }
      std::unique_ptr<Node> child = TRY(action(piece, piece.text, depth));
      out->children.push_back(std::move(child));
    }
    return out;
  }

  Result<std::unique_ptr<Node>> action(const Piece& piece, std::string_view text, int depth) {
    const std::string_view word = text.substr(0, text.find_first_of(" \t\n\r"));
    auto node = std::make_unique<Node>();
    node->kind = word == "if"      ? Node::Kind::branch
                 : word == "range" ? Node::Kind::range
                 : word == "with"  ? Node::Kind::with
                                   : Node::Kind::action;
    const bool is_block = node->kind != Node::Kind::action;
    ActionParser parser(is_block ? text.substr(word.size()) : text, piece.offset);
    node->pipeline = TRY(parser.pipeline());
    if (!parser.at_end()) return parser.fail("unexpected ')'");
    if (!is_block) return node;
    std::unique_ptr<Node> body = TRY(list(depth + 1));
    node->children.push_back(std::move(body));
    TRY(finish_block(*node, piece, depth));
    return node;
  }

  Result<void> finish_block(Node& node, const Piece& opened, int depth) {
    if (at_ >= pieces_.size()) return bad(opened.offset, "no {{end}} for this");
    const Piece& piece = pieces_[at_++];
    if (keyword(piece) == "end") return {};
    const std::string_view rest = trim(std::string_view(piece.text).substr(4));
    if (!rest.empty()) {
      // "else if": the rest of the chain, with the one {{end}} of all.
      std::unique_ptr<Node> chained = TRY(action(piece, rest, depth + 1));
      node.children.push_back(std::move(chained));
      return {};
    }
    std::unique_ptr<Node> otherwise = TRY(list(depth + 1));
    node.children.push_back(std::move(otherwise));
    if (at_ >= pieces_.size() || keyword(pieces_[at_]) != "end")
      return bad(opened.offset, "no {{end}} for this");
    ++at_;
    return {};
  }

  std::vector<Piece> pieces_;
  size_t at_ = 0;
};

}  // namespace

Result<std::unique_ptr<Node>> parse_template(std::string_view text) {
  if (text.size() > kMaxTemplateBytes)
    return bad(0, fmt::format("{} bytes, more than {}", text.size(), kMaxTemplateBytes));
  std::vector<Piece> pieces = TRY(cut(text));
  return TreeParser(std::move(pieces)).run();
}

}  // namespace kist::format
