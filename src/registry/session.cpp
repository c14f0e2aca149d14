#include "registry/session.h"

#include <boost/json.hpp>
#include <ctime>
#include <random>
#include <thread>

#include "base/base64.h"
#include "base/text.h"
#include "http/retry.h"
#include "registry/challenge.h"

namespace kist::registry {
namespace {

constexpr uint64_t kMostAnswerBytes = 1 << 20;
constexpr uint64_t kMostErrorBytes = 64 << 10;

http::Config network_for(const Address& address, http::Config network) {
  network.credentials.clear();
  network.netrc_path.clear();
  if (address.is_unverified) network.insecure_hosts.push_back(to_lower(address.host));
  return network;
}

// Shorter when somebody sets `stop` meanwhile.
void sleep_for(std::chrono::milliseconds time, const std::atomic<bool>* stop) {
  constexpr std::chrono::milliseconds kStep{100};
  for (; time > kStep && stop != nullptr && !*stop; time -= kStep) std::this_thread::sleep_for(kStep);
  if (stop == nullptr || !*stop) std::this_thread::sleep_for(time);
}

std::string joined(const std::vector<std::string>& scopes) { return fmt::format("{}", fmt::join(scopes, " ")); }

std::optional<std::chrono::seconds> wished_wait(const http::Head& head) {
  if (head.retry_after.empty()) return std::nullopt;
  return http::parse_retry_after(head.retry_after, std::time(nullptr));
}

std::chrono::milliseconds wait_before(const http::Config& config, const http::Head& head, int tries) {
  if (const auto seconds = wished_wait(head)) return *seconds;
  return http::back_off(config.first_back_off, tries + 1, std::random_device{}());
}

Error with_login(Error error, const Address& address) {
  return std::move(error).hint(fmt::format("`kist login {}`", printable(address.registry)));
}

// What was shown did not do, or there was nothing to show.
Error no_credentials(const Address& address, const std::optional<Credentials>& known) {
  if (!known) return with_login(Error(Code::denied, "the registry '{}' wants a login", printable(address.registry)), address);
  const std::string whose = known->user.empty() ? "" : fmt::format(" than those of '{}'", printable(known->user));
  return with_login(Error(Code::denied, "the registry '{}' wants other credentials{}", printable(address.registry), whose), address);
}

// There was a token, and it does not allow this.
Error no_right(const Address& address, const std::optional<Credentials>& known, const std::vector<std::string>& scopes) {
  if (!known) return no_credentials(address, known);
  const std::string all = joined(scopes);
  const std::string_view what = all.find(":delete") != std::string::npos ? "delete in"
                                : all.find("push") != std::string::npos  ? "push to"
                                                                         : "pull from";
  const std::string who = known->user.empty() ? "you" : fmt::format("'{}'", printable(known->user));
  return with_login(Error(Code::denied, "the registry '{}' does not let {} {} '{}'", printable(address.registry), who, what,
                          printable(address.repository)), address);
}

// {"errors":[{"code":"DENIED","message":"…"}]}, of the specification.
std::string message_of(std::string_view body) {
  boost::system::error_code failed;
  const auto value = boost::json::parse({body.data(), body.size()}, failed);
  if (failed || !value.is_object()) return "";
  const auto* errors = value.get_object().if_contains("errors");
  if (errors == nullptr || !errors->is_array() || errors->get_array().empty()) return "";
  const auto& first = errors->get_array().front();
  if (!first.is_object()) return "";
  for (const char* key : {"message", "code"}) {
    const auto* text = first.get_object().if_contains(key);
    if (text != nullptr && text->is_string() && !text->get_string().empty()) return printable(std::string_view(text->get_string()), 300);
  }
  return "";
}

Code code_of(int status) {
  switch (status) {
    case 401:
    case 403: return Code::denied;
    case 404:
    case 410: return Code::not_found;
    case 405: return Code::unsupported;
    default: return http::may_pass(status) ? Code::unavailable : Code::invalid;
  }
}

}  // namespace

Session::Session(Address address, Host host, const http::Config& network)
    : address_(std::move(address)), host_(std::move(host)), streams_(network_for(address_, network)), scheme_("https") {
  if (!host_.given_user.empty() && !address_.is_mirror)
    use({.user = host_.given_user, .password = host_.given_password, .identity_token = {}});
}

std::string Session::url(std::string_view rest) const {
  const std::lock_guard lock(mutex_);
  return fmt::format("{}://{}/v2/{}", scheme_, address_.host, rest);
}

Result<std::string> Session::resolve(std::string_view location) const {
  if (location.empty())
    return Error(Code::corrupt, "the registry '{}' does not say where to go on", printable(address_.registry));
  if (location.starts_with("https://")) return std::string(location);
  const std::lock_guard lock(mutex_);
  if (location.starts_with('/') && !location.starts_with("//"))
    return fmt::format("{}://{}{}", scheme_, address_.host, location);
  if (location.starts_with("http://") && scheme_ == "http") return std::string(location);
  return Error(Code::denied, "the registry '{}' sends us to '{}'", printable(address_.registry),
               http::redact(location));
}

bool Session::is_own(std::string_view url) const {
  const std::lock_guard lock(mutex_);
  return http::origin_of(url) == http::origin_of(fmt::format("{}://{}", scheme_, address_.host));
}

void Session::use(Credentials credentials) {
  const std::lock_guard lock(mutex_);
  credentials_ = std::move(credentials);
  has_looked_ = true;
  tokens_.clear();
}

Result<std::optional<Credentials>> Session::credentials() {
  const std::lock_guard lock(mutex_);
  if (!has_looked_) {
    credentials_ = TRY(find_credentials(host_, address_.registry, address_.repository));
    has_looked_ = true;
  }
  return credentials_;
}

std::string Session::known_authorization(const std::vector<std::string>& scopes) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(wants_basic_ ? "" : joined(scopes));
  return found == tokens_.end() ? "" : found->second;
}

