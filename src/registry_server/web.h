// Requests to other servers whose answers' headers matter: registries, object storage. Module-private.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "http/client.h"
#include "os/fd.h"

namespace kist::registry_server {

struct WebRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;    // "Accept: …"
  http::Secret user_and_password;      // Basic, or the keys of `signing`.
  http::Secret bearer;
  std::string signing;                 // "aws:amz:REGION:s3": AWS signature, version 4.
  const os::Fd* file = nullptr;        // The body: part of a file,
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
  std::string text;                    // or a text.
  uint64_t limit_bytes = 16u << 20;    // Of an answer that is kept in memory.
  /// Takes the body of a 2xx answer instead. An error ends the request and is its error.
  std::function<Result<void>(std::string_view bytes)> on_body;
  /// With `on_body`: called before its first call, with the status and the headers. Not for an empty body.
  std::function<Result<void>(const struct WebAnswer& head)> on_head;
  /// Ends the request once it is true, within a second.
  const std::atomic<bool>* is_cancelled = nullptr;
};

struct WebAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // Of the last answer, names in lower case.
  std::string body;

  std::string header(const std::string& name) const {
    const auto at = headers.find(name);
    return at == headers.end() ? "" : at->second;
  }
};

/// Threads: any; each request blocks its own. Connections are kept and used again. Redirects are
/// followed; credentials go to no other host.
class Web {
 public:
  explicit Web(http::Config config);
  ~Web();
  Web(const Web&) = delete;
  Web& operator=(const Web&) = delete;

  /// Any status is an answer. Errors: unavailable (no answer), invalid (over the limit), those of on_body.
  Result<WebAnswer> ask(const WebRequest& request);

 private:
  void* take();
  void give_back(void* handle);

  http::Config config_;
  std::mutex mutex_;  // Guards what follows.
  std::vector<void*> idle_;
};

}  // namespace kist::registry_server
