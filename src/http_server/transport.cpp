#include "http_server/transport.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kist::http_server {
namespace {

// What one call sends at most: others on this thread wait meanwhile.
constexpr uint64_t kMaxAtOnce = 1 << 20;

Moved moved_or(ssize_t result, Need again) {
  if (result > 0) return {static_cast<size_t>(result), Need::nothing};
  if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return {0, again};
  return {0, Need::closed};
}

}  // namespace

Transport::Transport(int socket, const TlsContext* context) : socket_(socket) {
  if (context == nullptr) return;
  tls_ = ::SSL_new(context->get());
  if (tls_ == nullptr) return;
  ::SSL_set_fd(tls_, socket_);
  ::SSL_set_accept_state(tls_);
}

Transport::~Transport() {
  if (tls_ != nullptr) ::SSL_free(tls_);
}

Need Transport::need_of(int result) {
  switch (::SSL_get_error(tls_, result)) {
    case SSL_ERROR_WANT_READ: return Need::read;
    case SSL_ERROR_WANT_WRITE: return Need::write;
    default: return Need::closed;
  }
}

Need Transport::handshake() {
  ::ERR_clear_error();
  const int result = ::SSL_do_handshake(tls_);
  if (result != 1) return need_of(result);
  in_kernel_ = BIO_get_ktls_send(::SSL_get_wbio(tls_)) != 0;
  return Need::nothing;
}

bool Transport::holds_bytes() const { return tls_ != nullptr && ::SSL_has_pending(tls_) == 1; }

Moved Transport::read(char* to, size_t size_bytes) {
  if (tls_ == nullptr) return moved_or(::recv(socket_, to, size_bytes, 0), Need::read);
  ::ERR_clear_error();
  size_t got = 0;
  const int result = ::SSL_read_ex(tls_, to, size_bytes, &got);
  if (result == 1) return {got, Need::nothing};
  return {0, need_of(result)};
}

Moved Transport::write_tls(const char* from, size_t size_bytes) {
  ::ERR_clear_error();
  size_t sent = 0;
  const int result = ::SSL_write_ex(tls_, from, size_bytes, &sent);
  if (result == 1) return {sent, Need::nothing};
  return {0, need_of(result)};
}

void Transport::fill_segments(bool is_wanted) {
  const int value = is_wanted ? 1 : 0;
  (void)::setsockopt(socket_, IPPROTO_TCP, TCP_CORK, &value, sizeof value);  // Costs speed at worst.
}

Moved Transport::write(const iovec* pieces, size_t count, bool has_more) {
  if (tls_ == nullptr) {
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(pieces);
    message.msg_iovlen = count;
    return moved_or(::sendmsg(socket_, &message, MSG_NOSIGNAL | (has_more ? MSG_MORE : 0)), Need::write);
  }
  for (size_t i = 0; i < count; ++i)
    if (pieces[i].iov_len != 0) return write_tls(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  return {};
}

Moved Transport::send_file(int file, uint64_t offset, uint64_t size_bytes, char* scratch, size_t scratch_bytes) {
  const size_t size = static_cast<size_t>(std::min(size_bytes, kMaxAtOnce));
  if (tls_ == nullptr) {
    auto at = static_cast<off_t>(offset);
    return moved_or(::sendfile(socket_, file, &at, size), Need::write);
  }
  if (in_kernel_) {
    ::ERR_clear_error();
    const ssize_t sent = ::SSL_sendfile(tls_, file, static_cast<off_t>(offset), size, 0);
    if (sent > 0) return {static_cast<size_t>(sent), Need::nothing};
    return {0, sent == 0 ? Need::closed : need_of(-1)};
  }
  const ssize_t got = ::pread(file, scratch, std::min(size, scratch_bytes), static_cast<off_t>(offset));
  if (got <= 0) return {0, Need::closed};
  return write_tls(scratch, static_cast<size_t>(got));
}

void Transport::shutdown() {
  if (tls_ == nullptr) return;
  ::ERR_clear_error();
  ::SSL_shutdown(tls_);
}

}  // namespace kist::http_server
