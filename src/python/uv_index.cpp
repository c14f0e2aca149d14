#include "python/uv_index.h"

#include <algorithm>

#include "base/text.h"
#include "os/files.h"
#include "python/toml.h"

namespace kist::python {
namespace {

constexpr uint64_t kMaxConfigBytes = 4u << 20;

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      word += c;
      continue;
    }
    if (!word.empty()) out.push_back(std::move(word));
    word.clear();
  }
  if (!word.empty()) out.push_back(std::move(word));
  return out;
}

bool is_true(std::string_view text) {
  const std::string lower = to_lower(trim(text));
  return lower == "1" || lower == "true" || lower == "yes" || lower == "on";
}

// One option by its long name, as pip calls it in files and (PIP_…) in the environment.
void apply(std::string_view key, const std::string& value, IndexSettings& out) {
  if (key == "index-url") out.index_url = trim(value);
  if (key == "extra-index-url") out.extra_index_urls = words(value);
  if (key == "find-links") out.find_links = words(value);
  if (key == "trusted-host") out.trusted_hosts = words(value);
  if (key == "cert") out.cert = trim(value);
  if (key == "no-index") out.no_index = is_true(value);
}

// What of `file` is not already said.
Result<void> read_pip_file(const std::string& path, IndexSettings& out) {
  if (path.empty() || path == "/dev/null" || !os::exists(path)) return {};
  const std::string text = TRY(os::read_file(path, kMaxConfigBytes));
  const IndexSettings more = TRY(parse_pip_config(text, path));
  const auto take = [](auto& to, const auto& from) {
    if (!from.empty()) to = from;
  };
  take(out.index_url, more.index_url);
  take(out.extra_index_urls, more.extra_index_urls);
  take(out.find_links, more.find_links);
  take(out.trusted_hosts, more.trusted_hosts);
  take(out.cert, more.cert);
  out.no_index = out.no_index || more.no_index;
  return {};
}

std::string variable(const std::map<std::string, std::string>& environment,
                     const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

Result<IndexSettings> read_uv(const std::map<std::string, std::string>& environment,
                              const std::string& config, const std::string& etc) {
  IndexSettings out;
  for (const std::string& path : {os::join(etc, "uv/uv.toml"), os::join(config, "uv/uv.toml"),
                                  variable(environment, "UV_CONFIG_FILE")}) {
    if (path.empty() || !os::exists(path)) continue;
    const std::string text = TRY(os::read_file(path, kMaxConfigBytes));
    IndexSettings more = TRY(parse_uv_config(text, path));
    if (!more.is_empty()) out = std::move(more);
  }
  for (const char* name : {"UV_INDEX_URL", "UV_DEFAULT_INDEX"}) {
    std::string value = variable(environment, name);
    // "name=https://…" gives the index a name.
    const size_t equals = value.find('=');
    if (equals != std::string::npos && equals < value.find("://")) value.erase(0, equals + 1);
    if (!value.empty()) out.index_url = value;
  }
  for (const char* name : {"UV_EXTRA_INDEX_URL", "UV_INDEX"})
    if (const auto urls = words(variable(environment, name)); !urls.empty())
      out.extra_index_urls = urls;
  if (const auto links = words(variable(environment, "UV_FIND_LINKS")); !links.empty())
    out.find_links = links;
  if (is_true(variable(environment, "UV_NO_INDEX"))) out.no_index = true;
  return out;
}

Result<IndexSettings> read_pip(const std::map<std::string, std::string>& environment,
                               const std::string& home, const std::string& config,
                               const std::string& etc) {
  IndexSettings out;
  const std::string given = variable(environment, "PIP_CONFIG_FILE");
  if (given != "/dev/null") {
    TRY(read_pip_file(os::join(etc, "xdg/pip/pip.conf"), out));
    TRY(read_pip_file(os::join(etc, "pip.conf"), out));
    TRY(read_pip_file(os::join(home, ".pip/pip.conf"), out));
    TRY(read_pip_file(os::join(config, "pip/pip.conf"), out));
    TRY(read_pip_file(given, out));
  }
  for (const char* key :
       {"index-url", "extra-index-url", "find-links", "trusted-host", "cert", "no-index"}) {
    std::string name = "PIP_";
    for (const char* c = key; *c != '\0'; ++c)
      name += *c == '-' ? '_' : static_cast<char>(*c - 'a' + 'A');
    const std::string value = variable(environment, name);
    if (!value.empty()) apply(key, value, out);
  }
  return out;
}

}  // namespace

