#include "runtime_cli/arguments.h"

#include <charconv>

#include "base/text.h"

namespace kist::runtime_cli {
namespace {

const Option* find(std::span<const Option> options, std::string_view name) {
  for (const Option& option : options)
    if (option.name == name || (!option.short_name.empty() && option.short_name == name))
      return &option;
  return nullptr;
}

Error unknown(std::string_view given, std::span<const Option> options) {
  std::vector<std::string> names;
  for (const Option& option : options) names.push_back(fmt::format("--{}", option.name));
  Error error(Code::invalid, "flag provided but not defined: '{}'", printable(given));
  if (const auto near = nearest(given, names))
    return std::move(error).hint(fmt::format("did you mean `{}`?", *near));
  return error;
}

}  // namespace

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string(otherwise) : found->second.back();
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

Result<std::optional<int64_t>> Arguments::number(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::optional<int64_t>();
  const std::string& text = found->second.back();
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return Error(Code::invalid, "--{}: want a number, got '{}'", name, printable(text));
  return std::optional<int64_t>(value);
}

Result<Arguments> parse(std::span<const std::string> args, std::span<const Option> options,
                        bool stop_at_word) {
  Arguments out;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& given = args[i];
    if (given == "--" || given.size() < 2 || given[0] != '-') {
      if (given != "--") out.words_.push_back(given);
      if (!stop_at_word && given != "--") continue;
      out.words_.insert(out.words_.end(), args.begin() + static_cast<long>(i) + 1, args.end());
      break;
    }
    const std::string_view bare = std::string_view(given).substr(given.starts_with("--") ? 2 : 1);
    const size_t equals = bare.find('=');
    const Option* option = find(options, bare.substr(0, equals));
    if (option == nullptr) return unknown(given, options);
    std::vector<std::string>& values = out.values_[std::string(option->name)];
    if (option->value.empty()) {
      const bool off = equals != std::string_view::npos && bare.substr(equals + 1) == "false";
      if (off)
        out.values_.erase(std::string(option->name));
      else
        values.emplace_back("true");
    } else if (equals != std::string_view::npos) {
      values.emplace_back(bare.substr(equals + 1));
    } else if (i + 1 < args.size()) {
      values.push_back(args[++i]);
    } else {
      return Error(Code::invalid, "flag needs an argument: '{}'", printable(given));
    }
  }
  return out;
}

}  // namespace kist::runtime_cli
