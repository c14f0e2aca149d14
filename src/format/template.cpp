#include "format/template.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "format/template_nodes.h"

namespace kist::format {
namespace {

namespace json = boost::json;
using json::value;

constexpr size_t kMaxOutputBytes = 256u << 20;
constexpr std::string_view kNoValue = "<no value>";



class Renderer {
 public:
  explicit Renderer(const value& root) : root_(root) { variables_["$"] = root; }

  Result<void> run(const Node& node, const value& dot) {
    if (out_.size() > kMaxOutputBytes) return Error(Code::invalid, "template: too much output");
    switch (node.kind) {
      case Node::Kind::text: return out_ += node.text, Result<void>();
      case Node::Kind::list:
        for (const auto& child : node.children) TRY(run(*child, dot));
        return {};
      case Node::Kind::action: {
        is_missing_ = false;
        const value result = TRY(evaluate(node.pipeline, dot));
        if (node.pipeline.variables.empty())
          out_ += is_missing_ && result.is_null() ? std::string(kNoValue) : text_of(result);
        return {};
      }
      case Node::Kind::range: return range(node, dot);
      case Node::Kind::branch:
      case Node::Kind::with: break;
    }
    const value condition = TRY(evaluate(node.pipeline, dot));
    const bool is_with = node.kind == Node::Kind::with;
    if (is_true(condition)) return run(*node.children[0], is_with ? condition : dot);
    return node.children.size() > 1 ? run(*node.children[1], dot) : Result<void>();
  }

  std::string take() { return std::move(out_); }

 private:
  Result<void> range(const Node& node, const value& dot) {
    const value over = TRY(evaluate_commands(node.pipeline, dot));
    if (!over.is_null() && !over.is_array() && !over.is_object())
      return Error(Code::invalid, "template: range wants a list or a map");
    if (!is_true(over)) return node.children.size() > 1 ? run(*node.children[1], dot) : Result<void>();
    const auto& names = node.pipeline.variables;
    const auto one = [&](const value& key, const value& item) -> Result<void> {
      if (!names.empty()) variables_[names.back()] = item;
      if (names.size() == 2) variables_[names.front()] = key;
      return run(*node.children[0], item);
    };
    if (over.is_array()) {
      for (size_t i = 0; i < over.get_array().size(); ++i)
        TRY(one(value(static_cast<int64_t>(i)), over.get_array()[i]));
      return {};
    }
    // Go's maps are gone through by key.
    std::map<std::string, const value*> sorted;
    for (const auto& field : over.get_object()) sorted.emplace(field.key(), &field.value());
    for (const auto& [key, item] : sorted) TRY(one(value(json::string(key)), *item));
    return {};
  }

  Result<value> evaluate(const Pipeline& pipeline, const value& dot) {
    value result = TRY(evaluate_commands(pipeline, dot));
    if (!pipeline.variables.empty()) variables_[pipeline.variables.back()] = result;
    return result;
  }

  Result<value> evaluate_commands(const Pipeline& pipeline, const value& dot) {
    value result;
    bool has_result = false;
    for (const Command& command : pipeline.commands) {
      const Operand& first = command.words.front();
      if (first.kind != Operand::Kind::function) {
        if (has_result || command.words.size() > 1)
          return Error(Code::invalid, "template: a value cannot be called like a function");
        result = TRY(operand(first, dot));
        has_result = true;
        continue;
      }
      std::vector<value> arguments;
      for (size_t i = 1; i < command.words.size(); ++i) {
        value argument = TRY(operand(command.words[i], dot));
        arguments.push_back(std::move(argument));
      }
      if (has_result) arguments.push_back(std::move(result));
      is_missing_ = false;
      result = TRY(call(first.name, arguments));
      has_result = true;
    }
    return result;
  }

  Result<value> operand(const Operand& word, const value& dot) {
    switch (word.kind) {
      case Operand::Kind::literal: return word.literal;
      case Operand::Kind::function: return call(word.name, {});
      case Operand::Kind::dot: return fields(dot, word.fields, &dot == &root_);
      case Operand::Kind::group: {
        const value inner = TRY(evaluate(*word.group, dot));
        return fields(inner, word.fields, false);
      }
      case Operand::Kind::variable: break;
    }
    const auto found = variables_.find(word.name);
    if (found == variables_.end())
      return Error(Code::invalid, "template: undefined variable \"{}\"", word.name);
    const value start = found->second;
    return fields(start, word.fields, word.name == "$");
  }

