#include "registry_server/config.h"

#include <array>

#include "base/text.h"
#include "registry_server/names.h"
#include "toml/toml.h"

namespace kist::registry_server {
namespace {

// One table of the file, in the words of a server's configuration.
class Table {
 public:
  explicit Table(toml::Fields fields) : fields_(std::move(fields)) {}

  Result<void> text(const char* key, std::string& into) {
    if (!fields_.has(key)) return {};
    into = TRY(fields_.string(key));
    return {};
  }
  Result<void> truth(const char* key, bool& into) {
    const auto value = TRY(fields_.optional_boolean(key));
    into = value.value_or(into);
    return {};
  }
  Result<void> size(const char* key, uint64_t& into) { return by_text(key, "a size such as \"10 GB\"", parse_size, into); }
  Result<void> duration(const char* key, std::chrono::seconds& into) {
    return by_text(key, "a duration such as \"30d\" or \"5m\"", parse_duration, into);
  }
  Result<void> texts(const char* key, std::vector<std::string>& into) {
    const toml::Value* value = fields_.optional_value(key);
    if (value == nullptr) return {};
    if (const auto* one = value->as<std::string>()) {
      into = {*one};
      return {};
    }
    into = TRY(fields_.optional_strings(key));
    return {};
  }
  Result<void> rights(const char* key, std::vector<Right>& into) {
    std::vector<std::string> words;
    TRY(texts(key, words));
    for (const std::string& word : words) {
      if (word == "read") into.push_back(Right::read);
      else if (word == "write") into.push_back(Right::write);
      else if (word == "delete") into.push_back(Right::remove);
      else return fields_.error(key, "'{}' is not a right", printable(word)).hint("`rights = [\"read\", \"write\", \"delete\"]`");
    }
    return {};
  }
  Result<void> number(const char* key, double& into) {
    const toml::Value* value = fields_.optional_value(key);
    if (value == nullptr) return {};
    const auto* exact = value->as<double>();
    const auto* whole = value->as<int64_t>();
    if ((exact == nullptr && whole == nullptr) || (exact != nullptr ? *exact < 0 : *whole < 0)) return wrong(key, "a number of 0 or more");
    into = exact != nullptr ? *exact : static_cast<double>(*whole);
    return {};
  }
  bool has(const char* key) const { return fields_.has(key); }
  Result<void> finish() const { return fields_.no_others(); }

 private:
  Error wrong(const char* key, std::string_view wanted) const {
    return fields_.error(key, "'{}' is not {}", fields_.name(key), wanted);
  }
  template <class T, class Parse>
  Result<void> by_text(const char* key, std::string_view wanted, Parse parse, T& into) {
    const toml::Value* given = fields_.optional_value(key);
    if (given == nullptr) return {};
    const auto* text = given->as<std::string>();
    const auto* number = given->as<int64_t>();
    const auto value = parse(text != nullptr ? *text : number != nullptr ? std::to_string(*number) : std::string());
    if (!value) return wrong(key, wanted);
    into = static_cast<T>(*value);
    return {};
  }

  toml::Fields fields_;
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

Result<void> read_token_server(Table& table, Config& config) {
  TokenServer& server = config.access.token_server.emplace();
  TRY(table.text("realm", server.realm));
  TRY(table.text("service", server.service));
  TRY(table.text("issuer", server.issuer));
  TRY(table.text("audience", server.audience));
  TRY(table.text("certificates", server.certificates));
  return table.text("jwks", server.jwks);
}

Result<void> check_token_server(const AccessOptions& access, const std::string& where) {
  if (!access.token_server) return {};
  const TokenServer& server = *access.token_server;
  if (server.realm.empty() || server.service.empty() || server.issuer.empty())
    return Error(Code::invalid, "{}: [token_server] needs 'realm', 'service' and 'issuer'", where);
  for (const std::string* text : {&server.realm, &server.service})
    if (text->find_first_of("\"\\\r\n") != std::string::npos)
      return Error(Code::invalid, "{}: [token_server] has a quote or a line's end in '{}'", where, printable(*text));
  if (server.certificates.empty() && server.jwks.empty())
    return Error(Code::invalid, "{}: [token_server] needs 'certificates' or 'jwks', to know its tokens by", where);
  if (!access.htpasswd.empty() || access.has_tokens)
    return Error(Code::invalid, "{}: [token_server] is instead of 'htpasswd' and 'tokens' under [auth]", where);
  return {};
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
  TRY(table.size("part", config.s3.part_bytes));
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
                               Section{"token_server", read_token_server, false}, Section{"gc", read_gc, false},         Section{"s3", read_s3, false},
                               Section{"upstream", read_upstream, false}, Section{"access", read_access, true},
                               Section{"quota", read_quota, true},    Section{"retention", read_retention, true}};

Result<void> read_section(toml::Fields& file, const Section& section, Config& config) {
  std::vector<toml::Fields> tables;
  if (section.is_list) {
    tables = TRY(file.optional_tables(section.name));
  } else {
    auto one = TRY(file.optional_table(section.name));
    if (one) tables.push_back(std::move(*one));
  }
  for (toml::Fields& fields : tables) {
    Table table(std::move(fields));
    TRY(section.read(table, config));
    TRY(table.finish());
  }
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
  constexpr toml::Limits kLimits = {.bytes = 1u << 20, .depth = 8, .values = 100'000};
  const toml::Value root = TRY(toml::parse(text, where, kLimits));
  toml::Fields file = TRY(toml::Fields::of(root, where));
  Config config;
  for (const Section& section : kSections) TRY(read_section(file, section, config));
  TRY(file.no_others());
  if (config.tls && (config.tls->certificate.empty() || config.tls->key.empty()))
    return Error(Code::invalid, "{}: [tls] needs 'certificate' and 'key'", where);
  TRY(check_token_server(config.access, where));
  for (const Rule& rule : config.access.rules)
    if (rule.users.empty() || rule.repositories.empty() || rule.rights.empty())
      return Error(Code::invalid, "{}: [[access]] needs 'users', 'repositories' and 'rights'", where);
  return config;
}

}  // namespace kist::registry_server
