#include "registry/address.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "os/files.h"
#include "toml/toml.h"

namespace kist::registry {
namespace {


constexpr uint64_t kMostFileBytes = 4u << 20;

bool is_number_host(std::string_view host) {
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// "host" of "host:port" and "[::1]:port".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, std::min(host.find(']') + 1, host.size()));
  return host.substr(0, host.find(':'));
}

// "*.example.com" fits all hosts below it; else the name itself, or what lies below it.
bool fits(std::string_view prefix, std::string_view name) {
  if (prefix.starts_with("*.")) {
    const std::string_view host = without_port(name.substr(0, name.find('/')));
    return host.ends_with(prefix.substr(1));
  }
  if (!name.starts_with(prefix)) return false;
  return name.size() == prefix.size() || std::string_view("/:@").find(name[prefix.size()]) != std::string_view::npos;
}

Result<void> add_entry(toml::Fields& fields, RegistriesConf& conf) {
  RegistriesConf::Entry entry;
  entry.prefix = TRY(fields.optional_string("prefix"));
  entry.location = TRY(fields.optional_string("location"));
  const auto insecure = TRY(fields.optional_boolean("insecure"));
  const auto blocked = TRY(fields.optional_boolean("blocked"));
  const auto mirror_by_digest_only = TRY(fields.optional_boolean("mirror-by-digest-only"));
  entry.insecure = insecure.value_or(false);
  entry.blocked = blocked.value_or(false);
  if (entry.prefix.empty()) entry.prefix = entry.location;
  if (entry.prefix.empty()) return fields.error("location", "a [[registry]] needs a location or a prefix");
  auto mirrors = TRY(fields.optional_tables("mirror"));
  for (toml::Fields& mirror : mirrors) {
    RegistriesConf::Mirror one;
    one.location = TRY(mirror.string("location"));
    const auto open = TRY(mirror.optional_boolean("insecure"));
    one.insecure = open.value_or(false);
    const std::string when = TRY(mirror.optional_string("pull-from-mirror"));
    // What a mirror says of a tag is not believed then; for names by tag it is left out.
    if (when != "digest-only" && !mirror_by_digest_only.value_or(false)) entry.mirrors.push_back(std::move(one));
  }
  std::erase_if(conf.entries, [&](const RegistriesConf::Entry& old) { return old.prefix == entry.prefix; });
  conf.entries.push_back(std::move(entry));
  return {};
}

std::vector<std::string> conf_files(const Host& host) {
  const std::string named = host.variable("CONTAINERS_REGISTRIES_CONF");
  if (!named.empty()) return {named};
  const std::string config = host.variable("XDG_CONFIG_HOME");
  const std::string own = os::join(config.empty() ? os::join(host.home, ".config") : config, "containers");
  std::vector<std::string> out;
  // The person's file stands instead of the host's; the parts of both count.
  const std::string person = os::join(own, "registries.conf");
  if (os::exists(person)) out.push_back(person);
  else for (const char* path : {"/etc/containers/registries.conf", "/usr/share/containers/registries.conf"})
    if (os::exists(path)) {
      out.emplace_back(path);
      break;
    }
  for (const std::string& folder : {std::string("/etc/containers/registries.conf.d"), os::join(own, "registries.conf.d")}) {
    const auto names = os::list_folder(folder);
    for (const std::string& name : names ? *names : std::vector<std::string>())
      if (name.ends_with(".conf")) out.push_back(os::join(folder, name));
  }
  return out;
}

// "insecure-registries" of docker's daemon, which its users have already. Networks (CIDR) are left out.
bool is_insecure_for_docker(std::string_view host) {
  const auto text = os::read_file("/etc/docker/daemon.json", kMostFileBytes);
  if (!text) return false;
  boost::system::error_code failed;
  const auto value = boost::json::parse(*text, failed);
  if (failed || !value.is_object()) return false;
  const auto* list = value.get_object().if_contains("insecure-registries");
  if (list == nullptr || !list->is_array()) return false;
  return std::any_of(list->get_array().begin(), list->get_array().end(), [&](const boost::json::value& one) {
    return one.is_string() && std::string_view(one.get_string()) == host;
  });
}

http::TlsFiles tls_files(const Host& host, const std::string& registry) {
  http::TlsFiles out;
  const std::string config = host.variable("XDG_CONFIG_HOME");
  const std::string folders[] = {os::join(config.empty() ? os::join(host.home, ".config") : config, "containers/certs.d"),
                                 os::join(host.home, ".docker/certs.d"), "/etc/containers/certs.d", "/etc/docker/certs.d"};
  for (const std::string& above : folders) {
    const std::string folder = os::join(above, registry);
    const auto names = os::list_folder(folder);
    if (!names) continue;
    for (const std::string& name : *names) {
      const std::string path = os::join(folder, name);
      if (name.ends_with(".crt")) out.authorities.push_back(path);
      if (name.ends_with(".cert") && out.certificate.empty()) {
        const std::string key = path.substr(0, path.size() - 4) + "key";
        if (!os::exists(key)) continue;
        out.certificate = path;
        out.key = key;
      }
    }
    if (!out.authorities.empty() || !out.certificate.empty()) return out;
  }
  return out;
}

// "registry.example:5000/team/tool" as its two parts.
std::pair<std::string, std::string> parts_of(const std::string& location) {
  const size_t slash = std::min(location.find('/'), location.size());
  return {location.substr(0, slash), slash < location.size() ? location.substr(slash + 1) : ""};
}

Address address_at(const std::string& location, bool insecure, const Host& host) {
  Address out;
  std::tie(out.host, out.repository) = parts_of(location);
  out.registry = out.host;
  out.is_unverified = insecure || host.insecure || is_loopback(out.host) || is_insecure_for_docker(out.host);
  out.may_be_plain = out.is_unverified;
  out.tls = tls_files(host, out.host);
  // Who put a certificate there wants it to be checked.
  if (!out.tls.authorities.empty() && !insecure && !host.insecure) out.is_unverified = false;
  if (out.is_unverified) out.tls.authorities.clear();
  return out;
}

Result<std::string> full_name(const oci::Reference& reference, const Host& host, const RegistriesConf& conf) {
  if (!reference.registry.empty()) return reference.registry + "/" + reference.repository;
  const auto alias = conf.aliases.find(reference.repository);
  if (alias != conf.aliases.end()) return alias->second;
  const std::string registry = default_registry(host, conf);
  if (!registry.empty()) return registry + "/" + reference.repository;
  return Error(Code::invalid, "the name '{}' says no registry, and none is configured",
               printable(reference.string()))
      .hint(fmt::format("write REGISTRY/{}, or `unqualified-search-registries = [\"REGISTRY\"]` into "
                        "~/.config/containers/registries.conf", printable(reference.string())));
}

}  // namespace

std::string Host::variable(const std::string& name) const {
  const auto found = variables.find(name);
  return found == variables.end() ? "" : found->second;
}

bool is_loopback(std::string_view host) {
  const std::string_view bare = without_port(host);
  return bare == "localhost" || bare.ends_with(".localhost") || bare == "[::1]" ||
         (bare.starts_with("127.") && is_number_host(bare));
}

const RegistriesConf::Entry* RegistriesConf::find(std::string_view name) const {
  const Entry* best = nullptr;
  for (const Entry& entry : entries)
    if (fits(entry.prefix, name) && (best == nullptr || entry.prefix.size() > best->prefix.size())) best = &entry;
  return best;
}

Result<void> add_registries_conf(std::string_view text, const std::string& path, RegistriesConf& conf) {
  const toml::Value root = TRY(toml::parse(text, path, {.bytes = kMostFileBytes, .depth = 16, .values = 100'000}));
  toml::Fields fields = TRY(toml::Fields::of(root, path));
  auto search = TRY(fields.optional_strings("unqualified-search-registries"));
  if (!search.empty()) conf.search = std::move(search);
  auto aliases = TRY(fields.optional_string_table("aliases"));
  for (auto& [name, target] : aliases) conf.aliases[name] = std::move(target);
  auto entries = TRY(fields.optional_tables("registry"));
  for (toml::Fields& entry : entries) TRY(add_entry(entry, conf));
  return {};
}

Result<RegistriesConf> read_registries_conf(const Host& host) {
  RegistriesConf conf;
  for (const std::string& path : conf_files(host)) {
    const auto text = os::read_file(path, kMostFileBytes);
    // Somebody else's file that we may not read says nothing to us.
    if (!text && text.error().code() == Code::denied) continue;
    if (!text) return Error(text.error()).context("reading where registries are");
    TRY(add_registries_conf(*text, path, conf));
  }
  return conf;
}

std::string default_registry(const Host& host, const RegistriesConf& conf) {
  return conf.search.empty() ? host.default_registry : conf.search.front();
}

Result<std::vector<Address>> addresses_of(const oci::Reference& reference, const Host& host,
                                          const RegistriesConf& conf, bool for_push) {
  const std::string name = TRY(full_name(reference, host, conf));
  const RegistriesConf::Entry* entry = conf.find(name);
  std::vector<Address> out;
  if (entry == nullptr) {
    out.push_back(address_at(name, false, host));
    return out;
  }
  if (entry->blocked)
    return Error(Code::denied, "the registry of '{}' is blocked in registries.conf", printable(name));
  const bool wildcard = entry->prefix.starts_with("*.");
  const std::string rest = wildcard ? "" : name.substr(entry->prefix.size());
  const std::string location = wildcard || entry->location.empty() ? name : entry->location + rest;
  for (const RegistriesConf::Mirror& mirror : entry->mirrors) {
    if (for_push) break;
    out.push_back(address_at(wildcard ? mirror.location : mirror.location + rest, mirror.insecure, host));
    out.back().is_mirror = true;
  }
  out.push_back(address_at(location, entry->insecure, host));
  // Credentials are kept under the name that people use.
  out.back().registry = parts_of(name).first;
  return out;
}

}  // namespace kist::registry
