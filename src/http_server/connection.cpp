// One client, from its first byte to its last.
//
// Beast parses; bytes are moved by Transport, without waiting, and between two waits everything that
// was read is used up. So one buffer of the thread serves all its connections, and a client that
// sends one byte a minute costs its socket and a coroutine's frame. Deadlines are fields that the
// thread's sweep compares four times a second: a timer for each operation cost a tenth of a request.
//
// Longer than most files: each file that includes Beast takes half a minute to compile, so what needs it is here.
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/text.h"
#include "http_server/loop.h"
#include "http_server/transport.h"

namespace kist::http_server {
namespace {

namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr uint64_t kDrainBytes = 1 << 20;  // A body that nobody wants is read to its end up to this.
// Many clients look for an answer only after they have sent all.
constexpr std::chrono::seconds kLinger{5};
constexpr int kCallsInARow = 8;  // Of sendfile, each up to a megabyte.
constexpr uint64_t kLingerBytes = 256 << 20;
constexpr uint64_t kSmallFile = 16 << 10;

// Beast's parser gives what it finds of a body to the receiver at once.
struct ReceivedBody {
  struct value_type {
    BodyReceiver* receiver = nullptr;  // Null: the body is thrown away.
    uint64_t bytes = 0;
    std::optional<Error> error;
  };
  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>&, value_type& to) : to_(to) {}
    void init(const boost::optional<uint64_t>&, error_code& error) { error = {}; }
    template <class Buffers>
    size_t put(const Buffers& buffers, error_code& error) {
      error = {};
      size_t used = 0;
      for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
        const asio::const_buffer piece(*at);
        used += piece.size();
        to_.bytes += piece.size();
        if (to_.receiver == nullptr || to_.error) continue;
        auto taken = to_.receiver->take({static_cast<const char*>(piece.data()), piece.size()});
        if (taken) continue;
        to_.error = std::move(taken.error());
        error = http::error::body_limit;
      }
      return used;
    }
    void finish(error_code& error) { error = {}; }

   private:
    value_type& to_;
  };
};

using HeadParser = http::request_parser<http::empty_body>;
using BodyParser = http::request_parser<ReceivedBody>;

Response plain_response(int status) {
  Response response;
  response.status = status;
  response.add("Content-Type", "text/plain");
  response.body = fmt::format("{}\n", reason_of(status));
  return response;
}

bool has_no_body(int status) { return status == 204 || status == 304 || status < 200; }

}  // namespace

