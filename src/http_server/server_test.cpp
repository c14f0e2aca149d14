// The server over real sockets, with clients that behave as clients should not.
#include "http_server/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/text.h"
#include "os/files.h"

namespace kist::http_server {
namespace {

using namespace std::chrono_literals;

// "/file" is a file, "/made" is produced, "/later" waits; PUT takes a body and says what it was.
class Echo final : public Handler {
 public:
  class Receiver final : public BodyReceiver {
   public:
    explicit Receiver(Echo& echo) : echo_(echo) {}
    ~Receiver() override { ++echo_.receivers_gone; }
    Result<void> take(std::string_view bytes) override {
      text_ += bytes;
      if (text_.find("REFUSE") != std::string::npos) return Error(Code::invalid, "refused");
      return {};
    }
    Response finish() override {
      Response response;
      response.body = fmt::format("got {} bytes: {}", text_.size(), text_.substr(0, 20));
      return response;
    }
    Response failed(const Error& error) override {
      Response response;
      response.status = 413;
      response.body = error.message();
      return response;
    }

   private:
    Echo& echo_;
    std::string text_;
  };

  Answer handle(const Request& request) override {
    Response response;
    if (request.method == "PUT") return Answer(std::unique_ptr<BodyReceiver>(std::make_unique<Receiver>(*this)));
    if (request.target == "/later")
      return Later{[]() -> Answer {
        std::this_thread::sleep_for(200ms);
        Response late;
        late.body = std::string("late");
        return late;
      }};
    if (request.target == "/file") response.body = FileBody{file, 10, size_bytes - 10};
    else if (request.target == "/made")
      response.body = ProducedBody{1 << 20, [](const ProducedBody::Write& write) -> Result<void> {
                                     const std::string piece(64 << 10, 'm');
                                     for (int i = 0; i < 16; ++i) TRY(write(piece));
                                     return {};
                                   }};
    else if (request.target == "/short")
      response.body = ProducedBody{100, [](const ProducedBody::Write& write) { return write("only this"); }};
    else if (request.target == "/growing") response.body = GrowingBody{growing, 0, growing->size_bytes()};
    else if (request.target == "/growing-part") response.body = GrowingBody{growing, 4, 3};
    else if (request.target == "/none") response.status = 204;
    else response.add("X-Test", request.header("x-mine")).body = std::string("hello");
    return response;
  }
  void done(const Request&, const Outcome& outcome) override {
    last_status = outcome.status;
    if (!outcome.is_whole) ++broken;
  }