Result<IndexSettings> parse_pip_config(std::string_view text, std::string_view file) {
  IndexSettings out;
  std::string section, key, value;
  const auto finish = [&] {
    // [install] is more special than [global] and stands below it in every file that we know.
    if (section == "global" || section == "install") apply(key, value, out);
    key.clear();
    value.clear();
  };
  uint32_t number = 0;
  for (const std::string_view raw : lines(text)) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const bool continued = !raw.empty() && (raw.front() == ' ' || raw.front() == '\t');
    if (continued && !key.empty()) {
      value.append("\n").append(line);
      continue;
    }
    finish();
    if (line.front() == '[' && line.back() == ']') {
      section = to_lower(trim(line.substr(1, line.size() - 2)));
      continue;
    }
    const size_t equals = line.find_first_of("=:");
    if (equals == std::string_view::npos || section.empty())
      return Error(Code::invalid, "{}:{}: want '[section]' or 'key = value'", printable(file),
                   number);
    key = to_lower(trim(line.substr(0, equals)));
    std::replace(key.begin(), key.end(), '_', '-');
    value = trim(line.substr(equals + 1));
  }
  finish();
  return out;
}

Result<IndexSettings> parse_uv_config(std::string_view text, std::string_view file) {
  const toml::Value root = TRY(toml::parse(text, file, {.bytes = kMaxConfigBytes}));
  toml::Fields fields = TRY(toml::Fields::of(root, file));
  IndexSettings out;
  std::optional<toml::Fields> pip = TRY(fields.optional_table("pip"));
  for (toml::Fields* level : {pip ? &*pip : nullptr, &fields}) {
    if (level == nullptr) continue;
    const std::string url = TRY(level->optional_string("index-url"));
    if (!url.empty()) out.index_url = url;
    const std::vector<std::string> extra = TRY(level->optional_strings("extra-index-url"));
    if (!extra.empty()) out.extra_index_urls = extra;
    const std::vector<std::string> links = TRY(level->optional_strings("find-links"));
    if (!links.empty()) out.find_links = links;
    const std::optional<bool> no_index = TRY(level->optional_boolean("no-index"));
    out.no_index = no_index.value_or(out.no_index);
  }
  std::vector<toml::Fields> indexes = TRY(fields.optional_tables("index"));
  for (toml::Fields& index : indexes) {
    const std::string url = TRY(index.string("url"));
    const std::optional<bool> is_default = TRY(index.optional_boolean("default"));
    if (is_default.value_or(false))
      out.index_url = url;
    else
      out.extra_index_urls.push_back(url);
  }
  return out;
}

Result<HostIndex> read_host_index(const std::map<std::string, std::string>& environment,
                                  const std::string& home, const std::string& etc) {
  const std::string xdg = variable(environment, "XDG_CONFIG_HOME");
  const std::string config = xdg.empty() ? os::join(home, ".config") : xdg;
  HostIndex out;
  out.settings = TRY(read_uv(environment, config, etc), "uv's configuration");
  out.is_uvs = !out.settings.is_empty();
  if (out.is_uvs) return out;
  out.settings = TRY(read_pip(environment, home, config, etc), "pip's configuration");
  std::erase_if(out.settings.find_links, [](const std::string& link) {
    return link.find("://") == std::string::npos && !os::exists(link);
  });
  return out;
}

std::map<std::string, std::string> uv_index_variables(const HostIndex& index) {
  std::map<std::string, std::string> out;
  const IndexSettings& settings = index.settings;
  if (!settings.cert.empty()) out["SSL_CERT_FILE"] = settings.cert;
  if (index.is_uvs) return out;
  const auto joined = [](const std::vector<std::string>& texts, const char* separator) {
    return fmt::format("{}", fmt::join(texts, separator));
  };
  if (!settings.index_url.empty()) out["UV_DEFAULT_INDEX"] = settings.index_url;
  if (!settings.extra_index_urls.empty()) out["UV_INDEX"] = joined(settings.extra_index_urls, " ");
  if (!settings.find_links.empty()) out["UV_FIND_LINKS"] = joined(settings.find_links, ",");
  if (!settings.trusted_hosts.empty())
    out["UV_INSECURE_HOST"] = joined(settings.trusted_hosts, " ");
  if (settings.no_index) out["UV_NO_INDEX"] = "1";
  return out;
}

}  // namespace kist::python