// The first call finds out what the registry speaks: TLS, or on this machine and where the person says so
// nothing.
Result<http::Stream> Session::try_once(const http::Call& call, const std::string& authorization) {
  http::Call sent = call;
  // What is no address of the registry's own (a storage service, say) gets no credentials.
  if (!authorization.empty() && is_own(sent.url)) sent.headers.push_back("Authorization: " + authorization);
  bool is_connect = false;
  auto answer = streams_.open(sent, &address_.tls, &is_connect);
  std::unique_lock lock(mutex_);
  if (answer) {
    knows_scheme_ = true;
    return answer;
  }
  if (knows_scheme_ || !is_connect || !address_.may_be_plain || scheme_ != "https" || !sent.url.starts_with("https://"))
    return answer;
  scheme_ = "http";
  sent.url.erase(4, 1);
  lock.unlock();
  auto plain = streams_.open(sent, nullptr);
  lock.lock();
  if (plain) knows_scheme_ = true;
  else scheme_ = "https";
  return plain;
}

Result<std::string> Session::ask_for_token(const std::map<std::string, std::string>& parameters,
                                           const std::vector<std::string>& scopes) {
  const auto realm = parameters.find("realm");
  if (realm == parameters.end() || (!realm->second.starts_with("https://") && !realm->second.starts_with("http://")))
    return Error(Code::corrupt, "the registry '{}' names no token server", printable(address_.registry));
  const auto service = parameters.find("service");
  const std::string service_name = service == parameters.end() ? "" : service->second;
  auto known = TRY(credentials());
  if (known && !may_have_password(address_.host, url("").starts_with("http://"), realm->second)) known.reset();
  http::Call call;
  if (known && !known->identity_token.empty()) {
    call = {.method = "POST", .url = realm->second, .headers = {"Content-Type: application/x-www-form-urlencoded"},
            .body = fmt::format("grant_type=refresh_token&service={}&client_id=kist&scope={}&refresh_token={}",
                                escape(service_name), escape(joined(scopes)), escape(known->identity_token.reveal())),
            .source = {}, .source_bytes = {}};
  } else {
    call.url = realm->second + (realm->second.find('?') == std::string::npos ? "?" : "&");
    call.url += "service=" + escape(service_name);
    for (const std::string& scope : scopes) call.url += "&scope=" + escape(scope);
    if (known) {
      call.url += "&account=" + escape(known->user);
      call.headers.push_back("Authorization: Basic " + encode_base64(known->user + ":" + known->password.reveal()));
    }
  }
  // The registry's own certificates are for itself alone.
  const bool is_same_host = http::origin_of(realm->second) == http::origin_of(url(""));
  http::Stream answer = TRY(streams_.open(call, is_same_host ? &address_.tls : nullptr), "asking for a token");
  if (answer.head().status == 401 || answer.head().status == 403) return no_credentials(address_, known);
  if (answer.head().status / 100 != 2) return refusal(answer, address_, "asking for a token");
  const std::string text = TRY(answer.read_all(kMostAnswerBytes));
  const http::Secret token = TRY(parse_token(text));
  return "Bearer " + token.reveal();
}