class Connection {
 public:
  Connection(tcp::socket socket, Loop& loop, std::shared_ptr<const TlsContext> tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  asio::awaitable<void> run();
  bool is_idle() const { return is_idle_; }
  bool is_late(Clock::time_point now) const { return now > deadline_; }
  bool is_left();
  void cancel();

 private:
  asio::awaitable<bool> wait(Need need);
  asio::awaitable<bool> shake_hands();
  asio::awaitable<int> read_head(HeadParser& parser);  // 0, or the status to refuse with; -1: gone.
  asio::awaitable<bool> answer(HeadParser& head);
  asio::awaitable<bool> read_more();
  asio::awaitable<bool> receive(BodyParser& parser, uint64_t limit_bytes);
  asio::awaitable<Response> response_of(const Request& request, BodyParser& parser);
  asio::awaitable<bool> send(const Request& request, Response& response, bool keep);
  asio::awaitable<bool> write_all(std::string_view head, std::string_view body, bool has_more = false);
  asio::awaitable<bool> send_small_file(const std::string& head, const FileBody& body);
  asio::awaitable<bool> send_file(const os::Fd& file, uint64_t offset, uint64_t size_bytes);
  asio::awaitable<bool> send_growing(const GrowingBody& body);
  asio::awaitable<bool> more_of(GrowingFile& file, uint64_t bytes);
  asio::awaitable<bool> produce(const ProducedBody& body);
  asio::awaitable<void> linger();
  template <class Work>
  asio::awaitable<void> elsewhere(asio::thread_pool& pool, Work work);
  Request request_of(const HeadParser& parser) const;
  void begin_phase(std::chrono::seconds grace);
  void progress(uint64_t bytes);
  const Limits& limits() const { return loop_.shared.options.limits; }

  Loop& loop_;
  std::list<Connection*>::iterator place_;
  tcp::socket socket_;
  std::shared_ptr<const TlsContext> tls_;  // The context must outlive its connections.
  Transport transport_;
  // Never runs out: who waits for a file to grow waits for its cancel(). Shared with what is posted to do that.
  std::shared_ptr<asio::steady_timer> growth_;
  std::string peer_;
  std::string pending_;  // Read, and not used yet.
  Clock::time_point deadline_ = Clock::time_point::max();
  Clock::time_point phase_began_;
  std::chrono::seconds grace_{0};
  uint64_t phase_bytes_ = 0;
  uint64_t sent_bytes_ = 0;
  bool is_idle_ = false;
  bool must_close_ = false;
  bool is_cancelled_ = false;
  bool awaits_growth_ = false;
};

Connection::Connection(tcp::socket socket, Loop& loop, std::shared_ptr<const TlsContext> tls)
    : loop_(loop), socket_(std::move(socket)), tls_(std::move(tls)), transport_(socket_.native_handle(), tls_.get()),
      growth_(std::make_shared<asio::steady_timer>(loop.context, Clock::time_point::max())) {
  place_ = loop_.connections.insert(loop_.connections.end(), this);
  error_code error;
  socket_.non_blocking(true, error);
  socket_.native_non_blocking(true, error);
  socket_.set_option(tcp::no_delay(true), error);
  const tcp::endpoint remote = socket_.remote_endpoint(error);
  peer_ = error ? "?" : remote.address().to_string();
}

Connection::~Connection() {
  loop_.connections.erase(place_);
  --loop_.shared.connections;
}

void Connection::cancel() {
  error_code error;
  deadline_ = Clock::time_point::max();
  must_close_ = true;
  // Ends a wait of this thread, and a write of a producer on another one.
  ::shutdown(socket_.native_handle(), SHUT_RDWR);
  socket_.cancel(error);
  growth_->cancel();
  is_cancelled_ = true;
}

// Nobody else looks at the socket while a file has to grow: who has closed would hold a place until it does.
bool Connection::is_left() {
  if (!awaits_growth_) return false;
  pollfd socket{socket_.native_handle(), POLLRDHUP, 0};
  return ::poll(&socket, 1, 0) > 0;
}

void Connection::begin_phase(std::chrono::seconds grace) {
  phase_began_ = Clock::now();
  grace_ = grace;
  phase_bytes_ = 0;
  deadline_ = phase_began_ + grace;
}

void Connection::progress(uint64_t bytes) {
  phase_bytes_ += bytes;
  deadline_ = phase_began_ + grace_ + std::chrono::seconds(phase_bytes_ / std::max<uint64_t>(limits().min_bytes_per_second, 1));
}

asio::awaitable<bool> Connection::wait(Need need) {
  if (need == Need::closed) co_return false;
  const auto kind = need == Need::read ? tcp::socket::wait_read : tcp::socket::wait_write;
  auto [error] = co_await socket_.async_wait(kind, kAwait);
  co_return !error;
}

template <class Work>
asio::awaitable<void> Connection::elsewhere(asio::thread_pool& pool, Work work) {
  deadline_ = Clock::time_point::max();  // Not the client's fault.
  auto start = [this, &pool, &work](auto handler) {
    asio::post(pool, [this, &work, done = std::move(handler)]() mutable {
      work();
      asio::post(loop_.context, std::move(done));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
}

asio::awaitable<bool> Connection::shake_hands() {
  begin_phase(limits().head);
  while (true) {
    const Need need = transport_.handshake();
    if (need == Need::nothing) co_return true;
    const bool is_ready = co_await wait(need);
    if (!is_ready) co_return false;
  }
}

asio::awaitable<int> Connection::read_head(HeadParser& parser) {
  is_idle_ = pending_.empty();
  begin_phase(is_idle_ ? limits().idle : limits().head);
  if (is_idle_ && loop_.shared.is_stopping) co_return -1;
  while (true) {
    if (!pending_.empty()) {
      error_code error;
      const size_t used = parser.put(asio::buffer(pending_), error);
      pending_.erase(0, used);
      if (parser.is_header_done()) co_return 0;
      if (error == http::error::header_limit) co_return 431;
      if (error && error != http::error::need_more) co_return 400;
      // One line without an end is as much as all of them.
      if (pending_.size() > limits().head_bytes) co_return 431;
    }
    if (!transport_.holds_bytes()) {
      const bool is_ready = co_await wait(Need::read);
      if (!is_ready) co_return -1;
    }
    const Moved got = transport_.read(loop_.scratch.data(), 16 << 10);
    if (got.need == Need::closed) co_return -1;
    if (got.need == Need::write) {
      const bool is_ready = co_await wait(Need::write);
      if (!is_ready) co_return -1;
    }
    if (got.bytes != 0 && is_idle_) {
      is_idle_ = false;
      begin_phase(limits().head);
    }
    pending_.append(loop_.scratch.data(), got.bytes);
  }
}

Request Connection::request_of(const HeadParser& parser) const {
  Request request;
  const auto& message = parser.get();
  request.method = {message.method_string().data(), message.method_string().size()};
  request.target = {message.target().data(), message.target().size()};
  request.peer = peer_;
  request.is_tls = transport_.is_tls();
  if (const auto length = parser.content_length()) request.content_length = *length;
  request.has_body = parser.chunked() || request.content_length.value_or(0) != 0;
  request.fields.reserve(8);
  for (const auto& field : message)
    request.fields.emplace_back(std::string_view(field.name_string().data(), field.name_string().size()),
                                std::string_view(field.value().data(), field.value().size()));
  return request;
}

asio::awaitable<bool> Connection::read_more() {
  while (true) {
    const Moved got = transport_.read(loop_.scratch.data(), 16 << 10);
    pending_.append(loop_.scratch.data(), got.bytes);
    if (got.bytes != 0) co_return true;
    const bool is_ready = co_await wait(got.need);
    if (!is_ready) co_return false;
  }
}

asio::awaitable<bool> Connection::receive(BodyParser& parser, uint64_t limit_bytes) {
  begin_phase(limits().body_grace);
  auto& body = parser.get().body();
  while (!parser.is_done()) {
    std::string_view bytes = pending_;
    if (bytes.empty()) {
      const Moved got = transport_.read(loop_.scratch.data(), loop_.scratch.size());
      if (got.bytes == 0) {
        const bool is_ready = co_await wait(got.need);
        if (!is_ready) co_return false;
        continue;
      }
      bytes = {loop_.scratch.data(), got.bytes};
    }
    const size_t size = bytes.size();
    error_code error;
    while (!bytes.empty() && !parser.is_done() && !error)
      bytes.remove_prefix(parser.put(asio::const_buffer(bytes.data(), bytes.size()), error));
    if (error == http::error::need_more) error = {};
    std::string rest(bytes);
    pending_ = std::move(rest);
    progress(size);
    if (error || body.bytes > limit_bytes) co_return false;
    if (parser.is_done() || pending_.empty()) continue;
    // The head of a chunk that has come in part: it can be parsed with what follows it.
    if (pending_.size() > limits().head_bytes) co_return false;
    const bool has_more = co_await read_more();
    if (!has_more) co_return false;
  }
  co_return true;
}

asio::awaitable<Response> Connection::response_of(const Request& request, BodyParser& parser) {
  Answer answer = loop_.shared.handler.handle(request);
  while (auto* later = std::get_if<Later>(&answer.what)) {
    std::function<Answer()> work = std::move(later->work);
    co_await elsewhere(loop_.shared.waiting, [&] { answer = work(); });
  }
  auto* receiver = std::get_if<std::unique_ptr<BodyReceiver>>(&answer.what);
  auto& body = parser.get().body();
  const bool expects = request.has_body && request.header("Expect") == "100-continue";
  if (receiver == nullptr) {
    const bool is_small = !expects && request.content_length.value_or(0) <= kDrainBytes;
    bool is_drained = !request.has_body;
    if (request.has_body && is_small) is_drained = co_await receive(parser, kDrainBytes);
    if (!is_drained) must_close_ = true;
    co_return std::move(std::get<Response>(answer.what));
  }
  body.receiver = receiver->get();
  if (expects) {
    const bool is_told = co_await write_all("HTTP/1.1 100 Continue\r\n\r\n", {});
    if (!is_told) must_close_ = true;
  }
  const bool is_whole = co_await receive(parser, UINT64_MAX);
  if (body.error) {
    must_close_ = true;
    co_return (*receiver)->failed(*body.error);
  }
  Response response;
  if (!is_whole) {
    must_close_ = true;
    response.status = 400;  // Nobody hears it: the client is gone, or has sent no body of HTTP.
    receiver->reset();
    co_return response;
  }
  co_await elsewhere(loop_.shared.waiting, [&] { response = (*receiver)->finish(); });
  co_return response;
}

asio::awaitable<bool> Connection::write_all(std::string_view head, std::string_view body, bool has_more) {
  begin_phase(limits().body_grace);
  while (!head.empty() || !body.empty()) {
    const std::array<iovec, 2> pieces{iovec{const_cast<char*>(head.data()), head.size()},
                                      iovec{const_cast<char*>(body.data()), body.size()}};
    const Moved sent = transport_.write(pieces.data(), pieces.size(), has_more);
    progress(sent.bytes);
    const size_t of_head = std::min(sent.bytes, head.size());
    head.remove_prefix(of_head);
    body.remove_prefix(sent.bytes - of_head);
    sent_bytes_ += sent.bytes - of_head;
    if (sent.need == Need::nothing) continue;
    const bool is_ready = co_await wait(sent.need);
    if (!is_ready) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> Connection::send_file(const os::Fd& file, uint64_t offset, uint64_t size_bytes) {
  begin_phase(limits().body_grace);
  transport_.fill_segments(true);
  uint64_t done = 0;
  int calls = 0;
  while (done < size_bytes) {
    const Moved sent = transport_.send_file(file.get(), offset + done, size_bytes - done, loop_.scratch.data(), loop_.scratch.size());
    done += sent.bytes;
    sent_bytes_ += sent.bytes;
    progress(sent.bytes);
    Need need = sent.need;
    // The others' turn: a client that reads as fast as we write would never let go.
    if (need == Need::nothing && ++calls % kCallsInARow == 0) need = Need::write;
    if (need == Need::nothing) continue;
    const bool is_ready = co_await wait(need);
    if (!is_ready) co_return false;
  }
  transport_.fill_segments(false);
  co_return true;
}

// With its head in one call: sendfile's own pipe costs more than a copy of so little.
asio::awaitable<bool> Connection::send_small_file(const std::string& head, const FileBody& body) {
  std::string bytes(body.size_bytes, '\0');
  const ssize_t got = ::pread(body.file->get(), bytes.data(), bytes.size(), static_cast<off_t>(body.offset));
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  const bool is_sent = co_await write_all(head, bytes);
  co_return is_sent && bytes.size() == body.size_bytes;
}

// Whether it is worth looking again; not when the connection must end.
asio::awaitable<bool> Connection::more_of(GrowingFile& file, uint64_t bytes) {
  deadline_ = Clock::time_point::max();  // Not the client's fault.
  // What wakes us is posted to this thread, so it cannot come before the wait has begun.
  const uint64_t ticket = file.when_more(bytes, [this] { asio::post(loop_.context, [timer = growth_] { timer->cancel(); }); });
  awaits_growth_ = true;
  co_await growth_->async_wait(kAwait);
  awaits_growth_ = false;
  file.forget(ticket);
  co_return !is_cancelled_;
}

asio::awaitable<bool> Connection::send_growing(const GrowingBody& body) {
  uint64_t done = 0;
  while (done < body.size_bytes) {
    const GrowingFile::Seen seen = body.file->seen();
    if (seen.state == GrowingFile::State::broken) co_return false;
    const bool is_good = seen.state == GrowingFile::State::good;
    const uint64_t here = std::min(std::max(seen.bytes, body.offset) - body.offset, body.size_bytes - (is_good ? 0 : 1));
    if (here <= done) {
      if (is_good) co_return false;  // It has become shorter than it was said to be.
      const bool goes_on = co_await more_of(*body.file, seen.bytes);
      if (!goes_on) co_return false;
      continue;
    }
    const bool is_sent = co_await send_file(body.file->file(), body.offset + done, here - done);
    if (!is_sent) co_return false;
    done = here;
  }
  co_return true;
}

asio::awaitable<bool> Connection::produce(const ProducedBody& body) {
  uint64_t done = 0;
  bool is_good = false;
  const Limits& limit = limits();
  const auto write = [&](std::string_view bytes) -> Result<void> {
    if (bytes.size() > body.size_bytes - done) return Error(Code::internal, "a body is longer than it was said to be");
    done += bytes.size();
    auto until = Clock::now() + limit.body_grace;
    while (!bytes.empty()) {
      const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
      const Moved sent = transport_.write(&piece, 1);
      bytes.remove_prefix(sent.bytes);
      if (sent.need == Need::nothing) continue;
      pollfd wanted{socket_.native_handle(), static_cast<short>(sent.need == Need::read ? POLLIN : POLLOUT), 0};
      if (sent.need == Need::closed || ::poll(&wanted, 1, 1000) < 0 || Clock::now() > until)
        return Error(Code::unavailable, "the client went away");
    }
    return {};
  };
  co_await elsewhere(loop_.shared.producing, [&] { is_good = body.produce(write).has_value(); });
  sent_bytes_ += done;
  co_return is_good && done == body.size_bytes;
}

asio::awaitable<bool> Connection::send(const Request& request, Response& response, bool keep) {
  const bool is_head = request.method == "HEAD";
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_of(response.status));
  head.reserve(head.size() + loop_.date.size() + response.head.size() + 64);
  head += loop_.date;
  head += response.head;
  if (!has_no_body(response.status)) head += fmt::format("Content-Length: {}\r\n", response.size_bytes());
  head += keep ? "\r\n" : "Connection: close\r\n\r\n";
  if (is_head || has_no_body(response.status)) {
    const bool is_sent = co_await write_all(head, {});
    co_return is_sent;
  }
  std::string_view body;
  if (const auto* text = std::get_if<std::string>(&response.body)) body = *text;
  if (const auto* shared = std::get_if<std::shared_ptr<const std::string>>(&response.body))
    if (*shared) body = **shared;
  const auto* file = std::get_if<FileBody>(&response.body);
  if (file != nullptr && file->size_bytes <= kSmallFile) {
    const bool is_whole = co_await send_small_file(head, *file);
    co_return is_whole;
  }
  bool is_sent = co_await write_all(head, body, file != nullptr);
  if (!is_sent) co_return false;
  if (file != nullptr) is_sent = co_await send_file(*file->file, file->offset, file->size_bytes);
  if (const auto* growing = std::get_if<GrowingBody>(&response.body)) is_sent = co_await send_growing(*growing);
  if (const auto* made = std::get_if<ProducedBody>(&response.body)) is_sent = co_await produce(*made);
  co_return is_sent;
}

asio::awaitable<bool> Connection::answer(HeadParser& head) {
  const auto began = Clock::now();
  const Request request = request_of(head);
  BodyParser parser(std::move(head));
  parser.body_limit(boost::none);
  parser.eager(true);
  sent_bytes_ = 0;
  Response response = co_await response_of(request, parser);
  const bool keep = parser.get().keep_alive() && !must_close_ && !loop_.shared.is_stopping;
  const bool is_sent = co_await send(request, response, keep);
  const Outcome outcome{.status = response.status,
                        .received_bytes = parser.get().body().bytes,
                        .sent_bytes = sent_bytes_,
                        .seconds = std::chrono::duration<double>(Clock::now() - began).count(),
                        .is_whole = is_sent};
  loop_.shared.handler.done(request, outcome);
  if (is_sent && !keep) co_await linger();
  co_return is_sent && keep;
}

// Closing at once would throw away what the client has not read yet, if it still sends (RFC 9112, 9.6).
asio::awaitable<void> Connection::linger() {
  transport_.shutdown();
  ::shutdown(socket_.native_handle(), SHUT_WR);
  deadline_ = Clock::now() + kLinger;
  uint64_t thrown_away = 0;
  while (thrown_away < kLingerBytes) {
    const ssize_t got = ::recv(socket_.native_handle(), loop_.scratch.data(), loop_.scratch.size(), MSG_DONTWAIT);
    if (got == 0) co_return;
    thrown_away += got > 0 ? static_cast<uint64_t>(got) : 0;
    const bool is_ready = co_await wait(Need::read);
    if (!is_ready) co_return;
  }
}

asio::awaitable<void> Connection::run() {
  if (transport_.is_tls()) {
    const bool is_secure = co_await shake_hands();
    if (!is_secure) co_return;
  }
  while (true) {
    HeadParser parser;
    parser.header_limit(static_cast<uint32_t>(limits().head_bytes));
    parser.body_limit(boost::none);
    const int refused = co_await read_head(parser);
    if (refused < 0) co_return;
    is_idle_ = false;
    if (refused > 0) {
      Response response = plain_response(refused);
      Request request;
      request.peer = peer_;
      const bool is_sent = co_await send(request, response, false);
      loop_.shared.handler.done(request, {.status = refused, .is_whole = is_sent});
      if (is_sent) co_await linger();
      co_return;
    }
    const bool goes_on = co_await answer(parser);
    if (!goes_on) co_return;
  }
}

asio::awaitable<void> serve(tcp::socket socket, Loop& loop, std::shared_ptr<const TlsContext> tls) {
  Connection connection(std::move(socket), loop, std::move(tls));
  co_await connection.run();
}

void sweep(Loop& loop) {
  const auto now = Clock::now();
  const bool must_end = now > loop.must_end;
  for (Connection* connection : loop.connections)
    if (must_end || connection->is_late(now) || connection->is_left() || (loop.shared.is_stopping && connection->is_idle())) connection->cancel();
}

}  // namespace kist::http_server
