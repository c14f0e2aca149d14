// What can go wrong on the way to a server, in words, with what to do about it.
#include <ctime>

#include "base/text.h"
#include "http/exchange.h"
#include "http/retry.h"

namespace kist::http {
namespace {

constexpr const char* kNetworkHint =
    "check the network; behind a proxy set `HTTPS_PROXY=http://HOST:PORT`, without any network use "
    "`--offline`";
constexpr const char* kCertificateHint =
    "if your network has a certificate authority of its own, set `SSL_CERT_FILE=/path/to/ca.pem`";

std::string host_of(const std::string& url) {
  const std::string bare = split_credentials(url).first;
  const size_t scheme = bare.find("://");
  const size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  const std::string host = bare.substr(begin, bare.find_first_of(":/?#", begin) - begin);
  return printable(host);
}

const char* meaning_of(int status) {
  switch (status) {
    case 401:
      return "credentials are missing or wrong";
    case 403:
      return "not allowed";
    case 404:
      return "not found";
    case 407:
      return "the proxy wants credentials";
    case 410:
      return "gone";
    case 429:
      return "too many requests";
    case 503:
      return "unavailable";
    default:
      return "";
  }
}

// "429 (too many requests; try again in 2m00s)"
std::string describe(int status, std::optional<std::chrono::seconds> retry_after) {
  std::string note = meaning_of(status);
  if (retry_after) {
    note += fmt::format("{}try again in {}", note.empty() ? "" : "; ",
                        human_seconds(static_cast<double>(retry_after->count())));
  }
  return note.empty() ? fmt::format("{}", status) : fmt::format("{} ({})", status, note);
}

std::string hint_of(int status, const std::string& url) {
  if (status == 401 || status == 403) {
    return fmt::format("put the credentials into ~/.netrc: `machine {} login USER password SECRET`",
                       host_of(url));
  }
  if (status == 407)
    return "give the proxy's credentials: `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`";
  return "";
}

Code code_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return Code::denied;
    case 404:
    case 410:
      return Code::not_found;
    default:
      return may_pass(status) ? Code::unavailable : Code::invalid;
  }
}

}  // namespace

Failure Exchange::status_failure() const {
  const int status = head_.status;
  std::optional<std::chrono::seconds> retry_after;
  if (!head_.retry_after.empty())
    retry_after = parse_retry_after(head_.retry_after, std::time(nullptr));
  Failure out{Error(code_of_status(status), "get '{}': the server answered {}, want 200",
                    redact(url_), describe(status, retry_after))
                  .hint(hint_of(status, url_))};
  out.may_pass = may_pass(status);
  out.retry_after = retry_after;
  return out;
}

// A proxy that does not open the tunnel; curl has only a general code for that.
std::optional<Failure> Exchange::tunnel_failure() const {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_CONNECTCODE, &status);
  if (status < 300 || head_.status != 0) return std::nullopt;
  const int short_status = static_cast<int>(status);
  Failure out{Error(code_of_status(short_status), "get '{}': the proxy answered {}, want 200",
                    redact(url_), describe(short_status, std::nullopt))
                  .hint(status == 407 ? hint_of(short_status, url_) : kNetworkHint)};
  out.may_pass = may_pass(short_status);
  return out;
}

Failure Exchange::curl_failure() const {
  if (auto refused = tunnel_failure()) return *refused;
  const std::string where = redact(url_);
  const std::string detail =
      printable(curl_message_[0] != 0 ? curl_message_ : curl_easy_strerror(code_));
  const auto unavailable = [&] { return Error(Code::unavailable, "get '{}': {}", where, detail); };
  switch (code_) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return {unavailable().hint(kNetworkHint), true, true, {}};
    case CURLE_OPERATION_TIMEDOUT:
      return {unavailable().hint(kNetworkHint), true, head_.status == 0, {}};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return {Error(Code::denied, "get '{}': {}", where, detail).hint(kCertificateHint)};
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
      return {Error(Code::invalid, "get '{}': {}", where, detail)};
    case CURLE_PARTIAL_FILE:
      return {Error(Code::corrupt, "get '{}': {}", where, detail), true, false, {}};
    case CURLE_ABORTED_BY_CALLBACK:
      return {Error(Code::unavailable, "get '{}': stopped", where)};
    default:
      return {unavailable(), true, false, {}};
  }
}

std::optional<Failure> Exchange::transport_failure() const {
  if (refused_) return refused_;
  if (code_ != CURLE_OK) return curl_failure();
  return std::nullopt;
}

std::optional<Failure> Exchange::failure() const {
  if (refused_) return refused_;
  // An error answer whose body we cut still is that answer.
  if (head_.status >= 400 && head_.status != 416 &&
      (code_ == CURLE_OK || code_ == CURLE_WRITE_ERROR || code_ == CURLE_PARTIAL_FILE))
    return status_failure();
  if (head_.status == 416 && code_ == CURLE_WRITE_ERROR) return std::nullopt;
  if (code_ != CURLE_OK) return curl_failure();
  if (head_.status / 100 == 2 || head_.status == 304 || head_.status == 416) return std::nullopt;
  return status_failure();
}

}  // namespace kist::http