  std::shared_ptr<const os::Fd> file;
  uint64_t size_bytes = 0;
  std::shared_ptr<GrowingFile> growing;
  std::atomic<int> receivers_gone{0}, last_status{0}, broken{0};
};

class ServerTest : public testing::Test {
 protected:
  void start(Limits limits = {}) {
    limits.shutdown = 3s;
    Options options;
    options.addresses = {"127.0.0.1:0"};
    options.limits = limits;
    options.threads = 2;
    options.waiting_threads = 2;
    auto server = Server::listen(std::move(options), echo);
    ASSERT_TRUE(server) << server.error().render();
    server_ = std::move(*server);
    port_ = static_cast<uint16_t>(*parse_number(split(server_->addresses().front(), ':')[1]));
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  os::Fd connect() const {
    os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
  }
  static void send(const os::Fd& fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Up to the end of the connection, or until `until` was seen.
  static std::string receive(const os::Fd& fd, std::string_view until = "") {
    std::string out;
    char buffer[65536];
    while (true) {
      pollfd wanted{fd.get(), POLLIN, 0};
      if (::poll(&wanted, 1, 5000) <= 0) return out + "<timeout>";
      const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return out;
      out.append(buffer, static_cast<size_t>(got));
      if (!until.empty() && out.find(until) != std::string::npos) return out;
    }
  }
  std::string ask(std::string_view text) const {
    const os::Fd fd = connect();
    send(fd, text);
    return receive(fd);
  }

  Echo echo;
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

constexpr std::string_view kClose = "Connection: close\r\n\r\n";

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  start();
  const os::Fd fd = connect();
  for (int i = 0; i < 3; ++i) {
    send(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Mine: yes\r\n\r\n");
    const std::string got = receive(fd, "hello");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << got;
    EXPECT_NE(got.find("X-Test: yes\r\n"), std::string::npos);
    EXPECT_NE(got.find("Content-Length: 5\r\n\r\nhello"), std::string::npos);
  }
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  const std::string got = ask(fmt::format("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n"
                                          "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n{}", kClose));
  const size_t none = got.find("204 No Content");
  const size_t body = got.find("got 3 bytes: abc");
  EXPECT_NE(none, std::string::npos);
  EXPECT_LT(none, body);
  EXPECT_LT(body, got.rfind("hello"));
}

TEST_F(ServerTest, HeadHasTheLengthAndNoBody) {
  start();
  const std::string got = ask(fmt::format("HEAD / HTTP/1.1\r\nHost: x\r\n{}", kClose));
  EXPECT_NE(got.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(got.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, BodiesInChunksOfAnySize) {
  start();
  const os::Fd fd = connect();
  send(fd, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  // The heads of chunks are cut in two, and one chunk is larger than the server's buffer.
  send(fd, "1");
  std::this_thread::sleep_for(30ms);
  send(fd, "0\r\n0123456789abcdef\r");
  std::this_thread::sleep_for(30ms);
  send(fd, "\n80000\r\n" + std::string(0x80000, 'x') + "\r\n0\r");
  std::this_thread::sleep_for(30ms);
  send(fd, "\n\r\n");
  EXPECT_NE(receive(fd, "got ").find(fmt::format("got {} bytes: 0123456789abcdefxxxx", 16 + 0x80000)), std::string::npos);
}

TEST_F(ServerTest, ExpectIsAnsweredBeforeTheBody) {
  start();
  const os::Fd fd = connect();
  send(fd, "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(receive(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  send(fd, "ok");
  EXPECT_NE(receive(fd, "got 2").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, RefusedBodiesEndTheConnectionAfterTheAnswer) {
  start();
  const os::Fd fd = connect();
  send(fd, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nREFUSE this");
  send(fd, std::string(300'000, 'x'));
  const std::string got = receive(fd);
  EXPECT_TRUE(got.starts_with("HTTP/1.1 413 ")) << got;
  EXPECT_NE(got.find("Connection: close"), std::string::npos);
}

TEST_F(ServerTest, FilesAndMadeBodiesArriveWhole) {
  const auto folder = os::TempDir::make(::testing::TempDir());
  const std::string path = os::join(folder->path(), "file");
  std::string bytes;
  for (int i = 0; i < 200'000; ++i) bytes += fmt::format("{:07}\n", i);
  ASSERT_TRUE(os::write_file_atomically(path, bytes));
  echo.file = std::make_shared<const os::Fd>(::open(path.c_str(), O_RDONLY));
  echo.size_bytes = bytes.size();
  start();
  std::string got = ask(fmt::format("GET /file HTTP/1.1\r\nHost: x\r\n{}", kClose));
  EXPECT_EQ(got.substr(got.find("\r\n\r\n") + 4), bytes.substr(10));
  got = ask(fmt::format("GET /made HTTP/1.1\r\nHost: x\r\n{}", kClose));
  EXPECT_EQ(got.substr(got.find("\r\n\r\n") + 4), std::string(1 << 20, 'm'));
}

TEST_F(ServerTest, ABodyThatCannotBeMadeWholeClosesTheConnection) {
  start();
  const std::string got = ask("GET /short HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(got.ends_with("only this")) << got;
  EXPECT_EQ(echo.broken, 1);
}

class GrowingTest : public ServerTest {
 protected:
  void begin() {
    folder_ = *os::TempDir::make(::testing::TempDir());
    const std::string path = os::join(folder_.path(), "file");
    writer_ = *os::open_file(path, O_WRONLY | O_CREAT);
    echo.growing = std::make_shared<GrowingFile>(*os::open_file(path, O_RDONLY), 10);
    start();
    whole_ = connect();
    send(whole_, "GET /growing HTTP/1.1\r\nHost: x\r\n\r\n");
    part_ = connect();
    send(part_, "GET /growing-part HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  void write(std::string_view bytes) {
    EXPECT_TRUE(os::write_all(writer_, bytes));
    written_ += bytes.size();
    echo.growing->grown(written_);
  }
  os::TempDir folder_;
  os::Fd writer_, whole_, part_;
  uint64_t written_ = 0;
};

TEST_F(GrowingTest, BytesLeaveAsTheyComeAndTheLastWhenAllIsGood) {
  begin();
  EXPECT_NE(receive(whole_, "\r\n\r\n").find("Content-Length: 10\r\n"), std::string::npos);
  receive(part_, "\r\n\r\n");
  write("01234");
  EXPECT_EQ(receive(whole_, "01234"), "01234");
  EXPECT_EQ(receive(part_, "4"), "4");
  write("56789");
  EXPECT_EQ(receive(whole_, "5678"), "5678");
  EXPECT_EQ(receive(part_, "5"), "5");
  pollfd more{whole_.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&more, 1, 100), 0) << "the last byte must wait";
  echo.growing->end(true);
  EXPECT_EQ(receive(whole_, "9"), "9");
  EXPECT_EQ(receive(part_, "6"), "6");
  // The connection is as good as before.
  send(whole_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(receive(whole_, "hello").find("200 OK"), std::string::npos);
}

TEST_F(GrowingTest, WhatTurnsOutBadIsCut) {
  begin();
  write("0123456789");
  EXPECT_TRUE(receive(whole_, "012345678").ends_with("\r\n\r\n012345678"));
  EXPECT_TRUE(receive(part_, "\r\n\r\n45").ends_with("\r\n\r\n45"));
  echo.growing->end(false);
  EXPECT_EQ(receive(whole_), "");
  EXPECT_EQ(receive(part_), "");
  for (int i = 0; i < 100 && echo.broken < 2; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(echo.broken, 2);
}

TEST_F(GrowingTest, WhoHasLeftHoldsNoPlace) {
  begin();
  write("01");
  EXPECT_TRUE(receive(whole_, "01").ends_with("01"));
  receive(part_, "\r\n\r\n");
  EXPECT_EQ(server_->connections(), 2u);
  whole_ = os::Fd();
  for (int i = 0; i < 200 && server_->connections() != 1; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(server_->connections(), 1u);
  write("2345678");
  echo.growing->grown(10);
  echo.growing->end(true);
  EXPECT_EQ(receive(part_, "456"), "456") << "the other one has stayed";
}

TEST_F(GrowingTest, WhoWaitsDoesNotHoldAServerThatStops) {
  begin();
  write("01");
  EXPECT_TRUE(receive(whole_, "01").ends_with("01"));
  const auto began = std::chrono::steady_clock::now();
  server_->stop();
  thread_.join();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 6s);
  EXPECT_EQ(receive(whole_), "");
  write("2");  // Nobody is called any more.
}

TEST_F(ServerTest, WhatIsNoRequestIsRefused) {
  start();
  for (const std::string text :
       {"nonsense\r\n\r\n", "GET / HTTP/3.7\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"}) {
    const std::string got = ask(text);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 400 ")) << printable(text) << " -> " << got;
  }
}

TEST_F(ServerTest, HugeHeadsAreRefused) {
  start();
  EXPECT_TRUE(ask("GET /" + std::string(100'000, 'a')).starts_with("HTTP/1.1 431 "));
  std::string fields = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) fields += fmt::format("X-{}: {}\r\n", i, i);
  EXPECT_TRUE(ask(fields + "\r\n").starts_with("HTTP/1.1 431 "));
}

TEST_F(ServerTest, SlowClientsAreClosedAndHoldNobody) {
  Limits limits;
  limits.head = 1s;
  limits.body_grace = 1s;
  limits.min_bytes_per_second = 1000;
  start(limits);
  const os::Fd slow_head = connect();
  send(slow_head, "GET / HTT");
  const os::Fd slow_body = connect();
  send(slow_body, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
  EXPECT_NE(ask(fmt::format("GET / HTTP/1.1\r\nHost: x\r\n{}", kClose)).find("hello"), std::string::npos);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(receive(slow_head), "");
  receive(slow_body);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 4s);
  for (int i = 0; i < 100 && echo.receivers_gone == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(echo.receivers_gone, 1);
}

TEST_F(ServerTest, MoreThanTheLimitOfConnectionsIsTold) {
  Limits limits;
  limits.connections = 3;
  start(limits);
  std::vector<os::Fd> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(connect());
    send(held.back(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    receive(held.back(), "hello");
  }
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 503 "));
  held.clear();
  std::string got;
  for (int i = 0; i < 100 && got.find("hello") == std::string::npos; ++i) {
    std::this_thread::sleep_for(10ms);
    got = ask(fmt::format("GET / HTTP/1.1\r\nHost: x\r\n{}", kClose));
  }
  EXPECT_NE(got.find("hello"), std::string::npos);
}

TEST_F(ServerTest, StoppingLetsWhatRunsFinish) {
  start();
  const os::Fd idle = connect();
  send(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  receive(idle, "hello");
  const os::Fd busy = connect();
  send(busy, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
  const os::Fd waits = connect();
  send(waits, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  server_->stop();
  EXPECT_EQ(receive(idle), "");
  EXPECT_NE(receive(waits).find("late"), std::string::npos);
  send(busy, "def");
  EXPECT_NE(receive(busy).find("got 6 bytes: abcdef"), std::string::npos);
  thread_.join();
}

TEST_F(ServerTest, AddressesThatAreNoneAreErrors) {
  for (const char* address : {"", "5000", "host:99999", "host:", "[::1"}) {
    Options options;
    options.addresses = {address};
    EXPECT_FALSE(Server::listen(std::move(options), echo)) << address;
  }
}

}  // namespace
}  // namespace kist::http_server
