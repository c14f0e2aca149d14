#include "registry_server/config.h"

#include <toml++/toml.h>

#include <array>

#include "base/text.h"
#include "registry_server/names.h"

namespace kist::registry_server {
namespace {

// One table of the file. What is asked for is known; what is left over at the end was misspelt.
class Table {
 public:
  Table(const toml::table& table, std::string name, const std::string& where)
      : table_(table), name_(std::move(name)), where_(where) {}

  Result<void> text(const char* key, std::string& into) { return read<std::string>(key, "a text", into); }
  Result<void> truth(const char* key, bool& into) { return read<bool>(key, "true or false", into); }
  Result<void> size(const char* key, uint64_t& into) { return by_text(key, "a size such as \"10 GB\"", parse_size, into); }
  Result<void> duration(const char* key, std::chrono::seconds& into) {
    return by_text(key, "a duration such as \"30d\" or \"5m\"", parse_duration, into);
  }
  Result<void> texts(const char* key, std::vector<std::string>& into) {
    const toml::node* node = find(key);
    if (node == nullptr) return {};
    into.clear();
    if (const auto one = node->value<std::string>()) into.push_back(*one);
    else if (const toml::array* list = node->as_array()) {
      for (const toml::node& element : *list) {
        const auto text = element.value<std::string>();
        if (!text) return wrong(*node, key, "a list of texts");
        into.push_back(*text);
      }
    } else {
      return wrong(*node, key, "a text or a list of texts");
    }
    return {};
  }
  Result<void> rights(const char* key, std::vector<Right>& into) {
    std::vector<std::string> words;
    TRY(texts(key, words));
    for (const std::string& word : words) {
      if (word == "read") into.push_back(Right::read);
      else if (word == "write") into.push_back(Right::write);
      else if (word == "delete") into.push_back(Right::remove);
      else return Error(Code::invalid, "{}: '{}' of [{}]: '{}' is not a right", where_, key, name_, printable(word))
          .hint("`rights = [\"read\", \"write\", \"delete\"]`");
    }
    return {};
  }
  Result<void> number(const char* key, double& into) {
    const toml::node* node = find(key);
    if (node == nullptr) return {};
    const auto value = node->value<double>();
    if (!value || *value < 0) return wrong(*node, key, "a number");
    into = *value;
    return {};
  }
  bool has(const char* key) const { return table_.contains(key); }

  Result<void> finish() const {
    for (const auto& [key, value] : table_) {
      const std::string name(key.str());
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      Error error(Code::invalid, "{}: line {}: [{}] has no key '{}'", where_, value.source().begin.line, name_, printable(name));
      if (const auto near = nearest(name, known_)) return std::move(error).hint(fmt::format("did you mean `{}`?", *near));
      return error;
    }
    return {};
  }

 private:
  const toml::node* find(const char* key) {
    known_.emplace_back(key);
    return table_.get(key);
  }
  Error wrong(const toml::node& node, const char* key, std::string_view wanted) const {
    return {Code::invalid, "{}: line {}: '{}' of [{}] is not {}", where_, node.source().begin.line, key, name_, wanted};
  }
  template <class T>
  Result<void> read(const char* key, std::string_view wanted, T& into) {
    const toml::node* node = find(key);
    if (node == nullptr) return {};
    auto value = node->value_exact<T>();
    if (!value) return wrong(*node, key, wanted);
    into = std::move(*value);
    return {};
  }
  template <class T, class Parse>
  Result<void> by_text(const char* key, std::string_view wanted, Parse parse, T& into) {
    const toml::node* node = find(key);
    if (node == nullptr) return {};
    std::string text = node->value<std::string>().value_or("");
    if (const auto number = node->value_exact<int64_t>()) text = std::to_string(*number);
    const auto value = parse(text);
    if (!value) return wrong(*node, key, wanted);
    into = static_cast<T>(*value);
    return {};
  }

