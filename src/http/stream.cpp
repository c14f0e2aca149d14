#include "http/stream.h"

#include <curl/curl.h>

#include <cstring>
#include <map>
#include <mutex>

#include "base/text.h"
#include "os/files.h"

namespace kist::http {
namespace {

constexpr size_t kMostBuffered = 1 << 20;
// A registry that checks what it got says nothing meanwhile.
constexpr long kUploadStallSeconds = 300;
constexpr int kPollMilliseconds = 500;
constexpr uint64_t kMostCertificateBytes = 16u << 20;
constexpr int kDocumentPatience = 10;  // Times the patience with a server that says nothing.

void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  KIST_ASSERT(started == CURLE_OK);
}

class CallExchange final : public Exchange {
 public:
  CallExchange(const Config& config, Call call) : Exchange(config, call.url), call_(std::move(call)) {
    for (const std::string& header : call_.headers) add_header(header);
    // Most of what we send is wanted: not to wait a second for being told so.
    add_header("Expect:");
  }

  /// `roots`: all authorities, as PEM; outlives this. Null: those of the configuration.
  Result<void> start(const TlsFiles* tls, const std::string* roots) {
    TRY(prepare());
    const bool sends = call_.source || !call_.body.empty() || call_.method == "PUT" || call_.method == "POST" ||
                       call_.method == "PATCH";
    curl_easy_setopt(easy(), CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    if (call_.method == "HEAD") curl_easy_setopt(easy(), CURLOPT_NOBODY, 1L);
    else if (sends) prepare_upload();
    if (call_.method != "GET" && call_.method != "HEAD") {
      curl_easy_setopt(easy(), CURLOPT_CUSTOMREQUEST, call_.method.c_str());
      curl_easy_setopt(easy(), CURLOPT_FOLLOWLOCATION, 0L);
    }
    if (tls == nullptr) return {};
    if (roots != nullptr) {
      // Stands for the system's file; a folder of theirs counts beside it.
      curl_blob blob{const_cast<char*>(roots->data()), roots->size(), CURL_BLOB_NOCOPY};
      curl_easy_setopt(easy(), CURLOPT_CAINFO_BLOB, &blob);
    }
    if (!tls->certificate.empty()) curl_easy_setopt(easy(), CURLOPT_SSLCERT, tls->certificate.c_str());
    if (!tls->key.empty()) curl_easy_setopt(easy(), CURLOPT_SSLKEY, tls->key.c_str());
    return {};
  }

  Take on_body(std::string_view bytes) override {
    if (buffer_.size() >= kMostBuffered) {
      paused_ = true;
      return Take::pause;
    }
    buffer_ += bytes;
    return Take::taken;
  }

  void on_done() override {}

  /// What came since the last call; the one before it is gone.
  std::string_view take() {
    given_.swap(buffer_);
    buffer_.clear();
    return given_;
  }
  bool has_bytes() const { return !buffer_.empty(); }

  void go_on() {
    if (!paused_ || buffer_.size() >= kMostBuffered) return;
    paused_ = false;
    curl_easy_pause(easy(), CURLPAUSE_CONT);
  }

  const std::optional<Error>& source_error() const { return source_error_; }
  bool is_stopped() const { return call_.stop != nullptr && *call_.stop; }

 private:
  void prepare_upload() {
    if (!call_.source) {
      call_.source_bytes = call_.body.size();
      call_.source = [this, given = false]() mutable -> Result<std::string_view> {
        const bool first = !given;
        given = true;
        return first ? std::string_view(call_.body) : std::string_view();
      };
    }
    curl_easy_setopt(easy(), CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy(), CURLOPT_LOW_SPEED_TIME, kUploadStallSeconds);
    curl_easy_setopt(easy(), CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    if (call_.source_bytes)
      curl_easy_setopt(easy(), CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(*call_.source_bytes));
    using ReadCallback = size_t (*)(char*, size_t, size_t, void*);
    const ReadCallback read = [](char* into, size_t size, size_t count, void* self) -> size_t {
      return static_cast<CallExchange*>(self)->give(into, size * count);
    };
    curl_easy_setopt(easy(), CURLOPT_READFUNCTION, read);
    curl_easy_setopt(easy(), CURLOPT_READDATA, static_cast<void*>(this));
  }

  size_t give(char* into, size_t most) {
    if (piece_.empty()) {
      auto next = call_.source();
      if (!next) {
        source_error_ = next.error();
        return CURL_READFUNC_ABORT;
      }
      piece_ = *next;
    }
    const size_t size = std::min(most, piece_.size());
    std::memcpy(into, piece_.data(), size);
    piece_.remove_prefix(size);
    return size;
  }

  Call call_;
  std::string buffer_;
  std::string given_;
  bool paused_ = false;
  std::string_view piece_;
  std::optional<Error> source_error_;
};

}  // namespace

struct Streams::Pool {
  Config config;
  std::mutex mutex;
  std::vector<CURLM*> idle;  // Each with the connections that it has kept.
  std::map<std::vector<std::string>, std::unique_ptr<const std::string>> roots;  // By authorities; never removed.

