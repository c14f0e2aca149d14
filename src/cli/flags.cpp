#include "cli/flags.h"

#include <algorithm>

#include "base/text.h"

namespace kist::cli {
namespace {

// What docker still takes for flags that have got another name.
constexpr std::pair<std::string_view, std::string_view> kOldNames[] = {
    {"--net", "--network"}, {"--net-alias", "--network-alias"}, {"--dns-opt", "--dns-option"}};

const FlagSpec* find_flag(const VerbSpec& verb, std::string_view name) {
  for (const auto& [old, now] : kOldNames)
    if (name == old) name = now;
  for (const FlagSpec& flag : verb.flags)
    if (name == flag.name || (!flag.short_name.empty() && name == flag.short_name)) return &flag;
  return nullptr;
}

Error unknown_flag(const VerbSpec& verb, std::string_view name) {
  std::vector<std::string> names;
  for (const FlagSpec& flag : verb.flags) names.emplace_back(flag.name);
  Error error(Code::invalid, "kist {} has no flag '{}'", verb.name, printable(name));
  if (const auto near = nearest(name, names))
    return std::move(error).hint(fmt::format("did you mean `{}`?", *near));
  return std::move(error).hint(fmt::format("`kist {} --help` lists them", verb.name));
}

// Walks over the arguments; each step takes one flag or one positional.
class Reader {
 public:
  Reader(const VerbSpec& verb, std::span<const std::string> args) : verb_(verb), args_(args) {}

  bool done() const { return at_ == args_.size(); }
  std::string_view peek() const { return args_[at_]; }
  std::string next() { return args_[at_++]; }

  // "--flag", "--flag=value", "--flag value".
  template <class Add>
  Result<void> long_flag(Add add) {
    const std::string arg = next();
    const size_t equals = arg.find('=');
    const std::string name = arg.substr(0, equals);
    const FlagSpec* flag = find_flag(verb_, name);
    if (flag == nullptr) return unknown_flag(verb_, name);
    if (flag->value.empty()) return set_switch(*flag, name, equals == std::string::npos ? "true" : arg.substr(equals + 1), add);
    if (equals != std::string::npos) return add(*flag, arg.substr(equals + 1));
    return take_value(*flag, add);
  }

  // "-v VALUE", "-vVALUE", "-it".
  template <class Add>
  Result<void> short_flags(Add add) {
    const std::string arg = next();
    for (size_t i = 1; i < arg.size(); ++i) {
      const std::string name = {'-', arg[i]};
      const FlagSpec* flag = find_flag(verb_, name);
      if (flag == nullptr) return unknown_flag(verb_, name);
      if (flag->value.empty() && i + 1 < arg.size() && arg[i + 1] == '=')
        return set_switch(*flag, name, arg.substr(i + 2), add);
      if (flag->value.empty()) {
        TRY(add(*flag, ""));
        continue;
      }
      if (i + 1 < arg.size()) return add(*flag, arg.substr(i + 1 + (arg[i + 1] == '=' ? 1 : 0)));
      return take_value(*flag, add);
    }
    return {};
  }

 private:
  // As docker's: the last one counts.
  template <class Add>
  Result<void> set_switch(const FlagSpec& flag, const std::string& name, const std::string& given, Add add) {
    if (given == "false" || given == "0") return add(flag, "false");
    if (given == "true" || given == "1") return add(flag, "");
    return Error(Code::invalid, "{} takes no value, got '{}={}'", name, name, printable(given));
  }

  template <class Add>
  Result<void> take_value(const FlagSpec& flag, Add add) {
    if (done()) return Error(Code::invalid, "{} needs a value: {}", flag.name, flag.value);
    return add(flag, next());
  }

  const VerbSpec& verb_;
  std::span<const std::string> args_;
  size_t at_ = 0;
};

std::string flag_column(const FlagSpec& flag) {
  std::string out = flag.short_name.empty() ? "    " : fmt::format("{}, ", flag.short_name);
  out += flag.name;
  if (!flag.value.empty()) out += fmt::format(" {}", flag.value);
  return out;
}

}  // namespace

std::string Parsed::value(std::string_view flag, std::string_view otherwise) const {
  const auto it = values_.find(flag);
  return it == values_.end() ? std::string(otherwise) : it->second.back();
}

const std::vector<std::string>& Parsed::values(std::string_view flag) const {
  static const std::vector<std::string> kNone;
  const auto it = values_.find(flag);
  return it == values_.end() ? kNone : it->second;
}

Result<Parsed> parse(const VerbSpec& verb, std::span<const std::string> args) {
  Parsed parsed;
  // Where -h is docker's --hostname it is alone when it is a question.
  if (args.size() == 1 && args[0] == "-h") {
    parsed.values_["--help"] = {""};
    return parsed;
  }
  const auto add = [&](const FlagSpec& flag, std::string value) -> Result<void> {
    if (flag.value.empty() && value == "false") {
      parsed.values_.erase(std::string(flag.name));
      parsed.off_.insert(std::string(flag.name));
      return {};
    }
    parsed.off_.erase(std::string(flag.name));
    auto& values = parsed.values_[std::string(flag.name)];
    // As docker: scripts put their own flags behind those that they were given.
    if (!flag.repeated) values.clear();
    values.push_back(std::move(value));
    return {};
  };
  Reader reader(verb, args);
  bool flags_over = false;
  while (!reader.done()) {
    const std::string_view arg = reader.peek();
    if (flags_over || arg.size() < 2 || arg[0] != '-') {
      parsed.positionals_.push_back(reader.next());
      flags_over = flags_over || verb.rest;
    } else if (arg == "--") {
      reader.next();
      flags_over = true;
    } else if (arg[1] == '-') {
      TRY(reader.long_flag(add));
    } else {
      TRY(reader.short_flags(add));
    }
  }
  const size_t count = parsed.positionals_.size();
  if (parsed.has("--help")) return parsed;
  if (count < verb.min_positionals)
    return Error(Code::invalid, "kist {} needs {}", verb.name, verb.positionals)
        .hint(fmt::format("`kist {} --help`", verb.name));
  if (!verb.rest && count > verb.max_positionals)
    return Error(Code::invalid, "kist {}: '{}' is one argument too many", verb.name,
                 printable(parsed.positionals_[verb.max_positionals]))
        .hint(fmt::format("`kist {} --help`", verb.name));
  return parsed;
}

std::string help(const VerbSpec& verb) {
  std::string out = fmt::format("{}\n\nusage: kist {}", verb.summary, verb.name);
  if (!verb.flags.empty()) out += " [FLAGS]";
  if (!verb.positionals.empty()) out += fmt::format(" {}", verb.positionals);
  out += '\n';
  if (!verb.description.empty()) out += fmt::format("\n{}\n", verb.description);
  if (verb.flags.empty()) return out;
  size_t width = 0;
  for (const FlagSpec& flag : verb.flags) width = std::max(width, flag_column(flag).size());
  width = std::min<size_t>(width, 34);
  out += "\nflags:\n";
  for (const FlagSpec& flag : verb.flags) {
    const std::string column = flag_column(flag);
    if (column.size() > width)
      out += fmt::format("  {}\n  {:{}}  {}\n", column, "", width, flag.help);
    else
      out += fmt::format("  {:{}}  {}\n", column, width, flag.help);
  }
  return out;
}

}  // namespace kist::cli
