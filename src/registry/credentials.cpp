#include "registry/credentials.h"

#include <sys/stat.h>

#include <boost/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "os/child.h"
#include "os/files.h"

namespace kist::registry {
namespace {

namespace json = boost::json;

constexpr uint64_t kMostFileBytes = 16u << 20;
constexpr std::string_view kTokenUser = "<token>";  // Docker's sign for an identity token.

std::string docker_file(const Host& host) {
  const std::string folder = host.variable("DOCKER_CONFIG");
  return os::join(folder.empty() ? os::join(host.home, ".docker") : folder, "config.json");
}

std::vector<std::string> files_of(const Host& host) {
  if (const std::string named = host.variable("REGISTRY_AUTH_FILE"); !named.empty()) return {named};
  std::vector<std::string> out;
  if (const std::string runtime = host.variable("XDG_RUNTIME_DIR"); !runtime.empty())
    out.push_back(os::join(runtime, "containers/auth.json"));
  const std::string config = host.variable("XDG_CONFIG_HOME");
  out.push_back(os::join(config.empty() ? os::join(host.home, ".config") : config, "containers/auth.json"));
  out.push_back(docker_file(host));
  return out;
}

std::string file_to_write(const Host& host) {
  const std::string named = host.variable("REGISTRY_AUTH_FILE");
  return named.empty() ? docker_file(host) : named;
}

Result<json::object> read_json(const std::string& path) {
  const auto text = os::read_file(path, kMostFileBytes);
  if (!text && text.error().code() == Code::not_found) return json::object();
  if (!text) return Error(text.error()).context("reading the credentials of registries");
  if (trim(*text).empty()) return json::object();
  boost::system::error_code failed;
  json::value value = json::parse(*text, failed);
  if (failed || !value.is_object())
    return Error(Code::corrupt, "'{}' is not a JSON object", printable(path))
        .hint("`kist login` writes a new one when it is moved away");
  return std::move(value.get_object());
}

// What a key of docker's or podman's stands for: docker once wrote whole URLs.
std::string_view bare_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) {
      key.remove_prefix(scheme.size());
      return key.substr(0, key.find('/'));
    }
  return key;
}

std::string text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  return value != nullptr && value->is_string() ? std::string(std::string_view(value->get_string())) : "";
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

Result<std::string> call_helper(const Host& host, const std::string& helper, const char* verb, const std::string& input) {
  if (helper.empty() || helper.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
                            std::string::npos)
    return Error(Code::invalid, "'{}' is no name of a credential helper", printable(helper));
  os::Command command;
  command.args = {"docker-credential-" + helper, verb};
  for (const auto& [name, value] : host.variables) command.env.push_back(name + "=" + value);
  command.input = input;
  command.output_limit = 1 << 20;
  const os::Output done = TRY(os::run(command), "the credential helper '{}'", helper);
  if (done.status == 0) return done.out;
  const std::string said = done.out + done.err;
  if (said.find("credentials not found") != std::string::npos) return std::string();
  return Error(Code::unavailable, "docker-credential-{} {}: {}", helper, verb, printable(trim(said)));
}

Result<std::optional<Credentials>> from_helper(const Host& host, const std::string& helper, std::string_view registry) {
  const std::string text = TRY(call_helper(host, helper, "get", std::string(registry)));
  if (trim(text).empty()) return std::optional<Credentials>();
  boost::system::error_code failed;
  const json::value value = json::parse(text, failed);
  if (failed || !value.is_object())
    return Error(Code::corrupt, "docker-credential-{} answered something that is not JSON", helper);
  Credentials out;
  out.user = text_at(value.get_object(), "Username");
  http::Secret secret(text_at(value.get_object(), "Secret"));
  if (secret.empty()) return std::optional<Credentials>();
  (out.user == kTokenUser ? out.identity_token : out.password) = std::move(secret);
  return std::optional<Credentials>(std::move(out));
}

// Some helpers of old pad with it.
std::string trim_nul(std::string text) {
  while (text.ends_with('\0')) text.pop_back();
  return text;
}

std::optional<Credentials> of_entry(const json::object& entry) {
  Credentials out;
  out.identity_token = http::Secret(text_at(entry, "identitytoken"));
  out.user = text_at(entry, "username");
  out.password = http::Secret(text_at(entry, "password"));
  if (const auto both = decode_base64(text_at(entry, "auth")); both && !both->empty()) {
    const size_t colon = both->find(':');
    out.user = both->substr(0, colon);
    if (colon != std::string::npos) out.password = http::Secret(trim_nul(both->substr(colon + 1)));
  }
  if (out.password.empty() && out.identity_token.empty()) return std::nullopt;
  return out;
}

