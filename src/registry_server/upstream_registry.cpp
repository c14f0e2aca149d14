#include "registry_server/upstream_registry.h"

#include <boost/json.hpp>

#include "base/text.h"
#include "http_server/request_text.h"

namespace kist::registry_server {
namespace {

constexpr uint64_t kMaxManifest = 16u << 20;
constexpr std::chrono::seconds kTokenLife{50};
constexpr size_t kMaxRemembered = 100'000;
constexpr const char* kAccept =
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*";

Error refused(const WebAnswer& answer, const std::string& url) {
  const Code code = answer.status == 401 || answer.status == 403 ? Code::denied : Code::unavailable;
  return {code, "the upstream registry answers {} to '{}'", answer.status, http::redact(url)};
}

UpstreamConfig without_slashes(UpstreamConfig config) {
  while (config.url.ends_with('/')) config.url.pop_back();
  return config;
}

}  // namespace

std::map<std::string, std::string> challenge_fields(std::string_view header) {
  std::map<std::string, std::string> fields;
  header = trim(header);
  if (to_lower(header.substr(0, 7)) != "bearer ") return fields;
  header.remove_prefix(7);
  while (!header.empty()) {
    const size_t equals = header.find('=');
    if (equals == std::string_view::npos) break;
    const std::string name = to_lower(trim(header.substr(0, equals)));
    header = trim(header.substr(equals + 1));
    size_t end;
    if (header.starts_with('"')) {
      end = header.find('"', 1);
      if (end == std::string_view::npos) break;
      fields[name] = std::string(header.substr(1, end - 1));
      end = header.find(',', end);
    } else {
      end = header.find(',');
      fields[name] = std::string(trim(header.substr(0, end)));
    }
    header = end == std::string_view::npos ? std::string_view() : trim(header.substr(end + 1));
  }
  return fields;
}

UpstreamRegistry::UpstreamRegistry(UpstreamConfig config, const http::Config& network, Catalog& catalog, Uploads& uploads, uint64_t blob_bytes)
    : config_(without_slashes(std::move(config))), catalog_(catalog), uploads_(uploads), web_(network),
      blobs_({.url = config_.url, .limit_bytes = blob_bytes},
             [this](const std::string& repository, WebRequest request) { return ask(repository, std::move(request)); }, catalog, uploads) {}

http::Secret UpstreamRegistry::known_token(const std::string& repository) {
  const std::scoped_lock lock(mutex_);
  const auto at = tokens_.find(repository);
  return at == tokens_.end() || at->second.until < Clock::now() ? http::Secret() : at->second.text;
}

Result<http::Secret> UpstreamRegistry::new_token(const std::string& repository, const std::string& challenge) {
  const auto fields = challenge_fields(challenge);
  const auto realm = fields.find("realm");
  if (realm == fields.end()) return Error(Code::denied, "the upstream registry wants a login that is not known here");
  WebRequest request;
  request.is_cancelled = &is_stopping_;
  const auto service = fields.find("service");
  request.url = fmt::format("{}?scope={}", realm->second, http_server::encode_percent(fmt::format("repository:{}:pull", repository)));
  if (service != fields.end()) request.url += "&service=" + http_server::encode_percent(service->second);
  // The password goes to the registry itself, and by TLS to a server that it names; never in the clear elsewhere.
  if (realm->second.starts_with("https://") || http::origin_of(realm->second) == http::origin_of(config_.url))
    request.user_and_password = config_.user_and_password;
  const WebAnswer answer = TRY(web_.ask(request));
  if (answer.status != 200) return refused(answer, request.url);
  boost::system::error_code error;
  const auto value = boost::json::parse(answer.body, error);
  if (error || !value.is_object()) return Error(Code::corrupt, "the upstream registry's token is not JSON");
  for (const char* key : {"token", "access_token"})
    if (const auto* text = value.get_object().if_contains(key); text != nullptr && text->is_string()) {
      http::Secret token(std::string(text->get_string().data(), text->get_string().size()));
      const std::scoped_lock lock(mutex_);
      if (tokens_.size() > kMaxRemembered) tokens_.clear();
      tokens_[repository] = {token, Clock::now() + kTokenLife};
      return token;
    }
  return Error(Code::corrupt, "the upstream registry's answer has no token");
}

void UpstreamRegistry::stop() {
  is_stopping_ = true;
  blobs_.stop();
}

Result<WebAnswer> UpstreamRegistry::ask(const std::string& repository, WebRequest request) {
  request.is_cancelled = &is_stopping_;
  request.bearer = known_token(repository);
  WebAnswer answer = TRY(web_.ask(request));
  if (answer.status != 401) return answer;
  const std::string challenge = answer.header("www-authenticate");
  if (to_lower(challenge).starts_with("basic")) {
    request.bearer = {};
    request.user_and_password = config_.user_and_password;
  } else {
    request.bearer = TRY(new_token(repository, challenge));
  }
  return web_.ask(request);
}

Result<bool> UpstreamRegistry::once(const std::string& what, const std::function<Result<bool>()>& work) {
  {
    std::unique_lock lock(mutex_);
    if (!busy_.insert(what).second) {
      wake_.wait(lock, [&] { return busy_.count(what) == 0; });
      return true;  // It is here now, or the caller will see that it is not.
    }
  }
  auto done = work();
  {
    const std::scoped_lock lock(mutex_);
    busy_.erase(what);
  }
  wake_.notify_all();
  return done;
}

Result<std::optional<ContentDigest>> UpstreamRegistry::refresh_tag(const std::string& repository, const std::string& tag) {
  auto here = TRY(catalog_.tag(repository, tag));
  const std::string key = repository + ":" + tag;
  {
    const std::scoped_lock lock(mutex_);
    const auto at = believed_.find(key);
    if (here && at != believed_.end() && at->second > Clock::now()) return here;
  }
  WebRequest request;
  request.method = "HEAD";
  request.url = fmt::format("{}/v2/{}/manifests/{}", config_.url, repository, tag);
  request.headers.emplace_back(kAccept);
  const WebAnswer answer = TRY(ask(repository, request));
  if (answer.status == 404) return std::nullopt;
  if (answer.status != 200) return refused(answer, request.url);
  auto there = ContentDigest::parse(answer.header("docker-content-digest"));
  if (!there) return Error(Code::corrupt, "the upstream registry names no digest for '{}'", key);
  if (here != *there) {
    const bool is_fetched = TRY(fetch_manifest(repository, *there));
    if (!is_fetched) return std::nullopt;
    TRY(catalog_.set_tag(repository, tag, *there));
  }
  const std::scoped_lock lock(mutex_);
  if (believed_.size() > kMaxRemembered) believed_.clear();
  believed_[key] = Clock::now() + config_.refresh;
  return std::optional(std::move(*there));
}

Result<bool> UpstreamRegistry::fetch_manifest(const std::string& repository, const ContentDigest& digest) {
  return once(fmt::format("{}@{}", repository, digest.string()), [&] { return fetch_manifest_alone(repository, digest); });
}

Result<std::optional<BlobSource>> UpstreamRegistry::open_blob(const std::string& repository, const ContentDigest& digest) {
  return blobs_.open(repository, digest);
}

Result<std::optional<uint64_t>> UpstreamRegistry::blob_size(const std::string& repository, const ContentDigest& digest) {
  if (const auto known = blobs_.size_of(repository, digest)) return known;
  WebRequest request;
  request.method = "HEAD";
  request.url = fmt::format("{}/v2/{}/blobs/{}", config_.url, repository, digest.string());
  const WebAnswer answer = TRY(ask(repository, request));
  if (answer.status == 404) return std::nullopt;
  if (answer.status != 200) return refused(answer, request.url);
  if (const auto size_bytes = parse_number(answer.header("content-length"))) return size_bytes;
  // It does not say: it is seen when it comes.
  const auto source = TRY(blobs_.open(repository, digest));
  return source ? std::optional(source->size_bytes) : std::nullopt;
}

Result<bool> UpstreamRegistry::fetch_manifest_alone(const std::string& repository, const ContentDigest& digest) {
  const auto link = TRY(catalog_.manifest(repository, digest));
  if (link) return true;
  WebRequest request;
  request.url = fmt::format("{}/v2/{}/manifests/{}", config_.url, repository, digest.string());
  request.headers.emplace_back(kAccept);
  request.limit_bytes = kMaxManifest;
  const WebAnswer answer = TRY(ask(repository, request));
  if (answer.status == 404) return false;
  if (answer.status != 200) return refused(answer, request.url);
  const std::string type(trim(std::string_view(answer.header("content-type")).substr(0, answer.header("content-type").find(';'))));
  const ManifestFacts facts = TRY(parse_manifest_facts(answer.body, type), "a manifest of the upstream registry");
  auto upload = TRY(uploads_.begin(repository, digest.algorithm()));
  const std::string id = upload->id();
  auto appended = upload->append(answer.body);
  auto staged = appended ? upload->finish(digest) : Result<StagedFile>(std::move(appended).error());
  uploads_.forget(id);
  if (!staged) return std::move(staged).error();
  const auto together = TRY(catalog_.need());
  TRY(catalog_.storage().put_blob(digest, std::move(*staged)));
  const ManifestLink fresh{.media_type = type.empty() ? facts.media_type : type, .size_bytes = answer.body.size(), .subject = facts.subject};
  TRY(catalog_.link_manifest(repository, digest, fresh, facts));
  return true;
}

}  // namespace kist::registry_server
