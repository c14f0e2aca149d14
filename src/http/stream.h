// One call of any method, whose body is read piece by piece by the thread that made it. For what is
// no file: protocols with answers of their own, and bodies that go straight into something else.
//
//   http::Streams streams(config);
//   http::Stream answer = TRY(streams.open({.method = "GET", .url = url}));
//   if (answer.head().status == 200) …
//   while (true) { const std::string_view piece = TRY(answer.read()); if (piece.empty()) break; … }
//
// Redirects of GET and HEAD are followed as Client does; Authorization is not sent to another origin.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "http/exchange.h"

namespace kist::http {

struct Call {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Accept: …"
  std::string body;
  /// Instead of `body`: gives the next piece, valid until the next call; empty at the end. Runs in
  /// the thread that waits for the answer.
  std::function<Result<std::string_view>()> source;
  std::optional<uint64_t> source_bytes;  // Empty: sent in chunks.
  /// Set by another thread, it ends waiting for the answer soon, with unavailable. Outlives the stream.
  const std::atomic<bool>* stop = nullptr;
};

/// Certificates of one registry: who may say who it is, beside the system's own, and who we are. Paths; empty: none.
struct TlsFiles {
  std::vector<std::string> authorities;
  std::string certificate;
  std::string key;
};

/// An answer on its way. Movable; dropping it ends the transfer. One thread at a time.
class Stream {
 public:
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  const Head& head() const;
  /// Where the answer came from after redirects.
  std::string effective_url() const;
  /// The next piece, valid until the next call; empty at the end. Errors: those of the network.
  Result<std::string_view> read();
  /// All that is left. Errors: those of read(); invalid when it is longer than `limit_bytes`, unavailable
  /// when it takes more than ten times Config::stall_timeout.
  Result<std::string> read_all(uint64_t limit_bytes);
  /// Whether the last error may pass by itself.
  bool may_pass() const;

 private:
  friend class Streams;
  struct State;
  explicit Stream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Keeps connections for calls to come. Threads: any.
class Streams {
 public:
  explicit Streams(Config config);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /// Sends the call and waits for the head of the answer, of any status. `is_connect`, when given, tells
  /// of an error whether the server was not even reached, or did not speak TLS.
  /// Errors: unavailable, denied (certificate), invalid (address), those of `source` and of reading `tls`.
  Result<Stream> open(Call call, const TlsFiles* tls = nullptr, bool* is_connect = nullptr);

  const Config& config() const;

 private:
  friend class Stream;
  struct Pool;
  std::shared_ptr<Pool> pool_;
};

}  // namespace kist::http
