// requirements.txt: pip's own format, of which its documentation tells half. Follows
// pip/_internal/req/req_file.py.
#include <algorithm>
#include <optional>
#include <set>

#include "base/text.h"
#include "http/client.h"
#include "python/requirements.h"
#include "python/requirements_text.h"

namespace kist::python {
namespace {

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxFiles = 1000;
constexpr size_t kMaxRequirements = 100000;

// What options there are: which take a value, and what we do with it.
enum class Action { include, constrain, editable, find_links, require_hashes, ignore };
struct Option {
  std::string_view name;
  bool has_value;
  Action action;
};
constexpr Option kOptions[] = {
    {"-r", true, Action::include},
    {"--requirement", true, Action::include},
    {"-c", true, Action::constrain},
    {"--constraint", true, Action::constrain},
    {"-e", true, Action::editable},
    {"--editable", true, Action::editable},
    {"-f", true, Action::find_links},
    {"--find-links", true, Action::find_links},
    {"--require-hashes", false, Action::require_hashes},
    // uv reads these itself.
    {"-i", true, Action::ignore},
    {"--index-url", true, Action::ignore},
    {"--extra-index-url", true, Action::ignore},
    {"--no-index", false, Action::ignore},
    {"--no-binary", true, Action::ignore},
    {"--only-binary", true, Action::ignore},
    {"--prefer-binary", false, Action::ignore},
    {"--pre", false, Action::ignore},
    {"--trusted-host", true, Action::ignore},
    {"--use-feature", true, Action::ignore},
};
// Behind a requirement.
constexpr std::string_view kPerRequirement[] = {"--hash", "--config-settings", "--config-setting",
                                                "-C",     "--global-option",   "--install-option"};

// ${NAME}, of upper-case letters, digits and '_', as pip has it. `used`: the names that were found.
std::string expand(std::string_view text, const std::map<std::string, std::string>& variables,
                   std::vector<std::string>& used) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  std::string out;
  while (!text.empty()) {
    const size_t start = text.find("${");
    const size_t end = start == std::string_view::npos ? start : text.find('}', start);
    if (end == std::string_view::npos) return out.append(text);
    const std::string name(text.substr(start + 2, end - start - 2));
    const bool is_name = name.find_first_not_of(kAllowed) == std::string::npos;
    const auto found = is_name ? variables.find(name) : variables.end();
    out.append(text.substr(0, start));
    out.append(found != variables.end() ? std::string_view(found->second)
                                        : text.substr(start, end + 1 - start));
    if (found != variables.end() && std::find(used.begin(), used.end(), name) == used.end())
      used.push_back(name);
    text.remove_prefix(end + 1);
  }
  return out;
}

// Where the value of a variable is no secret of an address, and where uv replaces none: "six==${SIX}".
std::string expand_name(std::string_view text, const std::map<std::string, std::string>& variables,
                        std::vector<std::string>& used) {
  const bool is_plain = !text.starts_with('-') && text.find("://") == std::string_view::npos;
  return is_plain ? expand(text, variables, used) : std::string(text);
}

class FileReader {
 public:
  FileReader(const ProjectFiles& files, const std::map<std::string, std::string>& variables)
      : files_(files), variables_(variables) {}

  Result<void> read(const std::string& path, bool constraint) {
    if (std::find(open_.begin(), open_.end(), path) != open_.end()) {
      return Error(Code::invalid, "'{}' includes itself: {} → {}", printable(path),
                   printable(fmt::format("{}", fmt::join(open_, " → "))), printable(path));
    }
    if (open_.size() >= kMaxDepth || ++count_ > kMaxFiles) {
      return Error(Code::invalid, "'{}': more than {} files included, or more than {} deep",
                   printable(path), kMaxFiles, kMaxDepth);
    }
    std::string bytes = TRY(files_.read(path));
    const std::string text = TRY(decode_requirements(std::move(bytes), path));
    if (std::find(out_.files.begin(), out_.files.end(), path) == out_.files.end())
      out_.files.push_back(path);
    open_.push_back(path);
    for (const RequirementsLine& line : logical_lines(text)) TRY(read_line(line, constraint));
    open_.pop_back();
    return {};
  }

  Requirements take() { return std::move(out_); }

