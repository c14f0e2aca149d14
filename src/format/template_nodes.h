// A parsed template. Module-private.
#pragma once

#include <boost/json.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace kist::format {

struct Pipeline;

/// One word of a command, with the fields that follow it.
struct Operand {
  enum class Kind { dot, variable, literal, function, group };
  Kind kind = Kind::dot;
  std::string name;  // Of a variable or function.
  boost::json::value literal;
  std::shared_ptr<Pipeline> group;
  std::vector<std::string> fields;
};

struct Command {
  std::vector<Operand> words;
};

struct Pipeline {
  std::vector<std::string> variables;  // "$i", "$v" of "$i, $v := …".
  bool is_declaration = false;         // ":=", not "=".
  std::vector<Command> commands;
};

struct Node {
  enum class Kind { list, text, action, branch, range, with };
  Kind kind = Kind::list;
  std::string text;
  Pipeline pipeline;
  std::vector<std::unique_ptr<Node>> children;  // A list's; of the others the body and the else.
};

Result<std::unique_ptr<Node>> parse_template(std::string_view text);

/// Calls a function by name. Errors: invalid.
Result<boost::json::value> call(const std::string& name,
                                const std::vector<boost::json::value>& arguments);
bool is_function(const std::string& name);
/// One that makes another text of its first argument.
bool is_text_function(const std::string& name);
bool is_true(const boost::json::value& value);

}  // namespace kist::format
