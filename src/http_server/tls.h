// Certificates of a server, and the connections that use them.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace kist::http_server {

struct TlsFiles {
  std::string certificate;  // PEM, with the chain.
  std::string key;          // PEM.
};

/// One certificate and its key, loaded. TLS 1.2 and 1.3. Threads: any; made once, then only read.
class TlsContext {
 public:
  /// Errors: not_found, denied, invalid (not PEM, or the key is another certificate's).
  static Result<std::shared_ptr<const TlsContext>> load(const TlsFiles& files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

}  // namespace kist::http_server