  const toml::table& table_;
  std::string name_;
  const std::string& where_;
  std::vector<std::string> known_;
};

using Reader = Result<void> (*)(Table&, Config&);

Result<void> read_server(Table& table, Config& config) {
  TRY(table.texts("listen", config.listen));
  TRY(table.text("root", config.root));
  TRY(table.text("public_url", config.registry.public_url));
  TRY(table.truth("read_only", config.registry.is_read_only));
  TRY(table.truth("metrics", config.registry.shows_metrics));
  TRY(table.truth("sparse", config.registry.takes_sparse));
  TRY(table.text("access_log", config.access_log));
  TRY(table.truth("sync", config.syncs));
  TRY(table.duration("upload_expiry", config.upload_expiry));
  return table.duration("shutdown", config.limits.shutdown);
}

Result<void> read_tls(Table& table, Config& config) {
  config.tls.emplace();
  TRY(table.text("certificate", config.tls->certificate));
  return table.text("key", config.tls->key);
}

Result<void> read_limits(Table& table, Config& config) {
  uint64_t connections = config.limits.connections, head = config.limits.head_bytes;
  TRY(table.size("connections", connections));
  TRY(table.size("head", head));
  config.limits.connections = static_cast<size_t>(connections);
  config.limits.head_bytes = static_cast<size_t>(std::min<uint64_t>(head, 1u << 20));
  TRY(table.size("blob", config.registry.blob_bytes));
  TRY(table.size("manifest", config.registry.manifest_bytes));
  TRY(table.size("min_rate", config.limits.min_bytes_per_second));
  TRY(table.duration("idle", config.limits.idle));
  TRY(table.duration("head_time", config.limits.head));
  TRY(table.duration("body_grace", config.limits.body_grace));
  TRY(table.number("requests_per_second", config.requests_per_second));
  return table.number("burst", config.burst);
}

Result<void> read_auth(Table& table, Config& config) {
  TRY(table.text("htpasswd", config.access.htpasswd));
  TRY(table.rights("anonymous", config.access.anonymous));
  TRY(table.truth("tokens", config.access.has_tokens));
  TRY(table.duration("token_lifetime", config.access.token_lifetime));
  return table.text("service", config.access.service);
}

Result<void> read_gc(Table& table, Config& config) {
  TRY(table.duration("every", config.gc_every));
  TRY(table.duration("grace", config.gc.grace));
  return table.truth("untagged", config.gc.takes_untagged);
}

Result<void> read_s3(Table& table, Config& config) {
  TRY(table.text("endpoint", config.s3.endpoint));
  TRY(table.text("bucket", config.s3.bucket));
  TRY(table.text("prefix", config.s3.prefix));
  TRY(table.text("region", config.s3.region));
  TRY(table.text("access_key", config.s3.access_key));
  std::string secret;
  TRY(table.text("secret_key", secret));
  config.s3.secret_key = http::Secret(std::move(secret));
  return {};
}

Result<void> read_upstream(Table& table, Config& config) {
  TRY(table.text("url", config.upstream.url));
  std::string user, password;
  TRY(table.text("user", user));
  TRY(table.text("password", password));
  if (!user.empty()) config.upstream.user_and_password = http::Secret(user + ":" + password);
  return table.duration("refresh", config.upstream.refresh);
}

Result<void> read_access(Table& table, Config& config) {
  Rule rule;
  TRY(table.texts("users", rule.users));
  TRY(table.texts("repositories", rule.repositories));
  TRY(table.rights("rights", rule.rights));
  config.access.rules.push_back(std::move(rule));
  return {};
}

Result<void> read_quota(Table& table, Config& config) {
  Quota quota{.repositories = "**", .bytes = 0};
  TRY(table.text("repositories", quota.repositories));
  TRY(table.size("bytes", quota.bytes));
  config.quotas.push_back(std::move(quota));
  return {};
}

Result<void> read_retention(Table& table, Config& config) {
  Retention rule{.repositories = "**", .tags = {"*"}, .keep_last = {}, .keep_for = {}};
  TRY(table.text("repositories", rule.repositories));
  TRY(table.texts("tags", rule.tags));
  uint64_t last = 0;
  TRY(table.size("keep_last", last));
  if (table.has("keep_last")) rule.keep_last = static_cast<size_t>(last);
  std::chrono::seconds keep_for{0};
  TRY(table.duration("keep_for", keep_for));
  if (table.has("keep_for")) rule.keep_for = keep_for;
  config.retention.push_back(std::move(rule));
  return {};
}

struct Section {
  const char* name;
  Reader read;
  bool is_list;  // [[name]]
};
constexpr std::array kSections{Section{"server", read_server, false}, Section{"tls", read_tls, false},
                               Section{"limits", read_limits, false}, Section{"auth", read_auth, false},
                               Section{"gc", read_gc, false},         Section{"s3", read_s3, false},
                               Section{"upstream", read_upstream, false}, Section{"access", read_access, true},
                               Section{"quota", read_quota, true},    Section{"retention", read_retention, true}};

Result<void> read_table(const Section& section, const toml::node& node, const std::string& where, Config& config) {
  const toml::table* table = node.as_table();
  if (table == nullptr)
    return Error(Code::invalid, "{}: line {}: write {}{}{}", where, node.source().begin.line, section.is_list ? "[[" : "[",
                 section.name, section.is_list ? "]]" : "]");
  Table reader(*table, section.name, where);
  TRY(section.read(reader, config));
  return reader.finish();
}

Result<void> read_section(const toml::table& file, const Section& section, const std::string& where, Config& config) {
  const toml::node* node = file.get(section.name);
  if (node == nullptr) return {};
  const toml::array* list = node->as_array();
  if (!section.is_list || list == nullptr) return read_table(section, *node, where, config);
  for (const toml::node& one : *list) TRY(read_table(section, one, where, config));
  return {};
}

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) {
  text = trim(text);
  const size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, end));
  if (!number) return std::nullopt;
  constexpr std::array<std::pair<std::string_view, uint64_t>, 11> kUnits{{{"", 1}, {"B", 1}, {"kB", 1000}, {"KB", 1000}, {"MB", 1000'000},
      {"GB", 1000'000'000}, {"TB", 1000'000'000'000}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}, {"TiB", 1ull << 40}}};
  const std::string_view unit = trim(text.substr(end));
  for (const auto& [name, factor] : kUnits)
    if (unit == name) return *number > UINT64_MAX / factor ? std::nullopt : std::optional(*number * factor);
  return std::nullopt;
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  text = trim(text);
  const size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, end));
  if (!number || *number > 1'000'000'000) return std::nullopt;
  const std::string_view unit = text.substr(end);
  int64_t factor = 0;
  if (unit == "s" || unit.empty()) factor = 1;
  if (unit == "m") factor = 60;
  if (unit == "h") factor = 3600;
  if (unit == "d") factor = 86400;
  if (factor == 0) return std::nullopt;
  return std::chrono::seconds(static_cast<int64_t>(*number) * factor);
}

Result<Config> parse_config(std::string_view text, const std::string& where) {
  toml::table file;
  try {
    file = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Error(Code::invalid, "{}: line {}: {}", where, error.source().begin.line, printable(error.description()));
  }
  Config config;
  std::vector<std::string> names;
  for (const Section& section : kSections) {
    names.emplace_back(section.name);
    TRY(read_section(file, section, where, config));
  }
  for (const auto& [key, value] : file) {
    const std::string name(key.str());
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    Error error(Code::invalid, "{}: line {}: there is no section [{}]", where, value.source().begin.line, printable(name));
    if (const auto near = nearest(name, names)) return std::move(error).hint(fmt::format("did you mean `[{}]`?", *near));
    return error;
  }
  if (config.tls && (config.tls->certificate.empty() || config.tls->key.empty()))
    return Error(Code::invalid, "{}: [tls] needs 'certificate' and 'key'", where);
  for (const Rule& rule : config.access.rules)
    if (rule.users.empty() || rule.repositories.empty() || rule.rights.empty())
      return Error(Code::invalid, "{}: [[access]] needs 'users', 'repositories' and 'rights'", where);
  return config;
}

}  // namespace kist::registry_server