Result<std::optional<Credentials>> in_file(const Host& host, const std::string& path, std::string_view registry,
                                           std::string_view repository) {
  const json::object root = TRY(read_json(path));
  if (const json::object* helpers = object_at(root, "credHelpers"))
    if (const std::string helper = text_at(*helpers, registry); !helper.empty()) return from_helper(host, helper, registry);
  const std::string name = fmt::format("{}/{}", registry, repository);
  const json::object* best = nullptr;
  size_t length = 0;
  if (const json::object* all = object_at(root, "auths"))
    for (const auto& [key, value] : *all) {
      const std::string_view bare = bare_key(key);
      const bool fits = name.starts_with(bare) && (name.size() == bare.size() || name[bare.size()] == '/');
      if (!fits || !value.is_object() || bare.size() < length) continue;
      best = &value.get_object();
      length = bare.size();
    }
  if (best != nullptr)
    if (auto found = of_entry(*best)) return found;
  const std::string store = text_at(root, "credsStore");
  // Docker puts an empty entry for what its helper keeps; podman has no credsStore.
  if (!store.empty()) return from_helper(host, store, registry);
  return std::optional<Credentials>();
}

Result<void> write_json(const std::string& path, const json::object& root) {
  TRY(os::make_folders(os::parent_of(path), 0700));
  return os::write_file_durably(path, json::serialize(root) + "\n", 0600);
}

std::string helper_for(const json::object& root, std::string_view registry) {
  if (const json::object* helpers = object_at(root, "credHelpers"))
    if (std::string helper = text_at(*helpers, registry); !helper.empty()) return helper;
  return text_at(root, "credsStore");
}

}  // namespace

Result<std::optional<Credentials>> find_credentials(const Host& host, std::string_view registry,
                                                    std::string_view repository) {
  for (const std::string& path : files_of(host)) {
    auto found = TRY(in_file(host, path, registry, repository));
    if (found) return found;
  }
  return std::optional<Credentials>();
}

Result<std::string> store_credentials(const Host& host, const std::string& registry, const Credentials& credentials) {
  const std::string path = file_to_write(host);
  json::object root = TRY(read_json(path));
  const std::string helper = helper_for(root, registry);
  if (!helper.empty()) {
    const json::object told = {{"ServerURL", registry},
                               {"Username", credentials.user},
                               {"Secret", credentials.password.reveal()}};
    TRY(call_helper(host, helper, "store", json::serialize(told)));
    return "docker-credential-" + helper;
  }
  if (!root["auths"].is_object()) root["auths"] = json::object();
  root["auths"].get_object()[registry] =
      json::object{{"auth", encode_base64(credentials.user + ":" + credentials.password.reveal())}};
  TRY(write_json(path, root));
  return path;
}

Result<bool> erase_credentials(const Host& host, const std::string& registry) {
  const std::string path = file_to_write(host);
  json::object root = TRY(read_json(path));
  const std::string helper = helper_for(root, registry);
  if (!helper.empty()) {
    const auto known = TRY(from_helper(host, helper, registry));
    if (known) TRY(call_helper(host, helper, "erase", registry));
    return known.has_value();
  }
  if (!root["auths"].is_object()) return false;
  json::object& all = root["auths"].get_object();
  std::vector<std::string> keys;
  for (const auto& [key, value] : all)
    if (bare_key(key) == registry) keys.emplace_back(key);
  for (const std::string& key : keys) all.erase(key);
  if (!keys.empty()) TRY(write_json(path, root));
  return !keys.empty();
}

Result<size_t> erase_all_credentials(const Host& host) {
  const std::string path = file_to_write(host);
  json::object root = TRY(read_json(path));
  const json::object* all = object_at(root, "auths");
  const size_t count = all == nullptr ? 0 : all->size();
  if (count == 0) return size_t{0};
  root["auths"] = json::object();
  TRY(write_json(path, root));
  return count;
}

Result<std::string> where_known(const Host& host, std::string_view registry) {
  for (const std::string& path : files_of(host)) {
    const auto found = TRY(in_file(host, path, registry, ""));
    if (found) return path;
  }
  return std::string();
}

}  // namespace kist::registry
