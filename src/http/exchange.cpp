// Redirects. curl follows them, at most ten, and drops Authorization when the host, port or scheme
// changes (7.83 and later). What it does not refuse by itself is a way back from https to http, so
// Location is read here and such a step ends the exchange.
#include "http/exchange.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "os/files.h"

namespace kist::http {
namespace {

constexpr long kMaxRedirects = 10;
constexpr long kReceiveBytes = 512 << 10;
constexpr size_t kHeaderLimitBytes = 256 << 10;
constexpr size_t kErrorBodyLimitBytes = 64 << 10;
// Fewer bytes a second than this count as none: a server that drips would hold us for ever.
constexpr long kStallBytesPerSecond = 16;

// Where distributions keep their bundle. A static libcurl knows only the place of the machine that
// built it.
constexpr std::array kBundles = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch, Alpine, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL 7 and later
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL, CentOS
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // Alpine, BSD
    "/var/lib/ca-certificates/ca-bundle.pem",             // SUSE
};

template <class T>
void set(CURL* easy, CURLoption option, T value) {
  KIST_ASSERT(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

bool starts_with_nocase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && to_lower(text.substr(0, prefix.size())) == prefix;
}

// "host:port" or "host", lower-case.
std::string host_and_port_of(std::string_view url) {
  const std::string bare = split_credentials(url).first;
  const size_t begin = bare.find("//");
  if (begin == std::string::npos) return "";
  const size_t end = std::min(bare.find_first_of("/?#", begin + 2), bare.size());
  return to_lower(std::string_view(bare).substr(begin + 2, end - begin - 2));
}

std::string find_bundle() {
  for (const char* path : kBundles)
    if (os::exists(path)) return path;
  return "";
}

size_t body_callback(char* data, size_t size, size_t count, void* user) {
  const size_t bytes = size * count;
  switch (static_cast<Exchange*>(user)->on_body({data, bytes})) {
    case Exchange::Take::taken:
      return bytes;
    case Exchange::Take::pause:
      return CURL_WRITEFUNC_PAUSE;
    case Exchange::Take::abort:
      break;
  }
  return bytes == 0 ? 1 : 0;  // Any other number than asked for ends the exchange.
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  text = trim(text);
  if (!starts_with_nocase(text, "bytes")) return std::nullopt;
  text = trim(text.substr(5));
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view range = trim(text.substr(0, slash));
  ContentRange out;
  out.total = parse_number(trim(text.substr(slash + 1)));
  if (range == "*") return out;
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  out.first = parse_number(range.substr(0, dash));
  if (!out.first) return std::nullopt;
  out.last = parse_number(trim(range.substr(dash + 1)));
  return out;
}

std::string bundle_of(const Config& config) {
  return config.ca_file.empty() && config.ca_dir.empty() ? find_bundle() : config.ca_file;
}

std::string_view Head::field(std::string_view name) const {
  for (const auto& [known, value] : fields)
    if (known == name) return value;
  return {};
}

Exchange::Exchange(const Config& config, const std::string& url)
    : config_(config), url_(url), easy_(curl_easy_init()) {
  KIST_ASSERT(easy_ != nullptr);
}

Exchange::~Exchange() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
}

void Exchange::add_header(const std::string& line) {
  headers_ = curl_slist_append(headers_, line.c_str());
}

Result<void> Exchange::prepare() {
  const size_t colon = url_.find("://");
  scheme_ = to_lower(url_.substr(0, colon == std::string::npos ? 0 : colon));
  if (scheme_ != "http" && scheme_ != "https") {
    return Error(Code::invalid, "'{}' is not an address to fetch from, want http, https or file",
                 redact(url_));
  }
  set(easy_, CURLOPT_PRIVATE, static_cast<void*>(this));
  set(easy_, CURLOPT_NOSIGNAL, 1L);
  set(easy_, CURLOPT_ERRORBUFFER, static_cast<char*>(curl_message_));
  set(easy_, CURLOPT_USERAGENT, config_.user_agent.c_str());
  set(easy_, CURLOPT_BUFFERSIZE, kReceiveBytes);
  set(easy_, CURLOPT_FOLLOWLOCATION, 1L);
  set(easy_, CURLOPT_MAXREDIRS, kMaxRedirects);
  set(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy_, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(easy_, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::chrono::milliseconds(config_.connect_timeout).count()));
  set(easy_, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  set(easy_, CURLOPT_LOW_SPEED_TIME, static_cast<long>(config_.stall_timeout.count()));
  // Else dropping a handle waits for its name lookup, for as long as the resolver is patient.
  set(easy_, CURLOPT_QUICK_EXIT, 1L);
  set(easy_, CURLOPT_HTTPHEADER, headers_);
  using HeaderCallback = size_t (*)(char*, size_t, size_t, void*);
  const HeaderCallback header_callback = [](char* data, size_t size, size_t count,
                                            void* user) -> size_t {
    return static_cast<Exchange*>(user)->on_header({data, size * count}) ? size * count : 0;
  };
  set(easy_, CURLOPT_HEADERFUNCTION, header_callback);
  set(easy_, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(easy_, CURLOPT_WRITEFUNCTION, &body_callback);
  set(easy_, CURLOPT_WRITEDATA, static_cast<void*>(this));
  set_tls();
  set_proxy();
  set_credentials();
  return {};
}

void Exchange::set_tls() {
  const std::string host = host_and_port_of(url_);
  for (const std::string& trusted : config_.insecure_hosts)
    is_unverified_ |= trusted == host || trusted == host.substr(0, host.rfind(':'));
  if (is_unverified_) {
    set(easy_, CURLOPT_SSL_VERIFYPEER, 0L);
    set(easy_, CURLOPT_SSL_VERIFYHOST, 0L);
    return;
  }
  const std::string file = bundle_of(config_);
  if (os::is_folder(file)) return set(easy_, CURLOPT_CAPATH, file.c_str());
  // One without the other: who names a bundle of their own does not want the system's as well.
  if (!file.empty()) set(easy_, CURLOPT_CAPATH, static_cast<char*>(nullptr));
  if (!config_.ca_dir.empty()) set(easy_, CURLOPT_CAINFO, static_cast<char*>(nullptr));
  if (!file.empty()) set(easy_, CURLOPT_CAINFO, file.c_str());
  if (!config_.ca_dir.empty()) set(easy_, CURLOPT_CAPATH, config_.ca_dir.c_str());
}

void Exchange::set_proxy() {
  const std::string& own = scheme_ == "https" ? config_.proxy_https : config_.proxy_http;
  // Always set, also when empty: else libcurl asks the environment by itself.
  set(easy_, CURLOPT_PROXY, (own.empty() ? config_.proxy_all : own).c_str());
  set(easy_, CURLOPT_NOPROXY, config_.no_proxy.c_str());
}

void Exchange::set_credentials() {
  auto [bare, user] = split_credentials(url_);
  if (user.empty()) {
    const std::string origin = origin_of(bare);
    for (const OriginCredentials& known : config_.credentials)
      if (known.origin == origin) user = known.user_and_password.reveal();
  }
  const size_t colon = user.find(':');
  if (colon == std::string::npos && !user.empty()) {
    // A name without a password stays in the URL, for which curl then looks into netrc.
    char* escaped = curl_easy_escape(easy_, user.data(), static_cast<int>(user.size()));
    bare.insert(bare.find("://") + 3, fmt::format("{}@", escaped));
    curl_free(escaped);
  }
  set(easy_, CURLOPT_URL, bare.c_str());
  if (colon != std::string::npos) {
    set(easy_, CURLOPT_USERNAME, user.substr(0, colon).c_str());
    set(easy_, CURLOPT_PASSWORD, user.substr(colon + 1).c_str());
  }
  if (config_.netrc_path.empty() || !os::exists(config_.netrc_path)) return;
  set(easy_, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
  set(easy_, CURLOPT_NETRC_FILE, config_.netrc_path.c_str());
}

bool Exchange::on_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderLimitBytes) {
    refuse({Error(Code::invalid, "get '{}': the answer's head is longer than {}", redact(url_),
                  human_bytes(kHeaderLimitBytes))});
    return false;
  }
  if (line.starts_with("HTTP/")) {
    head_ = Head();
    const size_t space = line.find(' ');
    if (space != std::string_view::npos)
      head_.status = static_cast<int>(parse_number(line.substr(space + 1, 3)).value_or(0));
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  const std::string name = to_lower(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  head_.fields.emplace_back(name, value);
  if (name == "etag") head_.etag = value;
  if (name == "last-modified") head_.last_modified = value;
  if (name == "retry-after") head_.retry_after = value;
  if (name == "content-range") head_.content_range = value;
  if (name == "content-length") head_.content_length = parse_number(value);
  if (name == "location" && head_.status / 100 == 3) return on_location(value);
  return true;
}

bool Exchange::on_location(std::string_view target) {
  const bool is_tls = starts_with_nocase(target, "https:") || (target.starts_with("//") && scheme_ == "https");
  if (is_unverified_ && is_tls && host_and_port_of(target) != host_and_port_of(url_)) {
    refuse(
        {Error(Code::denied, "get '{}': redirected to '{}', whose certificate would go unchecked",
               redact(url_), redact(target))});
    return false;
  }
  if (starts_with_nocase(target, "https:")) scheme_ = "https";
  if (!starts_with_nocase(target, "http:")) return true;
  if (scheme_ == "https") {
    refuse({Error(Code::denied, "get '{}': redirected from https to the unprotected '{}'",
                  redact(url_), redact(target))});
    return false;
  }
  return true;
}

Exchange::Take Exchange::skip_error_body(std::string_view bytes) {
  error_body_bytes_ += bytes.size();
  return error_body_bytes_ > kErrorBodyLimitBytes ? Take::abort : Take::taken;
}

}  // namespace kist::http
