#include "http/stream.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "os/fd.h"

namespace kist::http {
namespace {

/// Answers each connection with the next of the given texts, then closes it. Keeps what was asked.
class Answers {
 public:
  explicit Answers(std::vector<std::string> texts) : texts_(std::move(texts)) {
    listener_ = os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any = {};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    socklen_t size = sizeof any;
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&any), &size), 0);
    port_ = ntohs(any.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Answers() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string url(const std::string& path = "/") const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }
  int port() const { return port_; }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void serve() {
    for (const std::string& text : texts_) {
      const os::Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer.is_open()) return;
      read_request(peer);
      for (size_t at = 0; at < text.size();) {
        const ssize_t sent = ::send(peer.get(), text.data() + at, text.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += static_cast<size_t>(sent);
      }
      ::shutdown(peer.get(), SHUT_WR);
    }
  }
  // The head, and as much of a body as was announced, or all chunks.
  void read_request(const os::Fd& peer) {
    std::string got;
    char buffer[65536];
    while (!is_whole(got)) {
      const ssize_t count = ::recv(peer.get(), buffer, sizeof buffer, 0);
      if (count <= 0) break;
      got.append(buffer, static_cast<size_t>(count));
    }
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(got));
  }
  static bool is_whole(const std::string& got) {
    if (got.starts_with('\x16')) return true;  // TLS.
    const size_t end = got.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    if (got.find("Transfer-Encoding: chunked") < end) return got.ends_with("0\r\n\r\n");
    const size_t length = got.find("Content-Length: ");
    if (length > end) return true;
    return got.size() >= end + 4 + std::strtoul(got.c_str() + length + 16, nullptr, 10);
  }

  std::vector<std::string> texts_;
  os::Fd listener_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::string> asked_;
};

std::string answer(const std::string& body, const std::string& fields = "", const std::string& status = "200 OK") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n{}", status, body.size(), fields, body);
}

Call get(const std::string& url, std::vector<std::string> headers = {}) {
  return {.method = "GET", .url = url, .headers = std::move(headers), .body = {}, .source = {}, .source_bytes = {}};
}

TEST(StreamTest, HeadAndBody) {
  Answers server({answer("hello", "X-Thing: one\r\n")});
  Streams streams({});
  auto stream = streams.open(get(server.url("/x"), {"Accept: a/b"}));
  ASSERT_TRUE(stream) << stream.error().render();
  EXPECT_EQ(stream->head().status, 200);
  EXPECT_EQ(stream->head().field("x-thing"), "one");
  EXPECT_EQ(stream->effective_url(), server.url("/x"));
  EXPECT_EQ(*stream->read_all(100), "hello");
  EXPECT_EQ(server.asked()[0].substr(0, 15), "GET /x HTTP/1.1");
  EXPECT_NE(server.asked()[0].find("Accept: a/b\r\n"), std::string::npos);
}

TEST(StreamTest, AnyStatusIsAnAnswer) {
  Answers server({answer("sorry", "", "503 No"), answer("", "", "404 Gone")});
  Streams streams({});
  auto first = streams.open(get(server.url()));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->head().status, 503);
  EXPECT_EQ(*first->read_all(100), "sorry");
  EXPECT_EQ(streams.open(get(server.url()))->head().status, 404);
}

TEST(StreamTest, AWholeDocumentHasALimit) {
  Answers server({answer(std::string(5 << 20, 'x'))});
  Streams streams({});
  auto stream = streams.open(get(server.url()));
  ASSERT_TRUE(stream);
  const auto text = stream->read_all(1000);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code(), Code::invalid);
  EXPECT_NE(text.error().message().find("longer than the limit of"), std::string::npos);
}

TEST(StreamTest, ReadsPieceByPieceWhatIsLargerThanItsBuffer) {
  const std::string body(20 << 20, 'y');
  Answers server({answer(body)});
  Streams streams({});
  auto stream = streams.open(get(server.url()));
  ASSERT_TRUE(stream);
  size_t size = 0, largest = 0;
  while (true) {
    const auto piece = stream->read();
    ASSERT_TRUE(piece) << piece.error().render();
    if (piece->empty()) break;
    size += piece->size();
    largest = std::max(largest, piece->size());
  }
  EXPECT_EQ(size, body.size());
  EXPECT_LE(largest, 2u << 20);
}

TEST(StreamTest, ABodyThatBreaksOffMayPass) {
  Answers server({"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"});
  Streams streams({});
  auto stream = streams.open(get(server.url()));
  ASSERT_TRUE(stream);
  EXPECT_EQ(*stream->read(), "only this");
  const auto rest = stream->read();
  ASSERT_FALSE(rest);
  EXPECT_TRUE(stream->may_pass());
}

