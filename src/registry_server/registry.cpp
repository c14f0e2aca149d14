#include "registry_server/registry.h"

#include <ctime>

#include "base/text.h"
#include "registry_server/json_text.h"
#include "registry_server/names.h"

namespace kist::registry_server {
namespace {

using http_server::Later;
using http_server::Outcome;
using http_server::Request;
using Kind = Route::Kind;

constexpr uint64_t kDocumentCacheBytes = 8u << 20;

std::optional<Right> right_of(const Call& call) {
  const std::string_view method = call.request->method;
  switch (call.route.kind) {
    case Kind::base: return std::nullopt;
    case Kind::catalog: return std::nullopt;
    case Kind::uploads:
    case Kind::upload: return Right::write;
    default: break;
  }
  if (method == "GET" || method == "HEAD") return Right::read;
  return method == "DELETE" ? Right::remove : Right::write;
}

bool takes_method(Kind kind, std::string_view method) {
  const bool is_get = method == "GET" || method == "HEAD";
  switch (kind) {
    case Kind::manifest: return is_get || method == "PUT" || method == "DELETE";
    case Kind::blob: return is_get || method == "DELETE";
    case Kind::uploads: return method == "POST";
    case Kind::upload: return method == "GET" || method == "PATCH" || method == "PUT" || method == "DELETE";
    default: return is_get;
  }
}

Response plain(int status, std::string text) {
  Response response;
  response.status = status;
  response.add("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  return response;
}

// What may stand in a URL that is sent back: a stranger wrote it.
bool is_host(std::string_view host) {
  return !host.empty() && host.size() < 256 &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_") == std::string_view::npos;
}

}  // namespace

Registry::Registry(RegistryParts parts, RegistryOptions options)
    : parts_(std::move(parts)), options_(std::move(options)), documents_(kDocumentCacheBytes) {}

Answer Registry::handle(const Request& request) {
  if (!parts_.rate.allows(request.peer, RateLimit::Clock::now())) {
    Response response = refusal(429, "TOOMANYREQUESTS", "more requests than one client may send");
    response.add("Retry-After", "1");
    return response;
  }
  auto target = http_server::parse_target(request.target);
  if (!target) return refusal(400, "UNSUPPORTED", target.error().message());
  auto route = parse_route(target->path);
  if (!route) return refusal(404, "UNSUPPORTED", "there is nothing at this path");
  if (!takes_method(route->kind, request.method)) {
    Response response = refusal(405, "UNSUPPORTED", "this path does not take the method");
    return response;
  }
  if (!route->repository.empty() && !is_repository_name(route->repository))
    return refusal(route->kind == Kind::manifest || route->kind == Kind::blob ? 404 : 400, "NAME_INVALID",
                   fmt::format("'{}' is not a name of a repository", printable(route->repository)));
  auto call = std::make_shared<Call>();
  call->request = &request;
  call->target = std::move(*target);
  call->route = std::move(*route);
  switch (call->route.kind) {
    case Kind::health: return plain(200, "ok\n");
    case Kind::ready: {
      const auto is_there = parts_.catalog.storage().has("format");
      if (!is_there) return plain(503, is_there.error().message() + "\n");
      return *is_there ? plain(200, "ready\n") : plain(503, "the storage is not that of a registry any more\n");
    }
    case Kind::metrics: return options_.shows_metrics ? metrics_page() : refusal(404, "UNSUPPORTED", "metrics are off");
    default: break;
  }
  const std::string_view authorization = request.header("Authorization");
  switch (parts_.access.identify(authorization, ::time(nullptr), call->who, &call->why)) {
    case Access::Check::known: return identified(call);
    case Access::Check::wrong: return challenge(*call, right_of(*call), true);
    case Access::Check::unknown: break;
  }
  return Later{[this, call]() -> Answer {
    auto who = parts_.access.check_password(call->request->header("Authorization"));
    if (!who) return challenge(*call, right_of(*call), true);
    call->who = std::move(*who);
    return identified(call);
  }};
}

Answer Registry::identified(const std::shared_ptr<Call>& call) {
  if (call->route.kind == Kind::token) return token(*call);
  const auto right = right_of(*call);
  const Access& access = parts_.access;
  bool is_allowed = true;
  if (right) is_allowed = access.may(call->who, *right, call->repository());
  else if (call->route.kind == Kind::catalog) is_allowed = access.may_list(call->who);
  // Clients ask here how to log in, so it is never open to who has not, if there is anybody to be.
  else is_allowed = access.is_open() || !call->who.user.empty() || call->who.grants;
  if (!is_allowed) return challenge(*call, right, false);
  if (options_.is_read_only && right && *right != Right::read)
    return refusal(405, "UNSUPPORTED", "this registry is read-only");
  return permitted(call);
}

Answer Registry::permitted(const CallPtr& call) {
  switch (call->route.kind) {
    case Kind::base: {
      Response response;
      response.add("Docker-Distribution-Api-Version", "registry/2.0").add("Content-Type", "application/json");
      response.body = "{}\n";
      return response;
    }
    case Kind::catalog: return waiting(call, &Registry::repositories);
    case Kind::tags: return waiting(call, &Registry::tags);
    case Kind::referrers: return waiting(call, &Registry::referrers);
    case Kind::manifest: return manifest(call);
    case Kind::blob: return blob(call);
    case Kind::uploads: return begin_upload(call);
    case Kind::upload: return upload(call);
    default: return refusal(404, "UNSUPPORTED", "there is nothing at this path");
  }
}

Answer Registry::when_quick(const CallPtr& call, Response (Registry::*work)(const Call&)) {
  if (parts_.catalog.storage().is_quick()) return (this->*work)(*call);
  return waiting(call, work);
}

Answer Registry::waiting(const CallPtr& call, Response (Registry::*work)(const Call&)) {
  return Later{[this, call, work]() -> Answer { return (this->*work)(*call); }};
}

Response Registry::challenge(const Call& call, std::optional<Right> right, bool is_wrong) const {
  const Access& access = parts_.access;
  // Who has logged in does not get further by doing it again.
  const bool is_someone = !call.who.user.empty() && !call.who.grants && !is_wrong;
  if (is_someone || (access.options().htpasswd.empty() && !access.wants_tokens()))
    return refusal(403, "DENIED", "this is not allowed to you");
  const std::string_view wrong = call.why.empty() ? std::string_view("user, password or token is wrong") : call.why;
  Response response = refusal(401, "UNAUTHORIZED", is_wrong ? wrong : "log in first");
  if (!access.wants_tokens())
    return std::move(response.add("WWW-Authenticate", fmt::format("Basic realm=\"{}\"", access.options().service)));
  std::string base = options_.public_url;
  if (base.empty()) {
    const std::string_view host = call.request->header("Host");
    base = fmt::format("{}://{}", call.request->is_tls ? "https" : "http", is_host(host) ? host : "localhost");
  }
  const auto& other = access.options().token_server;
  std::string value = fmt::format("Bearer realm=\"{}\",service=\"{}\"", other ? other->realm : base + "/token",
                                  other ? other->service : access.options().service);
  if (right) {
    // Who pushes also reads what it has pushed.
    const std::string actions = *right == Right::write ? "pull,push" : std::string(action_of(*right));
    value += fmt::format(",scope=\"repository:{}:{}\"", call.repository(), actions);
  } else if (call.route.kind == Kind::catalog) {
    value += ",scope=\"registry:catalog:*\"";
  }
  if (is_wrong) value += ",error=\"invalid_token\"";
  return std::move(response.add("WWW-Authenticate", value));
}

Response Registry::token(const Call& call) const {
  const Access& access = parts_.access;
  if (!access.options().has_tokens) return refusal(404, "UNSUPPORTED", "this registry gives no tokens");
  // A token is no proof of being somebody: with one, another with more time would be got.
  if (call.who.grants) return challenge(call, std::nullopt, true);
  std::vector<std::string> scopes;
  const auto [from, to] = call.target.query.equal_range("scope");
  for (auto at = from; at != to; ++at)
    for (const std::string_view one : split(at->second, ' ')) scopes.emplace_back(one);
  const int64_t now = ::time(nullptr);
  const std::string text = access.make_token(call.who, scopes, now);
  std::tm parts = {};
  const time_t seconds = now;
  ::gmtime_r(&seconds, &parts);
  char issued[32] = {};
  std::strftime(issued, sizeof issued, "%Y-%m-%dT%H:%M:%SZ", &parts);
  Response response;
  response.add("Content-Type", "application/json").add("Cache-Control", "no-store");
  response.body = fmt::format("{{\"token\":\"{0}\",\"access_token\":\"{0}\",\"expires_in\":{1},\"issued_at\":\"{2}\"}}\n", text,
                              access.options().token_lifetime.count(), issued);
  return response;
}

Response Registry::metrics_page() const {
  std::string text = parts_.metrics.text();
  text += fmt::format("# HELP kist_registry_open_uploads Uploads that are not finished.\n# TYPE kist_registry_open_uploads gauge\n"
                      "kist_registry_open_uploads {}\n", parts_.uploads.size());
  if (parts_.more_metrics) text += parts_.more_metrics();
  Response response;
  response.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = std::move(text);
  return response;
}

void Registry::done(const Request& request, const Outcome& outcome) {
  const auto target = request.target.substr(0, request.target.find('?'));
  const auto route = parse_route(target);
  parts_.metrics.count(route ? route->kind : Kind::base, request.method, outcome);
  if (!parts_.log) return;
  std::string user;
  if (outcome.status != 401)
    if (auto basic = http_server::parse_basic(request.header("Authorization"))) user = basic->first;
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts = {};
  ::gmtime_r(&now.tv_sec, &parts);
  parts_.log(fmt::format("{{\"time\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"client\":\"{}\",\"user\":{},\"method\":{},"
                         "\"target\":{},\"status\":{},\"received\":{},\"sent\":{},\"seconds\":{:.6f},\"whole\":{},\"agent\":{}}}",
                         parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                         now.tv_nsec / 1'000'000, request.peer, json_quoted(user), json_quoted(request.method),
                         json_quoted(request.target), outcome.status, outcome.received_bytes, outcome.sent_bytes,
                         outcome.seconds, outcome.is_whole, json_quoted(request.header("User-Agent"))));
}

}  // namespace kist::registry_server
