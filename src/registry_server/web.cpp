#include "registry_server/web.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"

namespace kist::registry_server {
namespace {

constexpr size_t kMaxIdle = 16;
constexpr size_t kMaxHeaders = 200;

// What the callbacks of one request share.
struct Running {
  const WebRequest& request;
  CURL* handle;
  WebAnswer answer;
  std::optional<Error> error;
  uint64_t sent_bytes = 0;
  bool is_head_told = false;
};

size_t on_header(char* data, size_t size, size_t count, void* to) {
  auto& running = *static_cast<Running*>(to);
  const std::string_view line = trim({data, size * count});
  // A redirect has headers too: only the last answer's count.
  if (line.starts_with("HTTP/")) running.answer.headers.clear();
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos && running.answer.headers.size() < kMaxHeaders)
    running.answer.headers[to_lower(line.substr(0, colon))] = std::string(trim(line.substr(colon + 1)));
  return size * count;
}

size_t on_data(char* data, size_t size, size_t count, void* to) {
  auto& running = *static_cast<Running*>(to);
  const std::string_view bytes(data, size * count);
  long status = 0;
  ::curl_easy_getinfo(running.handle, CURLINFO_RESPONSE_CODE, &status);
  if (running.request.on_body && status / 100 == 2) {
    Result<void> taken;
    if (running.request.on_head && !std::exchange(running.is_head_told, true)) {
      running.answer.status = static_cast<int>(status);
      taken = running.request.on_head(running.answer);
    }
    if (taken) taken = running.request.on_body(bytes);
    if (taken) return bytes.size();
    running.error = std::move(taken.error());
    return 0;
  }
  if (running.answer.body.size() + bytes.size() > running.request.limit_bytes) {
    running.error = Error(Code::invalid, "'{}' answers with more than {} bytes", http::redact(running.request.url), running.request.limit_bytes);
    return 0;
  }
  running.answer.body += bytes;
  return bytes.size();
}

size_t on_read(char* to, size_t size, size_t count, void* from) {
  auto& running = *static_cast<Running*>(from);
  const WebRequest& request = running.request;
  const size_t room = static_cast<size_t>(std::min<uint64_t>(size * count, request.size_bytes - running.sent_bytes));
  const ssize_t got = room == 0 ? 0 : ::pread(request.file->get(), to, room, static_cast<off_t>(request.offset + running.sent_bytes));
  if (got < 0) return CURL_READFUNC_ABORT;
  running.sent_bytes += static_cast<uint64_t>(got);
  return static_cast<size_t>(got);
}

int on_seek(void* from, curl_off_t offset, int) {
  static_cast<Running*>(from)->sent_bytes = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* from, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(from)->load() ? 1 : 0;
}

void set_network(CURL* handle, const http::Config& config, const std::string& url) {
  ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https:") ? "https" : "http,https");
  ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  ::curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 10L);
  ::curl_easy_setopt(handle, CURLOPT_USERAGENT, config.user_agent.c_str());
  ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, static_cast<long>(config.connect_timeout.count()));
  ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 16L);
  ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(config.stall_timeout.count()));
  ::curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 128L << 10);
  if (!config.ca_file.empty()) ::curl_easy_setopt(handle, CURLOPT_CAINFO, config.ca_file.c_str());
  if (!config.ca_dir.empty()) ::curl_easy_setopt(handle, CURLOPT_CAPATH, config.ca_dir.c_str());
  const std::string& proxy = url.starts_with("https:") ? config.proxy_https : config.proxy_http;
  // Empty, and not unset: otherwise curl asks the environment.
  ::curl_easy_setopt(handle, CURLOPT_PROXY, (proxy.empty() ? config.proxy_all : proxy).c_str());
  ::curl_easy_setopt(handle, CURLOPT_NOPROXY, config.no_proxy.c_str());
}

void set_body(CURL* handle, const WebRequest& request, Running& running) {
  if (request.file != nullptr) {
    ::curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    ::curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
    ::curl_easy_setopt(handle, CURLOPT_READDATA, &running);
    ::curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, on_seek);
    ::curl_easy_setopt(handle, CURLOPT_SEEKDATA, &running);
    ::curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.size_bytes));
  } else if (request.method == "PUT" || request.method == "POST") {
    ::curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.text.size()));
    ::curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.text.c_str());
  }
  if (request.method == "HEAD") ::curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  else if (request.method != "GET") ::curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void set_credentials(CURL* handle, const WebRequest& request) {
  if (!request.bearer.empty()) {
    ::curl_easy_setopt(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    ::curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, request.bearer.reveal().c_str());
  } else if (!request.user_and_password.empty()) {
    if (!request.signing.empty()) ::curl_easy_setopt(handle, CURLOPT_AWS_SIGV4, request.signing.c_str());
    else ::curl_easy_setopt(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    ::curl_easy_setopt(handle, CURLOPT_USERPWD, request.user_and_password.reveal().c_str());
  }
}

}  // namespace

Web::Web(http::Config config) : config_(std::move(config)) { ::curl_global_init(CURL_GLOBAL_DEFAULT); }

Web::~Web() {
  for (void* handle : idle_) ::curl_easy_cleanup(handle);
  ::curl_global_cleanup();
}

void* Web::take() {
  {
    const std::scoped_lock lock(mutex_);
    if (!idle_.empty()) {
      void* handle = idle_.back();
      idle_.pop_back();
      return handle;
    }
  }
  return ::curl_easy_init();
}

void Web::give_back(void* handle) {
  ::curl_easy_reset(handle);  // Keeps its connections.
  {
    const std::scoped_lock lock(mutex_);
    if (idle_.size() < kMaxIdle) {
      idle_.push_back(handle);
      return;
    }
  }
  ::curl_easy_cleanup(handle);
}

Result<WebAnswer> Web::ask(const WebRequest& request) {
  void* handle = take();
  if (handle == nullptr) return Error(Code::internal, "curl_easy_init failed");
  Running running{.request = request, .handle = handle, .answer = {}, .error = {}, .sent_bytes = 0, .is_head_told = false};
  curl_slist* headers = nullptr;
  for (const std::string& header : request.headers) headers = ::curl_slist_append(headers, header.c_str());
  // A text that is sent would be called a form otherwise, and read as one.
  headers = ::curl_slist_append(headers, "Content-Type: application/octet-stream");
  headers = ::curl_slist_append(headers, "Expect:");  // Costs a round trip and saves none here.
  ::curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, &running);
  ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_data);
  ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &running);
  if (request.is_cancelled != nullptr) {
    ::curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    ::curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    ::curl_easy_setopt(handle, CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(request.is_cancelled));
  }
  set_network(handle, config_, request.url);
  set_body(handle, request, running);
  set_credentials(handle, request);
  const CURLcode code = ::curl_easy_perform(handle);
  long status = 0;
  ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  running.answer.status = static_cast<int>(status);
  ::curl_slist_free_all(headers);
  give_back(handle);
  if (running.error) return std::move(*running.error);
  if (code != CURLE_OK)
    return Error(Code::unavailable, "{} '{}': {}", request.method, http::redact(request.url), ::curl_easy_strerror(code));
  return std::move(running.answer);
}

}  // namespace kist::registry_server
