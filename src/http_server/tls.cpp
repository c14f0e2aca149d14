#include "http_server/tls.h"

#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>

#include "os/files.h"

namespace kist::http_server {
namespace {

std::string last_reason() {
  const unsigned long code = ::ERR_get_error();
  ::ERR_clear_error();
  if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) return "is not PEM: no line '-----BEGIN …-----'";
  const char* reason = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  return reason == nullptr ? "unknown reason" : reason;
}

}  // namespace

TlsContext::~TlsContext() { ::SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsFiles& files) {
  for (const std::string& path : {files.certificate, files.key}) TRY(os::open_file(path, O_RDONLY), "TLS file");
  ::ERR_clear_error();
  SSL_CTX* raw = ::SSL_CTX_new(::TLS_server_method());
  if (raw == nullptr) return Error(Code::internal, "SSL_CTX_new: {}", last_reason());
  std::shared_ptr<const TlsContext> context(new TlsContext(raw));
  ::SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  // A thousand idle connections must not hold 34 KB of buffers each.
  ::SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Where the kernel can encrypt (CONFIG_TLS), files leave by sendfile here too.
  ::SSL_CTX_set_options(raw, SSL_OP_ENABLE_KTLS | SSL_OP_NO_RENEGOTIATION);
  ::SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  if (::SSL_CTX_use_certificate_chain_file(raw, files.certificate.c_str()) != 1)
    return Error(Code::invalid, "certificate '{}': {}", files.certificate, last_reason());
  const auto other_key = [&files] {
    return Error(Code::invalid, "key '{}' is not the one of certificate '{}'", files.key, files.certificate)
        .hint("compare `openssl x509 -noout -pubkey -in CERTIFICATE` with `openssl pkey -pubout -in KEY`");
  };
  if (::SSL_CTX_use_PrivateKey_file(raw, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    if (ERR_GET_REASON(::ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH) return other_key();
    return Error(Code::invalid, "key '{}': {}", files.key, last_reason());
  }
  // One of another kind than the certificate's is taken without a word, and no client gets through.
  if (::SSL_CTX_check_private_key(raw) != 1) return other_key();
  return context;
}

}  // namespace kist::http_server
