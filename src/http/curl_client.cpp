#include "http/curl_client.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "base/text.h"
#include "http/batch.h"
#include "http/local_file.h"
#include "http/loop.h"
#include "http/retry.h"
#include "os/files.h"

namespace kist::http {
namespace {

constexpr size_t kSpareConnections = 8;  // For get() while downloads take all of theirs.
constexpr int kConnectRetries = 2;

/// An answer kept in memory.
class TextExchange final : public Exchange {
 public:
  TextExchange(const Config& config, const std::string& url, const GetOptions& options)
      : Exchange(config, url), limit_bytes_(options.limit_bytes) {
    for (const std::string& header : options.headers) add_header(header);
    if (!options.etag.empty()) add_header("If-None-Match: " + options.etag);
  }

  Result<void> start(Loop& loop, const std::shared_ptr<Exchange>& self) {
    TRY(prepare());
    curl_easy_setopt(easy(), CURLOPT_ACCEPT_ENCODING, "");  // All that curl can undo.
    curl_easy_setopt(easy(), CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    curl_easy_setopt(easy(), CURLOPT_PIPEWAIT, 1L);
    loop.submit(self);
    return {};
  }

  // `bytes` are decoded already, so the limit also stops a compressed bomb.
  Take on_body(std::string_view bytes) override {
    if (is_error_status()) return skip_error_body(bytes);
    if (body_.size() + bytes.size() > limit_bytes_) {
      refuse({Error(Code::invalid, "get '{}': the answer is longer than the limit of {}",
                    redact(url()), human_bytes(limit_bytes_))});
      return Take::abort;
    }
    body_ += bytes;
    return Take::taken;
  }

  void on_done() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    wake_.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return done_; });
  }
  std::string take_body() { return std::move(body_); }

 private:
  const uint64_t limit_bytes_;
  std::string body_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
};

class CurlClient final : public Client {
 public:
  explicit CurlClient(Config config) : config_(std::move(config)) {}

  Result<Response> get(const std::string& url, const GetOptions& options) override {
    if (is_local_url(url)) return get_local(url, options);
    for (int tries = 0;; ++tries) {
      auto exchange = std::make_shared<TextExchange>(config_, url, options);
      TRY(exchange->start(loop(), exchange));
      exchange->wait();
      auto failure = exchange->failure();
      if (!failure) return answer(*exchange, options);
      const int retries =
          failure->is_connect ? std::min(config_.retries, kConnectRetries) : config_.retries;
      const bool too_long = failure->retry_after && *failure->retry_after > kLongestRetryAfter;
      if (!failure->may_pass || too_long || tries >= retries) return std::move(failure->error);
      const Milliseconds wait = back_off(config_.first_back_off, tries + 1, std::random_device{}());
      std::this_thread::sleep_for(failure->retry_after ? Milliseconds(*failure->retry_after)
                                                       : wait);
    }
  }

  Result<void> download_all(std::span<const Download> files, const OnFile& on_file, size_t workers,
                            Progress& progress, std::string_view phase) override {
    if (files.empty()) return {};
    Batch batch({.config = config_,
                 .loop = [this]() -> Loop& { return loop(); },
                 .on_file = on_file,
                 .workers = workers,
                 .progress = progress,
                 .phase = phase},
                files);
    return batch.run();
  }

  const Secret* credentials_of(const std::string& origin) const {
    for (const OriginCredentials& known : config_.credentials)
      if (known.origin == origin) return &known.user_and_password;
    return nullptr;
  }

  void add(OriginCredentials more) {
    if (credentials_of(more.origin) == nullptr) config_.credentials.push_back(std::move(more));
  }

 private:
  static Result<Response> answer(TextExchange& exchange, const GetOptions& options) {
    const Head& head = exchange.head();
    if (head.status == 416 || (head.status == 304 && options.etag.empty())) {
      return Error(Code::invalid, "get '{}': the server answered {}, want 200",
                   redact(exchange.url()), head.status);
    }
    return Response{.status = head.status,
                    .body = exchange.take_body(),
                    .etag = head.etag,
                    .last_modified = head.last_modified};
  }

  static Result<Response> get_local(const std::string& url, const GetOptions& options) {
    const std::string path = TRY(local_path(url));
    std::string body = TRY(os::read_file(path, options.limit_bytes));
    return Response{.status = 200, .body = std::move(body), .etag = "", .last_modified = ""};
  }

  Loop& loop() {
    std::call_once(started_, [this] {
      KIST_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
      loop_ = std::make_unique<Loop>(config_.connections + kSpareConnections);
    });
    return *loop_;
  }

  Config config_;
  std::once_flag started_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace

Result<std::unique_ptr<Client>> make_curl_client(Config config) {
  return std::unique_ptr<Client>(std::make_unique<CurlClient>(std::move(config)));
}

void add_credentials(Client& client, std::vector<OriginCredentials> more) {
  auto* curl = dynamic_cast<CurlClient*>(&client);
  if (curl == nullptr) return;
  for (OriginCredentials& credentials : more) curl->add(std::move(credentials));
}

Secret credentials_for(const Client& client, std::string_view url) {
  const auto* curl = dynamic_cast<const CurlClient*>(&client);
  const Secret* known = curl == nullptr ? nullptr : curl->credentials_of(origin_of(url));
  return known == nullptr ? Secret() : *known;
}

}  // namespace kist::http