TEST(StreamTest, SendsABody) {
  Answers server({answer("", "", "201 Created"), answer("", "", "202 Accepted"), answer("", "", "202 Accepted")});
  Streams streams({});
  Call put = get(server.url("/b"), {"Content-Type: x/y"});
  put.method = "PUT";
  put.body = "content";
  EXPECT_EQ(streams.open(put)->head().status, 201);
  Call patch = get(server.url("/c"));
  patch.method = "PATCH";
  patch.source = [left = 3]() mutable -> Result<std::string_view> {
    return left-- > 0 ? std::string_view("0123456789") : std::string_view();
  };
  patch.source_bytes = 30;
  EXPECT_EQ(streams.open(patch)->head().status, 202);
  patch.source = [left = 1]() mutable -> Result<std::string_view> { return left-- > 0 ? std::string_view("abc") : std::string_view(); };
  patch.source_bytes.reset();
  EXPECT_EQ(streams.open(patch)->head().status, 202);
  const auto asked = server.asked();
  EXPECT_TRUE(asked[0].starts_with("PUT /b ") && asked[0].ends_with("\r\n\r\ncontent")) << asked[0];
  EXPECT_TRUE(asked[1].starts_with("PATCH /c ") && asked[1].ends_with("012345678901234567890123456789")) << asked[1];
  EXPECT_NE(asked[1].find("Content-Length: 30\r\n"), std::string::npos);
  EXPECT_NE(asked[2].find("3\r\nabc\r\n0\r\n\r\n"), std::string::npos) << asked[2];
}

TEST(StreamTest, AnErrorOfTheSourceIsTheErrorOfTheCall) {
  Answers server({answer("")});
  Streams streams({});
  Call put = get(server.url());
  put.method = "PUT";
  put.source = []() -> Result<std::string_view> { return Error(Code::corrupt, "the object is damaged"); };
  put.source_bytes = 10;
  const auto answered = streams.open(put);
  ASSERT_FALSE(answered);
  EXPECT_EQ(answered.error().code(), Code::corrupt);
  EXPECT_EQ(answered.error().message(), "the object is damaged");
}

TEST(StreamTest, AuthorizationDoesNotLeaveItsOrigin) {
  Answers other({answer("from afar")});
  Answers server({answer("", fmt::format("Location: {}\r\n", other.url("/blob")), "307 There")});
  Streams streams({});
  auto stream = streams.open(get(server.url(), {"Authorization: Basic c2VjcmV0"}));
  ASSERT_TRUE(stream) << stream.error().render();
  EXPECT_EQ(*stream->read_all(100), "from afar");
  EXPECT_NE(server.asked()[0].find("c2VjcmV0"), std::string::npos);
  EXPECT_EQ(other.asked()[0].find("c2VjcmV0"), std::string::npos) << other.asked()[0];
}

TEST(StreamTest, RedirectsOfWhatSendsAreNotFollowed) {
  Answers server({answer("", "Location: /there\r\n", "307 There")});
  Streams streams({});
  Call put = get(server.url());
  put.method = "PUT";
  put.body = "x";
  EXPECT_EQ(streams.open(put)->head().status, 307);
}


TEST(StreamTest, TellsWhetherItGotThrough) {
  int port = 0;
  { port = Answers({}).port(); }
  Streams streams({});
  bool is_connect = false;
  const auto refused = streams.open(get(fmt::format("http://127.0.0.1:{}/", port)), nullptr, &is_connect);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::unavailable);
  EXPECT_TRUE(is_connect);
  Answers plain({answer("x")});
  const auto no_tls = streams.open(get("https" + plain.url().substr(4)), nullptr, &is_connect);
  ASSERT_FALSE(no_tls);
  EXPECT_TRUE(is_connect);
  const auto no_address = streams.open(get("ftp://x/"), nullptr, &is_connect);
  ASSERT_FALSE(no_address);
  EXPECT_EQ(no_address.error().code(), Code::invalid);
}

TEST(StreamTest, AHeadWithoutEndIsRefused) {
  std::string head = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 40'000; ++i) head += fmt::format("X-{}: {}\r\n", i, "y");
  Answers server({head});
  Streams streams({});
  const auto stream = streams.open(get(server.url()));
  ASSERT_FALSE(stream);
}

TEST(StreamTest, ADropEndsTheTransferAndOthersGoOn) {
  Answers server({answer(std::string(8 << 20, 'z')), answer("next")});
  Streams streams({});
  {
    auto stream = streams.open(get(server.url()));
    ASSERT_TRUE(stream);
    ASSERT_TRUE(stream->read());
  }
  EXPECT_EQ(*streams.open(get(server.url()))->read_all(10), "next");
}

}  // namespace
}  // namespace kist::http