  Result<value> fields(const value& start, const std::vector<std::string>& names, bool is_root) {
    const value* at = &start;
    for (const std::string& name : names) {
      if (at->is_null()) {
        is_missing_ = true;
        return value(nullptr);
      }
      if (!at->is_object())
        return Error(Code::invalid, "template: can't evaluate field {} of a {}", name,
                     at->is_string() ? "text" : at->is_array() ? "list" : "number");
      const value* const next = at->get_object().if_contains(name);
      if (next == nullptr && is_root && at == &start) return no_field(at->get_object(), name);
      if (next == nullptr) {
        is_missing_ = true;
        return value(nullptr);
      }
      at = next;
    }
    return *at;
  }

  static Error no_field(const json::object& object, const std::string& name) {
    std::vector<std::string> known;
    for (const auto& field : object) known.emplace_back(field.key());
    Error error(Code::invalid, "template: can't evaluate field {}", name);
    if (const auto near = nearest(name, known))
      return std::move(error).hint(fmt::format("did you mean `.{}`?", *near));
    return std::move(error).hint("`--format '{{json .}}'` shows what there is");
  }

  const value& root_;
  std::map<std::string, value> variables_;
  std::string out_;
  bool is_missing_ = false;
};

}  // namespace

Template::Template(std::unique_ptr<Node> root) : root_(std::move(root)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::parse(std::string_view text) {
  std::unique_ptr<Node> root = TRY(parse_template(text));
  return Template(std::move(root));
}

Result<std::string> Template::render(const value& root) const {
  Renderer renderer(root);
  TRY(renderer.run(*root_, root));
  return renderer.take();
}

std::string text_of(const value& v) {
  if (v.is_string()) return std::string(std::string_view(v.get_string()));
  if (v.is_null()) return "<nil>";
  if (v.is_double()) return fmt::format("{}", v.get_double());
  if (v.is_array()) {
    std::string out = "[";
    for (const value& item : v.get_array()) out += (out.size() > 1 ? " " : "") + text_of(item);
    return out + "]";
  }
  if (v.is_object()) {
    std::map<std::string, const value*> sorted;
    for (const auto& field : v.get_object()) sorted.emplace(field.key(), &field.value());
    std::string out = "map[";
    for (const auto& [key, item] : sorted)
      out += (out.size() > 4 ? " " : "") + key + ":" + text_of(*item);
    return out + "]";
  }
  return json::serialize(v);
}

Format read_format(std::string_view text) {
  Format out;
  if (text == "json") return {.is_table = false, .text = "{{json .}}"};
  if (text == "table" || text.starts_with("table ")) {
    out.is_table = true;
    text = trim(text.substr(5));
  }
  // As docker: \t and \n of a shell's single quotes mean what they look like.
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] == '\\' && (next == 't' || next == 'n')) {
      out.text += next == 't' ? '\t' : '\n';
      ++i;
    } else {
      out.text += text[i];
    }
  }
  return out;
}

std::string align_columns(std::string_view text) {
  std::vector<size_t> widths;
  const auto all = lines(text);
  const auto width_of = [](std::string_view cell) {
    // Bytes that continue a character of UTF-8 take no room.
    return static_cast<size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
  };
  for (const std::string_view line : all) {
    const auto cells = split(line, '\t');
    if (cells.size() > widths.size()) widths.resize(cells.size());
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
  }
  std::string out;
  for (const std::string_view line : all) {
    const auto cells = split(line, '\t');
    for (size_t i = 0; i < cells.size(); ++i) {
      out += cells[i];
      if (i + 1 < cells.size()) out.append(widths[i] - width_of(cells[i]) + 3, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string heading_of(std::string_view text, const json::object& names) {
  std::string out;
  while (true) {
    const size_t open = text.find("{{");
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const size_t close = std::min(text.find("}}", open), text.size());
    const std::string_view inside = text.substr(open + 2, close - open - 2);
    const size_t dot = inside.find('.');
    if (dot != std::string_view::npos) {
      const std::string_view field =
          inside.substr(dot + 1, inside.substr(dot + 1).find_first_of(" .|)\t"));
      const value* const known = names.if_contains({field.data(), field.size()});
      std::string title = known != nullptr ? text_of(*known) : std::string(field);
      if (known == nullptr)
        for (char& c : title)
          if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      out += title;
    }
    text.remove_prefix(std::min(close + 2, text.size()));
  }
}

}  // namespace kist::format