Result<std::string> Session::answer_challenge(const http::Head& head, const std::vector<std::string>& scopes) {
  std::vector<Challenge> all;
  for (const auto& [name, value] : head.fields)
    if (name == "www-authenticate")
      for (Challenge& challenge : parse_challenges(value)) all.push_back(std::move(challenge));
  for (const Challenge& challenge : all) {
    if (challenge.scheme != "bearer") continue;
    std::string token = TRY(ask_for_token(challenge.parameters, scopes));
    const std::lock_guard lock(mutex_);
    tokens_[joined(scopes)] = token;
    return token;
  }
  for (const Challenge& challenge : all) {
    if (challenge.scheme != "basic") continue;
    const auto known = TRY(credentials());
    if (!known || known->password.empty()) return no_credentials(address_, known);
    const std::lock_guard lock(mutex_);
    wants_basic_ = true;
    return tokens_[""] = "Basic " + encode_base64(known->user + ":" + known->password.reveal());
  }
  const auto known = TRY(credentials());
  return no_credentials(address_, known);
}

Result<http::Stream> Session::call(const http::Call& given, const std::vector<std::string>& scopes) {
  const http::Config& config = streams_.config();
  http::Call call = given;
  std::string authorization = known_authorization(scopes);
  bool has_answered = false;
  for (int tries = 0;; ++tries) {
    auto answer = try_once(call, authorization);
    if (call.url.starts_with("https://") && is_own(call.url.substr(0, 4) + call.url.substr(5))) call.url.erase(4, 1);
    const bool is_stopped = call.stop != nullptr && *call.stop;
    const bool repeatable = !call.source && tries < config.retries && !is_stopped;
    if (!answer) {
      if (!repeatable || answer.error().code() != Code::unavailable) return answer;
      sleep_for(http::back_off(config.first_back_off, tries + 1, std::random_device{}()), call.stop);
      continue;
    }
    const int status = answer->head().status;
    // Who else wants a password, behind a redirect, gets none.
    if (status == 401 && is_own(call.url) && is_own(answer->effective_url())) {
      // A token that is not good any more is asked for anew, once.
      if (has_answered || call.source) {
        const auto known = TRY(credentials());
        return authorization.starts_with("Bearer ") ? no_right(address_, known, scopes) : no_credentials(address_, known);
      }
      has_answered = true;
      authorization = TRY(answer_challenge(answer->head(), scopes));
      --tries;
      continue;
    }
    const bool is_too_long = wished_wait(answer->head()).value_or(std::chrono::seconds(0)) > http::kLongestRetryAfter;
    if (!http::may_pass(status) || !repeatable || is_too_long) return answer;
    sleep_for(wait_before(config, answer->head(), tries), call.stop);
  }
}

Error refusal(http::Stream& answer, const Address& address, std::string_view what) {
  const int status = answer.head().status;
  const auto body = answer.read_all(kMostErrorBytes);
  const std::string said = body ? message_of(*body) : "";
  const auto wait = wished_wait(answer.head());
  Error error(code_of(status), "{}: the registry '{}' answered {}{}{}", what, printable(address.registry), status,
              said.empty() ? "" : ": " + said,
              wait ? fmt::format(" (try again in {})", human_seconds(static_cast<double>(wait->count()))) : "");
  if (status == 401 || status == 403) return std::move(error).hint(fmt::format("`kist login {}`", printable(address.registry)));
  return error;
}

}  // namespace kist::registry
