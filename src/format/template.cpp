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

template <size_t N>
bool is_one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// docker's documents are structs with some maps in them, and Go treats the two apart: a key that a map
// lacks is "<no value>", a field that a struct lacks is an error.
constexpr std::string_view kMaps[] = {"Labels",  "Options", "Networks", "Ports",      "ExposedPorts", "Volumes",
                                      "Sysctls", "Tmpfs",   "Containers", "Attributes", "PortBindings", "DriverOpts",
                                      "Annotations"};
// Fields that docker leaves out where they say nothing.
constexpr std::string_view kOptional[] = {"Health",  "Healthcheck", "ExposedPorts", "Volumes",     "OnBuild",
                                          "Shell",   "Variant",     "SizeRw",       "SizeRootFs",  "Domainname",
                                          "MacAddress", "StopSignal", "StopTimeout", "NetworkDisabled"};
// What docker has as lists: one that is nil is printed as "[]".
constexpr std::string_view kLists[] = {"Entrypoint", "Cmd",     "Binds",      "CapAdd",      "CapDrop", "ExtraHosts",
                                       "GroupAdd",   "OnBuild", "SecurityOpt", "VolumesFrom", "Devices", "Links",
                                       "Ulimits",    "Aliases", "Shell",      "DeviceRequests"};

std::string_view text_of_null(std::string_view field) {
  if (is_one_of(kLists, field)) return "[]";
  return is_one_of(kMaps, field) ? "map[]" : "<nil>";
}

class Renderer {
 public:
  explicit Renderer(const value& root, const json::object* labels, bool is_heading = false)
      : root_(root), labels_(labels), is_heading_(is_heading) {
    variables_["$"] = root;
  }

  Result<void> run(const Node& node, const value& dot) {
    if (out_.size() > kMaxOutputBytes) return Error(Code::invalid, "template: too much output");
    switch (node.kind) {
      case Node::Kind::text: return out_ += node.text, Result<void>();
      case Node::Kind::list:
        for (const auto& child : node.children) TRY(run(*child, dot));
        return {};
      case Node::Kind::action: {
        null_text_ = "<nil>";
        const value result = TRY(evaluate(node.pipeline, dot));
        if (node.pipeline.variables.empty()) out_ += result.is_null() ? std::string(null_text_) : text_of(result);
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
      if (is_label_call(command)) {
        result = TRY(label_call(command, dot));
        has_result = true;
        continue;
      }
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
      null_text_ = "<nil>";
      // A title is a title, whatever is done to what stands below it.
      if (is_heading_ && !arguments.empty() && is_text_function(first.name)) result = arguments.front();
      else result = TRY(call(first.name, arguments));
      has_result = true;
    }
    return result;
  }

  // {{.Label "name"}}, of what has labels.
  bool is_label_call(const Command& command) const {
    const Operand& first = command.words.front();
    return labels_ != nullptr && first.kind == Operand::Kind::dot && first.fields.size() == 1 &&
           first.fields[0] == "Label" && command.words.size() == 2;
  }

  Result<value> label_call(const Command& command, const value& dot) {
    const value name = TRY(operand(command.words[1], dot));
    if (!name.is_string()) return Error(Code::invalid, "template: .Label wants a label's name");
    const std::string_view key = name.get_string();
    // As docker: the last part of the name, as words.
    if (is_heading_) {
      std::string title(key.substr(key.rfind('.') + 1));
      std::replace_if(title.begin(), title.end(), [](char c) { return c == '-' || c == '_'; }, ' ');
      return value(json::string(title));
    }
    const value* const found = labels_->if_contains(key);
    return found == nullptr ? value("") : *found;
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
    std::string_view above;  // The field that `at` was found under.
    for (const std::string& name : names) {
      if (at->is_null()) return Error(Code::invalid, "template: nil pointer evaluating .{}", name);
      if (!at->is_object())
        return Error(Code::invalid, "template: can't evaluate field {} of a {}", name,
                     at->is_string() ? "text" : at->is_array() ? "list" : "number");
      const value* const next = at->get_object().if_contains(name);
      if (next == nullptr && is_root && at == &start && !is_one_of(kOptional, name))
        return no_field(at->get_object(), name);
      // What a map lacks has no fields either.
      if (next == nullptr && is_one_of(kMaps, above)) return null_text_ = "<no value>", value(nullptr);
      if (next == nullptr) {
        const bool is_last = &name == &names.back();
        if (!is_last || !is_one_of(kOptional, name))
          return Error(Code::invalid, "template: map has no entry for key \"{}\"", name)
              .hint("`--format '{{json .}}'` shows what there is");
        return null_text_ = text_of_null(name), value(nullptr);
      }
      at = next;
      above = name;
      null_text_ = text_of_null(name);
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
  const json::object* labels_;
  bool is_heading_;
  std::map<std::string, value> variables_;
  std::string out_;
  std::string_view null_text_;  // What is printed for a null.
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

Result<std::string> Template::render(const value& root, const json::object* labels) const {
  Renderer renderer(root, labels);
  TRY(renderer.run(*root_, root));
  return renderer.take();
}

Result<std::string> Template::render_heading(const json::object& titles) const {
  const value root(titles);
  Renderer renderer(root, &titles, true);
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
    // What ends a line makes no column wider.
    for (size_t i = 0; i + 1 < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
  }
  std::string out;
  for (const std::string_view line : all) {
    const auto cells = split(line, '\t');
    for (size_t i = 0; i < cells.size(); ++i) {
      out += cells[i];
      if (i + 1 < cells.size()) out.append(std::max<size_t>(widths[i] + 3, 10) - width_of(cells[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

}  // namespace kist::format