  ~Pool() {
    for (CURLM* multi : idle) curl_multi_cleanup(multi);
  }
  CURLM* take() {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return curl_multi_init();
    CURLM* out = idle.back();
    idle.pop_back();
    return out;
  }
  // The system's authorities and these, read once.
  Result<const std::string*> roots_with(const std::vector<std::string>& authorities) {
    const std::lock_guard lock(mutex);
    auto& known = roots[authorities];
    if (known) return known.get();
    std::string all;
    if (const std::string bundle = bundle_of(config); !bundle.empty() && !os::is_folder(bundle))
      all = TRY(os::read_file(bundle, kMostCertificateBytes), "reading the system's certificates");
    for (const std::string& path : authorities) {
      const std::string one = TRY(os::read_file(path, kMostCertificateBytes), "reading a registry's certificate");
      if (one.find("-----BEGIN CERTIFICATE-----") == std::string::npos)
        return Error(Code::corrupt, "'{}' holds no certificate, want one in PEM", printable(path));
      all += "\n" + one;
    }
    known = std::make_unique<const std::string>(std::move(all));
    return known.get();
  }
  void give_back(CURLM* multi) {
    const std::lock_guard lock(mutex);
    idle.push_back(multi);
  }
};

struct Stream::State {
  std::shared_ptr<Streams::Pool> pool;
  CURLM* multi = nullptr;
  std::unique_ptr<CallExchange> exchange;
  bool done = false;
  bool may_pass = false;

  ~State() {
    if (multi == nullptr) return;
    if (exchange) curl_multi_remove_handle(multi, exchange->easy());
    exchange.reset();
    pool->give_back(multi);
  }

  // Until there is something to read, or the end.
  Result<void> wait() {
    exchange->go_on();
    while (!done && !exchange->has_bytes()) {
      int running = 0;
      if (exchange->is_stopped()) return Error(Code::unavailable, "get '{}': stopped", redact(exchange->url()));
      if (curl_multi_perform(multi, &running) != CURLM_OK)
        return Error(Code::internal, "curl cannot go on with '{}'", redact(exchange->url()));
      take_messages();
      if (done || exchange->has_bytes()) break;
      curl_multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr);
    }
    if (!done || exchange->has_bytes()) return {};
    if (exchange->source_error()) return *exchange->source_error();
    const auto failure = exchange->transport_failure();
    if (!failure) return {};
    may_pass = failure->may_pass;
    return failure->error;
  }

  void take_messages() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      exchange->set_code(message->data.result);
      done = true;
    }
  }
};

Stream::Stream(std::unique_ptr<State> state) : state_(std::move(state)) {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() = default;

const Head& Stream::head() const { return state_->exchange->head(); }

bool Stream::may_pass() const { return state_->may_pass; }

std::string Stream::effective_url() const {
  const char* url = nullptr;
  curl_easy_getinfo(state_->exchange->easy(), CURLINFO_EFFECTIVE_URL, &url);
  return url == nullptr ? "" : url;
}

Result<std::string_view> Stream::read() {
  TRY(state_->wait());
  return state_->exchange->take();
}

Result<std::string> Stream::read_all(uint64_t limit_bytes) {
  // A server that drips a little faster than what counts as nothing must not hold us for hours.
  const auto patience = kDocumentPatience * state_->pool->config.stall_timeout;
  const auto end = std::chrono::steady_clock::now() + patience;
  std::string out;
  while (true) {
    const std::string_view piece = TRY(read());
    if (piece.empty()) return out;
    if (out.size() + piece.size() > limit_bytes)
      return Error(Code::invalid, "'{}': the answer is longer than the limit of {}", redact(state_->exchange->url()),
                   human_bytes(limit_bytes));
    out += piece;
    if (std::chrono::steady_clock::now() > end)
      return Error(Code::unavailable, "'{}': {} of a document came in {} s", redact(state_->exchange->url()),
                   human_bytes(out.size()), std::chrono::seconds(patience).count());
  }
}

Streams::Streams(Config config) : pool_(std::make_shared<Pool>()) {
  start_curl();
  pool_->config = std::move(config);
}
Streams::~Streams() = default;

const Config& Streams::config() const { return pool_->config; }

Result<Stream> Streams::open(Call call, const TlsFiles* tls, bool* is_connect) {
  auto state = std::make_unique<Stream::State>();
  state->pool = pool_;
  state->exchange = std::make_unique<CallExchange>(pool_->config, std::move(call));
  const std::string* roots = nullptr;
  if (tls != nullptr && !tls->authorities.empty()) roots = TRY(pool_->roots_with(tls->authorities));
  TRY(state->exchange->start(tls, roots));
  state->multi = pool_->take();
  KIST_ASSERT(state->multi != nullptr);
  curl_multi_add_handle(state->multi, state->exchange->easy());
  if (auto waited = state->wait(); !waited) {
    const CURLcode code = state->exchange->code();
    if (is_connect != nullptr)
      *is_connect = code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR || code == CURLE_RECV_ERROR ||
                    code == CURLE_GOT_NOTHING;
    // A connection that is cut while the answer begins is worth another try, whatever it was to bring.
    if (code == CURLE_PARTIAL_FILE) return Error(Code::unavailable, "{}", waited.error().message());
    return waited.error();
  }
  return Stream(std::move(state));
}

}  // namespace kist::http
