// What a server of HTTP/1.1 hands to who answers, and what it gets back. No network library is seen
// here: handlers are plain code, and tests call them without a socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "http_server/growing_file.h"
#include "os/fd.h"

namespace kist::http_server {

/// One request without its body. Views live until its answer is sent.
struct Request {
  std::string_view method;  // "GET"
  std::string_view target;  // As it came: "/v2/a/tags/list?n=5".
  std::string_view peer;    // "192.0.2.7", without the port.
  bool is_tls = false;
  bool has_body = false;
  std::optional<uint64_t> content_length;  // None: there is no body, or it comes in chunks.
  std::vector<std::pair<std::string_view, std::string_view>> fields;

  /// Of a field, by its name in any case; empty when it is not there. Of several the first.
  std::string_view header(std::string_view name) const;
};

/// Part of a regular file; leaves by sendfile(2).
struct FileBody {
  std::shared_ptr<const os::Fd> file;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

/// Bytes that are made while they are sent. `produce` runs on a thread of its own kind and may wait;
/// `write` waits for the client. Anything but exactly `size_bytes` closes the connection, so that the
/// client sees that something is missing.
struct ProducedBody {
  using Write = std::function<Result<void>(std::string_view bytes)>;
  uint64_t size_bytes = 0;
  std::function<Result<void>(const Write& write)> produce;
};

/// Part of a file that is still being written; its bytes leave as they come. The last of them leaves only
/// when the file has turned out good: a client that gets all has the right ones, and any other sees that its
/// connection was cut.
struct GrowingBody {
  std::shared_ptr<GrowingFile> file;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

struct Response {
  int status = 200;
  std::string head;  // Further header lines, each with its "\r\n".
  std::variant<std::string, std::shared_ptr<const std::string>, FileBody, ProducedBody, GrowingBody> body;

  /// Adds a header line. A value with a control byte in it is left out: it would begin a line of its own.
  Response& add(std::string_view name, std::string_view value);
  uint64_t size_bytes() const;
};

/// Takes the body of a request. Destroyed without finish(): the client went away.
class BodyReceiver {
 public:
  virtual ~BodyReceiver() = default;
  /// The next bytes. On the thread of the connection: may write to a file, must not wait for others.
  virtual Result<void> take(std::string_view bytes) = 0;
  /// After the last byte, on a thread that may wait.
  virtual Response finish() = 0;
  /// After take() failed; the rest of the body is not read.
  virtual Response failed(const Error& error) = 0;
};

struct Answer;
/// Has to wait for a disk or another server: runs on a thread that may. The request outlives it.
struct Later {
  std::function<Answer()> work;
};
struct Answer {
  std::variant<Response, Later, std::unique_ptr<BodyReceiver>> what;
  // NOLINTNEXTLINE(google-explicit-constructor): so that handlers return either.
  Answer(Response response) : what(std::move(response)) {}
  Answer(Later later) : what(std::move(later)) {}
  Answer(std::unique_ptr<BodyReceiver> receiver) : what(std::move(receiver)) {}
};

/// How a request ended, for logs and metrics.
struct Outcome {
  int status = 0;
  uint64_t received_bytes = 0;  // Of the body.
  uint64_t sent_bytes = 0;      // Of the body.
  double seconds = 0;           // From the last byte of the request's head to the last of the answer.
  bool is_whole = true;         // false: the client went away, or a time limit passed.
};

/// Threads: all methods from several at once.
class Handler {
 public:
  virtual ~Handler() = default;
  /// Must not wait: answers from memory or the page cache, or returns Later or a receiver.
  virtual Answer handle(const Request& request) = 0;
  virtual void done(const Request& request, const Outcome& outcome) = 0;
};

std::string_view reason_of(int status);

}  // namespace kist::http_server