 private:
  const std::string& file() const { return open_.back(); }
  std::string where(const RequirementsLine& line) const {
    return fmt::format("{}:{}", printable(file()), line.number);
  }

  Result<void> read_line(const RequirementsLine& line, bool constraint) {
    (void)expand(line.text, variables_, out_.variables);
    if (line.text.starts_with('-')) return read_options(line, constraint);
    // The requirement ends where the first option begins.
    const size_t end = std::min(line.text.find(" -"), line.text.size());
    std::vector<std::string> hashes =
        TRY(read_per_requirement(line, shell_words(std::string_view(line.text).substr(end))));
    return add(line, line.text.substr(0, end), std::move(hashes), false, constraint);
  }

  Result<std::vector<std::string>> read_per_requirement(const RequirementsLine& line,
                                                        const std::vector<std::string>& words) {
    std::vector<std::string> hashes;
    for (size_t i = 0; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      const std::string name = words[i].substr(0, equals);
      if (std::find(std::begin(kPerRequirement), std::end(kPerRequirement), name) ==
          std::end(kPerRequirement))
        return unknown_option(line, name, kPerRequirement);
      std::string value;
      if (equals != std::string::npos)
        value = words[i].substr(equals + 1);
      else if (i + 1 < words.size())
        value = words[++i];
      if (name != "--hash") continue;
      const std::string hash = TRY(read_hash(line, value));
      hashes.push_back(hash);
    }
    return hashes;
  }

