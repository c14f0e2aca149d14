#include "http/index_config.h"

#include "base/text.h"
#include "http/config.h"

namespace kist::http {
namespace {

using Texts = std::vector<std::string>;

// uv separates by blanks; where it says "comma", blanks never were part of an address either.
Texts pieces(std::string_view text) {
  Texts out;
  std::string piece;
  for (const char c : text) {
    if (c != ' ' && c != ',' && c != '\n' && c != '\t') {
      piece += c;
    } else if (!piece.empty()) {
      out.push_back(std::exchange(piece, {}));
    }
  }
  if (!piece.empty()) out.push_back(std::move(piece));
  return out;
}

const Setting* find(const Settings& settings, const char* key) {
  const auto found = settings.find(key);
  return found == settings.end() || found->second.values.empty() ? nullptr : &found->second;
}

bool is_true(const std::string& text) {
  const std::string low = to_lower(trim(text));
  return low == "1" || low == "true" || low == "yes" || low == "on";
}

// "name=https://…" or "https://…".
Index parse_index(const std::string& text) {
  const size_t equals = text.find('=');
  const bool is_named =
      equals != std::string::npos && text.find_first_of(":/?") > equals && equals > 0;
  if (!is_named) return {"", Secret(text)};
  return {text.substr(0, equals), Secret(text.substr(equals + 1))};
}

void add_extra(IndexConfig& out, const Texts& urls) {
  for (const std::string& url : urls) out.extra.push_back(parse_index(url));
}

std::string variable_name(std::string_view index_name) {
  std::string out;
  for (const char c : index_name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    const bool lower = c >= 'a' && c <= 'z';
    out += lower ? static_cast<char>(c - 'a' + 'A') : plain ? c : '_';
  }
  return out;
}

// uv keeps the credentials of a named index in variables of their own.
void add_named_credentials(const Environment& environment, std::string_view index_name,
                           Secret& url) {
  const std::string name = variable_name(index_name);
  if (name.empty() || url.empty()) return;
  const std::string user(variable(environment, fmt::format("UV_INDEX_{}_USERNAME", name)));
  const std::string word(variable(environment, fmt::format("UV_INDEX_{}_PASSWORD", name)));
  if (user.empty() && word.empty()) return;
  url = Secret(with_credentials(split_credentials(url.reveal()).first, user, word));
}

bool from_uv_variables(const Environment& environment, IndexConfig& out) {
  std::string source;
  const std::string main =
      first_variable(environment, {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}, &source);
  const Texts extra = pieces(variable(environment, "UV_INDEX"));
  const Texts old_extra = pieces(variable(environment, "UV_EXTRA_INDEX_URL"));
  if (main.empty() && extra.empty() && old_extra.empty()) return false;
  if (!main.empty()) {
    Index index = parse_index(main);
    out.default_url = std::move(index.url);
    out.default_name = std::move(index.name);
    out.source = source;
  }
  add_extra(out, extra);
  add_extra(out, old_extra);
  return true;
}

bool from_uv_files(const ToolSettings& settings, IndexConfig& out) {
  for (const UvIndex& index : settings.uv_indexes) {
    if (!index.is_default) {
      out.extra.push_back({index.name, Secret(index.url)});
    } else if (out.default_url.empty()) {
      out.default_url = Secret(index.url);
      out.default_name = index.name;
      out.source = settings.uv_indexes_source;
    }
  }
  const Setting* main = find(settings.uv, "index-url");
  if (main != nullptr && out.default_url.empty()) {
    out.default_url = Secret(main->values.front());
    out.source = main->source;
  }
  const Setting* extra = find(settings.uv, "extra-index-url");
  if (extra != nullptr) add_extra(out, extra->values);
  return !out.default_url.empty() || !out.extra.empty();
}

void from_pip(const ToolSettings& settings, IndexConfig& out) {
  const Setting* main = find(settings.pip, "index-url");
  if (main != nullptr && !main->values.front().empty()) {
    out.default_url = Secret(main->values.front());
    out.source = main->source;
  }
  if (const Setting* extra = find(settings.pip, "extra-index-url")) add_extra(out, extra->values);
}

void add_links(const Environment& environment, const ToolSettings& settings, IndexConfig& out) {
  for (const std::string& link : pieces(variable(environment, "UV_FIND_LINKS")))
    out.find_links.emplace_back(link);
  for (const Settings* from : {&settings.uv, &settings.pip})
    if (const Setting* links = find(*from, "find-links"))
      for (const std::string& link : links->values) out.find_links.emplace_back(link);
}

}  // namespace

IndexConfig index_config_from(const Environment& environment, const ToolSettings& settings,
                              const std::string& built_in) {
  IndexConfig out;
  if (!from_uv_variables(environment, out) && !from_uv_files(settings, out))
    from_pip(settings, out);
  add_named_credentials(environment, out.default_name, out.default_url);
  for (Index& index : out.extra) add_named_credentials(environment, index.name, index.url);
  add_links(environment, settings, out);
  const Setting* pip_none = find(settings.pip, "no-index");
  const Setting* uv_none = find(settings.uv, "no-index");
  out.no_index = is_true(std::string(variable(environment, "UV_NO_INDEX"))) ||
                 (uv_none != nullptr && is_true(uv_none->values.front())) ||
                 (pip_none != nullptr && is_true(pip_none->values.front()));
  if (out.default_url.empty() && !out.no_index && !built_in.empty()) {
    out.default_url = Secret(built_in);
    out.source = "built in";
  }
  if (out.no_index) {
    out.default_url = Secret();
    out.extra.clear();
    out.source.clear();
  }
  const Setting* keyring = find(settings.uv, "keyring-provider");
  out.keyring_provider = first_variable(environment, {"UV_KEYRING_PROVIDER"});
  if (out.keyring_provider.empty() && keyring != nullptr)
    out.keyring_provider = keyring->values.front();
  if (const Setting* pip = find(settings.pip, "keyring-provider");
      out.keyring_provider.empty() && pip != nullptr && pip->values.front() == "subprocess")
    out.keyring_provider = "subprocess";
  if (out.keyring_provider != "subprocess") out.keyring_provider.clear();
  out.insecure_hosts = config_from(environment, settings).insecure_hosts;
  return out;
}

void add_named_credentials(const Environment& environment, Index& index) {
  add_named_credentials(environment, index.name, index.url);
}

std::vector<OriginCredentials> credentials_of(const IndexConfig& indexes) {
  std::vector<OriginCredentials> out;
  const auto add = [&out](const Secret& url) {
    auto [bare, user] = split_credentials(url.reveal());
    const std::string origin = origin_of(bare);
    if (user.empty() || origin.empty()) return;
    for (const OriginCredentials& known : out)
      if (known.origin == origin) return;
    out.push_back({origin, Secret(std::move(user))});
  };
  for (const Index& index : indexes.extra) add(index.url);
  add(indexes.default_url);
  for (const Secret& link : indexes.find_links) add(link);
  return out;
}

std::vector<std::string> uv_variables(const IndexConfig& indexes, const Config& config) {
  Texts out;
  const auto add = [&out](const char* name, const std::string& value) {
    if (!value.empty()) out.push_back(fmt::format("{}={}", name, value));
  };
  Texts extra;
  for (const Index& index : indexes.extra) {
    const std::string& url = index.url.reveal();
    extra.push_back(index.name.empty() ? url : fmt::format("{}={}", index.name, url));
  }
  Texts links;
  for (const Secret& link : indexes.find_links) links.push_back(link.reveal());
  add("UV_DEFAULT_INDEX", indexes.default_url.reveal());
  add("UV_INDEX", fmt::format("{}", fmt::join(extra, " ")));
  add("UV_FIND_LINKS", fmt::format("{}", fmt::join(links, ",")));
  add("UV_INSECURE_HOST", fmt::format("{}", fmt::join(indexes.insecure_hosts, " ")));
  add("UV_NO_INDEX", indexes.no_index ? "1" : "");
  add("UV_KEYRING_PROVIDER", indexes.keyring_provider);
  add("SSL_CERT_FILE", config.ca_file);
  add("SSL_CERT_DIR", config.ca_dir);
  add("HTTP_PROXY", config.proxy_http);
  add("HTTPS_PROXY", config.proxy_https);
  add("ALL_PROXY", config.proxy_all);
  add("NO_PROXY", config.no_proxy);
  add("NETRC", config.netrc_path);
  add("UV_HTTP_TIMEOUT", fmt::format("{}", config.stall_timeout.count()));
  return out;
}

}  // namespace kist::http
