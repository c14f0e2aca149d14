// One HTTP exchange: a curl handle, what the answer's head said, and where its body goes.
#pragma once

#include <curl/curl.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/client.h"

namespace kist::http {

/// The head of the last answer; heads of redirects and of "100 Continue" are forgotten.
struct Head {
  int status = 0;
  std::string etag;
  std::string last_modified;
  std::string retry_after;
  std::string content_range;
  std::optional<uint64_t> content_length;
  std::vector<std::pair<std::string, std::string>> fields;  // All of them, names in lower case.

  /// The first of that name (lower case); empty when there is none.
  std::string_view field(std::string_view name) const;
};

/// "bytes 5-9/10" or "bytes */10".
struct ContentRange {
  std::optional<uint64_t> first;
  std::optional<uint64_t> last;  // Inclusive.
  std::optional<uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view text);

/// The file (or folder) of authorities that answers are checked against; empty when SSL_CERT_DIR alone is.
std::string bundle_of(const Config& config);

/// Why an exchange gave no good answer, and what may be done about it.
struct Failure {
  Error error;
  bool may_pass = false;                              // Worth another try.
  bool is_connect = false;                            // We did not even reach the server.
  std::optional<std::chrono::seconds> retry_after{};  // As the server wishes.
  bool is_local = false;                              // Our own disk: no other server helps.
};

/// What the loop drives. Made by any thread, then on_body() and on_done() are called on the loop's
/// thread only. Lifetime: shared by its maker and the loop, since either may be done first.
class Exchange {
 public:
  enum class Take { taken, pause, abort };

  /// `url` may hold credentials; messages show it redacted. `config` must outlive this.
  Exchange(const Config& config, const std::string& url);
  virtual ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Errors: invalid (not a URL, or not http or https).
  Result<void> prepare();
  void add_header(const std::string& line);

  virtual Take on_body(std::string_view bytes) = 0;
  virtual void on_done() = 0;

  CURL* easy() const { return easy_; }
  const Head& head() const { return head_; }
  const std::string& url() const { return url_; }
  void set_code(CURLcode code) { code_ = code; }
  CURLcode code() const { return code_; }
  /// From any thread: the loop drops the exchange soon and calls on_done() with
  /// CURLE_ABORTED_BY_CALLBACK (through Loop::wake).
  std::atomic<bool> cancelled{false};

  /// The failure that code() and head() amount to; empty for an answer of 2xx, 304 and 416, which
  /// the caller judges.
  std::optional<Failure> failure() const;
  /// What kept an answer from coming whole, whatever the answer is; empty when it is whole.
  std::optional<Failure> transport_failure() const;

 protected:
  /// Refuses the answer with an error of our own; on_body() then returns abort.
  void refuse(Failure failure) { refused_ = std::move(failure); }
  bool is_error_status() const { return head_.status >= 400; }
  /// Counts what an error answer says, which nobody reads.
  Take skip_error_body(std::string_view bytes);

 private:
  void set_tls();
  void set_proxy();
  void set_credentials();
  bool on_header(std::string_view line);
  bool on_location(std::string_view target);
  Failure curl_failure() const;
  std::optional<Failure> tunnel_failure() const;
  Failure status_failure() const;

  const Config& config_;
  std::string url_;
  std::string scheme_;          // Of the address that answers now: redirects change it.
  bool is_unverified_ = false;  // TLS without certificates, for this host alone.
  CURL* easy_;
  curl_slist* headers_ = nullptr;
  char curl_message_[CURL_ERROR_SIZE] = {};
  Head head_;
  CURLcode code_ = CURLE_OK;
  size_t header_bytes_ = 0;
  size_t error_body_bytes_ = 0;
  std::optional<Failure> refused_;
};

}  // namespace kist::http