  Result<std::string> read_hash(const RequirementsLine& line, const std::string& value) const {
    const std::string lower = to_lower(value);
    const struct {
      std::string_view prefix;
      size_t digits;
    } algorithms[] = {{"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};
    for (const auto& [prefix, digits] : algorithms) {
      if (!lower.starts_with(prefix)) continue;
      const std::string_view hex = std::string_view(lower).substr(prefix.size());
      if (hex.size() == digits && hex.find_first_not_of("0123456789abcdef") == hex.npos)
        return lower;
      return Error(Code::invalid, "{}: hash '{}' has {} characters after '{}', want {} hex digits",
                   where(line), printable(value), hex.size(), prefix, digits);
    }
    return Error(Code::invalid, "{}: hash '{}', want sha256:…, sha384:… or sha512:…", where(line),
                 printable(value));
  }

  template <class Names>
  Error unknown_option(const RequirementsLine& line, const std::string& name, const Names& names) const {
    std::vector<std::string> known;
    for (const auto& candidate : names) known.emplace_back(candidate);
    Error error(Code::invalid, "{}: unknown option '{}'", where(line), printable(name));
    if (const auto near = nearest(name, known))
      return std::move(error).hint(fmt::format("write `{}`", *near));
    return error;
  }

  // A line may hold several options.
  Result<void> read_options(const RequirementsLine& line, bool constraint) {
    const std::vector<std::string> words = shell_words(line.text);
    for (size_t i = 0; i < words.size(); ++i) {
      const std::string& word = words[i];
      const bool is_long = word.starts_with("--");
      // "-rother.txt" and "--requirement=other.txt" hold their value.
      const size_t end =
          is_long ? std::min(word.find('='), word.size()) : std::min<size_t>(2, word.size());
      const std::string name = word.substr(0, end);
      const auto* option =
          std::find_if(std::begin(kOptions), std::end(kOptions),
                       [&](const Option& candidate) { return candidate.name == name; });
      if (option == std::end(kOptions)) {
        std::vector<std::string_view> names;
        for (const Option& known : kOptions) names.push_back(known.name);
        return unknown_option(line, name, names);
      }
      std::string value;
      if (option->has_value) {
        if (end < word.size())
          value = word.substr(end + (word[end] == '=' ? 1 : 0));
        else if (i + 1 < words.size())
          value = words[++i];
        if (value.empty())
          return Error(Code::invalid, "{}: '{}' has no value", where(line), printable(name));
      }
      if (option->action == Action::editable) return add_editable(line, value, constraint);
      TRY(act(line, *option, value, constraint));
    }
    return {};
  }

  // "-e git+https://… ; marker --config-settings=…": from the text, since splitting it into words
  // took the quotes out of the marker.
  Result<void> add_editable(const RequirementsLine& line, std::string value, bool constraint) {
    std::string_view text = line.text;
    std::vector<std::string> hashes;
    for (const std::string_view name : {"-e", "--editable"}) {
      if (!text.starts_with(name) || text.size() <= name.size()) continue;
      text.remove_prefix(name.size());
      if (text.starts_with('=')) text.remove_prefix(1);
      const size_t options = std::min(text.find(" -"), text.size());
      hashes = TRY(read_per_requirement(line, shell_words(text.substr(options))));
      text = trim(text.substr(0, options));
      const bool is_quoted = text.starts_with('"') || text.starts_with('\'');
      if (!is_quoted) value = std::string(text);
      break;
    }
    return add(line, value, std::move(hashes), true, constraint);
  }

  Result<void> act(const RequirementsLine& line, const Option& option, const std::string& value,
                   bool constraint) {
    const std::string expanded = expand(value, variables_, out_.variables);
    const bool remote = expanded.starts_with("http://") || expanded.starts_with("https://");
    switch (option.action) {
      case Action::include:
      case Action::constrain:
        if (remote) {
          out_.remote_files.push_back(http::redact(expanded));
          return {};
        }
        return include(line, fmt::format("{} {}", option.name, printable(value)),
                       path_from(folder(), expanded),
                       constraint || option.action == Action::constrain);
      case Action::find_links:
        // Relative to the working folder, which is the project, unless it lies beside the file.
        if (!remote) {
          const std::string beside = path_from(folder(), expanded);
          out_.find_links.push_back(files_.is_folder(beside) ? beside : normal_path(expanded));
        }
        return {};
      case Action::require_hashes:
        out_.require_hashes = true;
        return {};
      case Action::editable:
      case Action::ignore:
        return {};
    }
    return {};
  }

  Result<void> include(const RequirementsLine& line, const std::string& asked, const std::string& path,
                       bool constraint) {
    // Taken before: on failure, file() is the one that failed.
    const std::string from = where(line);
    TRY(read(path, constraint), "{}: {}", from, asked);
    return {};
  }

  std::string folder() const {
    const size_t slash = file().rfind('/');
    return slash == std::string::npos ? "." : file().substr(0, std::max<size_t>(slash, 1));
  }

  Result<void> add(const RequirementsLine& line, const std::string& text, std::vector<std::string> hashes,
                   bool editable, bool constraint) {
    const std::string expanded = expand_name(text, variables_, out_.variables);
    Requirement requirement = TRY(parse_requirement(expanded), "{}", where(line));
    // "-e folder" needs no slash to be a path.
    if (editable && requirement.kind == Requirement::Kind::index)
      requirement = TRY(parse_requirement(fmt::format("./{}", text)), "{}", where(line));
    requirement.editable = editable;
    requirement.hashes = std::move(hashes);
    requirement.file = file();
    requirement.line = line.number;
    // As uv and pip do: relative to the working folder, which is the project's.
    if (requirement.kind == Requirement::Kind::path)
      requirement.address = normal_path(expand(requirement.address, variables_, out_.variables));
    if (!requirement.hashes.empty()) out_.require_hashes = true;
    auto& list = constraint ? out_.constraints : out_.requirements;
    if (list.size() >= kMaxRequirements)
      return Error(Code::invalid, "{}: more than {} requirements", where(line), kMaxRequirements);
    list.push_back(std::move(requirement));
    return {};
  }

  const ProjectFiles& files_;
  const std::map<std::string, std::string>& variables_;
  std::vector<std::string> open_;  // Files that we are in, outermost first.
  size_t count_ = 0;
  Requirements out_;
};

}  // namespace

Result<std::string> plain_requirements(std::string bytes, const std::string& path,
                                       const std::map<std::string, std::string>& variables) {
  const std::string text = TRY(decode_requirements(std::move(bytes), path));
  std::string out;
  std::vector<std::string> used;
  for (const RequirementsLine& line : logical_lines(text))
    (out += expand_name(line.text, variables, used)) += '\n';
  return out;
}

Result<Requirements> read_requirements(const std::string& path, const ProjectFiles& files,
                                       const std::map<std::string, std::string>& variables) {
  FileReader reader(files, variables);
  TRY(reader.read(normal_path(path), false));
  return reader.take();
}

}  // namespace kist::python
