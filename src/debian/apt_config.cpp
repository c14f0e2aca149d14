#include "debian/apt_config.h"

#include <algorithm>

#include "base/text.h"
#include "debian/control.h"
#include "os/files.h"

namespace kist::debian {
namespace {

constexpr uint64_t kMaxFileBytes = 4u << 20;

std::string without_slash(std::string_view uri) {
  while (uri.ends_with('/')) uri.remove_suffix(1);
  return std::string(uri);
}

bool is_no(std::string_view value) {
  const std::string lower = to_lower(value);
  return lower == "no" || lower == "false" || lower == "0" || lower == "off" ||
         lower == "without" || lower == "disable";
}

std::vector<std::string> words(std::string_view text, std::string_view separators) {
  std::vector<std::string> out;
  while (true) {
    const size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(separators), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

void set_option(AptSource& source, std::string_view name, std::string_view value) {
  if (name == "arch" || name == "architectures") source.architectures = words(value, ",");
  if (name == "signed-by") source.keyrings = words(value, ",");
  if (name == "check-valid-until") source.check_valid_until = !is_no(value);
}

// "deb [arch=amd64 signed-by=/x.gpg] URI SUITE COMPONENT…"
Result<std::vector<AptSource>> parse_line(std::string_view line) {
  std::vector<AptSource> out;
  std::vector<std::string> parts = words(line, " \t");
  if (parts.empty() || parts[0] != "deb") return out;  // deb-src and others are not for us.
  AptSource source;
  size_t at = 1;
  if (at < parts.size() && parts[at].starts_with('[')) {
    const size_t open = line.find('[');
    const size_t close = line.find(']', open);
    if (close == std::string_view::npos)
      return Error(Code::invalid, "'{}' has '[' without ']'", printable(line));
    for (const std::string& option : words(line.substr(open + 1, close - open - 1), " \t")) {
      const size_t equals = std::min(option.find('='), option.size());
      set_option(source, to_lower(option.substr(0, equals)),
                 std::string_view(option).substr(std::min(equals + 1, option.size())));
    }
    parts = words(line.substr(close + 1), " \t");
    at = 0;
  }
  if (parts.size() < at + 2)
    return Error(Code::invalid, "'{}' is not 'deb [options] address suite components'",
                 printable(line));
  source.uri = without_slash(parts[at]);
  source.suite = without_slash(parts[at + 1]);
  source.components.assign(parts.begin() + static_cast<ptrdiff_t>(at) + 2, parts.end());
  out.push_back(std::move(source));
  return out;
}

// A key in the entry itself: lines are indented, and an empty one is written as ".".
std::string unfold_key(std::string_view value) {
  std::string out;
  for (const std::string_view line : lines(value)) {
    const std::string_view text = trim(line);
    if (text.empty()) continue;
    out += text == "." ? "" : text;
    out += '\n';
  }
  return out;
}

// Skips blanks and the three kinds of comments of apt.conf.
void skip_blanks(std::string_view& text) {
  while (!text.empty()) {
    const bool slashes = text.starts_with("//");
    if (text[0] == ' ' || text[0] == '\t' || text[0] == '\n' || text[0] == '\r') {
      text.remove_prefix(1);
    } else if (slashes || text[0] == '#') {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.starts_with("/*")) {
      const size_t end = text.find("*/", 2);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    } else {
      return;
    }
  }
}

std::string take_word(std::string_view& text) {
  std::string out;
  if (text.starts_with('"')) {
    const size_t end = std::min(text.find('"', 1), text.size());
    out = text.substr(1, end - 1);
    text.remove_prefix(std::min(end + 1, text.size()));
    return out;
  }
  const size_t end = std::min(text.find_first_of(" \t\r\n{};\""), text.size());
  out = text.substr(0, end);
  text.remove_prefix(end);
  return out;
}

Result<void> read_sources(const std::string& path, AptConfig& config) {
  const bool deb822 = path.ends_with(".sources");
  if (!deb822 && !path.ends_with(".list")) return {};
  if (!os::exists(path)) return {};
  const std::string text = TRY(os::read_file(path, kMaxFileBytes));
  auto parsed = deb822 ? parse_deb822_sources(text) : parse_sources_list(text);
  std::vector<AptSource> found = TRY(std::move(parsed), "reading '{}'", path);
  std::move(found.begin(), found.end(), std::back_inserter(config.sources));
  return {};
}

Result<std::vector<std::string>> files_in(const std::string& folder) {
  std::vector<std::string> out;
  if (!os::is_folder(folder)) return out;
  const std::vector<std::string> names = TRY(os::list_folder(folder));
  for (const std::string& name : names)
    if (!name.starts_with('.')) out.push_back(os::join(folder, name));
  return out;
}

Result<void> read_settings(const AptPaths& paths, AptConfig& config) {
  std::vector<std::string> files = TRY(files_in(paths.config_dir));
  if (os::exists(paths.config_file)) files.push_back(paths.config_file);
  for (const std::string& file : files) {
    const std::string text = TRY(os::read_file(file, kMaxFileBytes));
    for (const auto& [key, value] : parse_apt_conf(text)) {
      const std::string name = to_lower(key);
      if (name == "acquire::http::proxy") config.proxy_http = value;
      if (name == "acquire::https::proxy") config.proxy_https = value;
      if (name == "acquire::check-valid-until") config.check_valid_until = !is_no(value);
      if (name == "acquire::check-date") config.check_date = !is_no(value);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<AptSource>> parse_sources_list(std::string_view text) {
  std::vector<AptSource> out;
  size_t number = 0;
  for (const std::string_view line : lines(text)) {
    ++number;
    const std::string_view code = trim(line.substr(0, line.find('#')));
    std::vector<AptSource> found = TRY(parse_line(code), "line {}", number);
    std::move(found.begin(), found.end(), std::back_inserter(out));
  }
  return out;
}

Result<std::vector<AptSource>> parse_deb822_sources(std::string_view text) {
  std::vector<AptSource> out;
  const std::vector<Paragraph> entries = TRY(parse_paragraphs(text, true));
  for (const Paragraph& entry : entries) {
    if (is_no(entry.get("Enabled"))) continue;
    const std::vector<std::string> types = entry.words("Types");
    if (std::find(types.begin(), types.end(), "deb") == types.end()) continue;
    AptSource source;
    source.components = entry.words("Components");
    source.architectures = entry.words("Architectures");
    source.check_valid_until = !is_no(entry.get("Check-Valid-Until"));
    const std::string_view signed_by = entry.get("Signed-By");
    if (signed_by.find("-----BEGIN") != std::string_view::npos)
      source.inline_key = unfold_key(signed_by);
    else
      source.keyrings = words(signed_by, " \t\n,");
    for (const std::string& uri : entry.words("URIs")) {
      for (const std::string& suite : entry.words("Suites")) {
        source.uri = without_slash(uri);
        source.suite = without_slash(suite);
        out.push_back(source);
      }
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parse_apt_conf(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  std::vector<std::string> scopes;
  std::string name;
  const auto full_name = [&] {
    std::string full;
    for (const std::string& scope : scopes) full += scope + "::";
    return full + name;
  };
  bool has_name = false;
  for (skip_blanks(text); !text.empty(); skip_blanks(text)) {
    if (text[0] == '{') {
      scopes.push_back(std::exchange(name, {}));
      has_name = false;
      text.remove_prefix(1);
    } else if (text[0] == '}') {
      if (!scopes.empty()) scopes.pop_back();
      has_name = false;
      text.remove_prefix(1);
    } else if (text[0] == ';') {
      name.clear();
      has_name = false;
      text.remove_prefix(1);
    } else {
      std::string word = take_word(text);
      if (has_name) out.emplace_back(full_name(), std::move(word));
      if (!has_name) name = std::move(word);
      has_name = true;
    }
  }
  return out;
}

Result<AptConfig> read_apt_config(const AptPaths& paths) {
  AptConfig config;
  TRY(read_sources(paths.sources_list, config));
  const std::vector<std::string> sources = TRY(files_in(paths.sources_dir));
  for (const std::string& path : sources) {
    TRY(read_sources(path, config));
  }
  TRY(read_settings(paths, config));
  if (os::exists(paths.trusted_file)) config.keyrings.push_back(paths.trusted_file);
  const std::vector<std::string> trusted = TRY(files_in(paths.trusted_dir));
  for (const std::string& path : trusted)
    if (path.ends_with(".gpg") || path.ends_with(".asc")) config.keyrings.push_back(path);
  const std::vector<std::string> keyrings = TRY(files_in(paths.keyring_dir));
  for (const std::string& path : keyrings)
    if (os::name_of(path).starts_with("debian-archive-") && path.ends_with(".gpg") &&
        path.find("removed") == std::string::npos)
      config.keyrings.push_back(path);
  return config;
}

}  // namespace kist::debian
