#include "registry/download.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/text.h"
#include "os/fd.h"

namespace kist::registry {
namespace {

struct Asked {
  uint64_t from = 0;
  std::optional<uint64_t> last;
  bool is_range = false;
  int number = 0;  // Of this request, from 1.
};
using Behaviour = std::function<std::string(const Asked& asked, const std::string& blob)>;

std::string answer(const std::string& status, const std::string& fields, std::string_view body) {
  return fmt::format("HTTP/1.1 {}\r\n{}Content-Length: {}\r\n\r\n{}", status, fields, body.size(), body);
}

std::string range_of(const Asked& asked, const std::string& blob) {
  const uint64_t last = asked.last.value_or(blob.size() - 1);
  return fmt::format("Content-Range: bytes {}-{}/{}\r\n", asked.from, last, blob.size());
}

std::string good(const Asked& asked, const std::string& blob) {
  if (!asked.is_range) return answer("200 OK", "", blob);
  const uint64_t last = asked.last.value_or(blob.size() - 1);
  return answer("206 Partial", range_of(asked, blob), std::string_view(blob).substr(asked.from, last + 1 - asked.from));
}

/// One blob, by as many connections as are made, each for as many requests as come.
class Server {
 public:
  Server(std::string blob, Behaviour behaviour) : blob_(std::move(blob)), behaviour_(std::move(behaviour)) {
    listener_ = os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any = {};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
    socklen_t size = sizeof any;
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&any), &size), 0);
    port_ = ntohs(any.sin_port);
    thread_ = std::thread([this] {
      while (true) {
        auto peer = std::make_shared<os::Fd>(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!peer->is_open()) return;
        ++connections;
        const std::lock_guard lock(mutex_);
        sockets_.push_back(peer);
        peers_.emplace_back([this, peer] {
          serve(*peer);
          ::shutdown(peer->get(), SHUT_RDWR);
        });
      }
    });
  }
  ~Server() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    for (const auto& socket : sockets_) ::shutdown(socket->get(), SHUT_RDWR);  // Clients keep them.
    for (std::thread& peer : peers_) peer.join();
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/", port_); }
  std::vector<Asked> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::atomic<int> connections{0};

 private:
  void serve(const os::Fd& peer) {
    std::string got;
    char buffer[4096];
    while (true) {
      const size_t end = got.find("\r\n\r\n");
      if (end == std::string::npos) {
        const ssize_t count = ::recv(peer.get(), buffer, sizeof buffer, 0);
        if (count <= 0) return;
        got.append(buffer, static_cast<size_t>(count));
        continue;
      }
      const std::string text = behaviour_(read_request(got.substr(0, end)), blob_);
      got.erase(0, end + 4);
      for (size_t at = 0; at < text.size();) {
        const ssize_t sent = ::send(peer.get(), text.data() + at, text.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) return;
        at += static_cast<size_t>(sent);
      }
      // Less than was announced: hangs up.
      if (text.empty() || text.find("hang-up") < text.find("\r\n\r\n")) return;
    }
  }
  Asked read_request(const std::string& head) {
    Asked out;
    const size_t at = head.find("Range: bytes=");
    const std::lock_guard lock(mutex_);
    if (at != std::string::npos) {
      out.is_range = true;
      const std::string_view range = std::string_view(head).substr(at + 13, head.find("\r\n", at) - at - 13);
      out.from = parse_number(range.substr(0, range.find('-'))).value_or(0);
      out.last = parse_number(range.substr(range.find('-') + 1));
    }
    out.number = static_cast<int>(asked_.size()) + 1;
    asked_.push_back(out);
    return out;
  }

  const std::string blob_;
  const Behaviour behaviour_;
  os::Fd listener_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<os::Fd>> sockets_;
  std::vector<std::thread> peers_;
  std::vector<Asked> asked_;
};

std::string noise(size_t size) {
  std::string out(size, '\0');
  uint32_t state = 1;
  for (char& c : out) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return out;
}

constexpr RangeOptions kSmallRanges{.least_bytes = 100'000, .probe_bytes = 0, .chunk_bytes = 10'000, .most_connections = 4};
const std::string& blob() {
  static const std::string kBlob = noise(205'000);
  return kBlob;
}

class DownloadTest : public testing::Test {
 protected:
  Source open(Server& server, uint64_t from = 0, RangeOptions options = kSmallRanges) {
    const auto ask = [this, url = server.url()](uint64_t begin, std::optional<uint64_t> end,
                                                const std::atomic<bool>* stop) -> Result<http::Stream> {
      http::Call call{.method = "GET", .url = url, .headers = {}, .body = {}, .source = {}, .source_bytes = {}};
      call.stop = stop;
      if (begin > 0 || end) call.headers.push_back(fmt::format("Range: bytes={}-{}", begin, end ? std::to_string(*end - 1) : ""));
      http::Stream answer = TRY(streams_.open(call));
      const int status = answer.head().status;
      if (status == 200 || status == 206) return answer;
      return Error(status == 416 ? Code::invalid : Code::not_found, "answered {}", status);
    };
    return download(ask, {.size_bytes = blob().size(), .from = from, .title = "blob"}, options, connections_);
  }
  static Result<std::string> all(const Source& source) {
    std::string out;
    while (true) {
      const std::string_view piece = TRY(source());
      if (piece.empty()) return out;
      out += piece;
    }
  }
  void gives_all(const Behaviour& behaviour, uint64_t from = 0) {
    Server server(blob(), behaviour);
    const auto got = all(open(server, from));
    ASSERT_TRUE(got) << got.error().render();
    EXPECT_TRUE(*got == blob().substr(from)) << got->size();
    EXPECT_EQ(connections_->take_free(100), 8u) << "all connections were given back";
    connections_->give_back(8);
  }

  http::Streams streams_{http::Config{.first_back_off = std::chrono::milliseconds(1)}};
  std::shared_ptr<Connections> connections_ = std::make_shared<Connections>(8);
};

TEST_F(DownloadTest, ALargeBlobComesByRangesInOrder) {
  Server server(blob(), good);
  const auto got = all(open(server));
  ASSERT_TRUE(got) << got.error().render();
  EXPECT_TRUE(*got == blob());
  EXPECT_EQ(server.asked().size(), 21u);
  for (const Asked& asked : server.asked()) EXPECT_TRUE(asked.is_range && asked.last);
  EXPECT_LE(server.connections, 5) << "connections are used again";
}

TEST_F(DownloadTest, ASmallOneComesByOneRequest) {
  Server server(blob(), good);
  const auto got = all(open(server, 0, {.least_bytes = 1 << 20, .chunk_bytes = 10'000, .most_connections = 4}));
  ASSERT_TRUE(got && *got == blob());
  EXPECT_EQ(server.asked().size(), 1u);
  EXPECT_FALSE(server.asked()[0].is_range);
}

TEST_F(DownloadTest, TheRestOfOneThatIsPartlyHere) {
  for (const uint64_t from : {1u, 50'000u, 104'999u, 150'000u, 204'999u, 205'000u}) gives_all(good, from);
}

TEST_F(DownloadTest, NoMoreConnectionsThanThereAre) {
  Server server(blob(), good);
  EXPECT_EQ(connections_->take_free(7), 7u);
  const auto got = all(open(server));
  ASSERT_TRUE(got && *got == blob());
  EXPECT_EQ(server.asked().size(), 1u);
  EXPECT_EQ(server.connections, 1);
}

// How far behind the reader is does not matter: the requests wait for it.
TEST_F(DownloadTest, OnlyAFewChunksAreAhead) {
  Server server(blob(), good);
  const Source source = open(server);
  const auto first = source();
  ASSERT_TRUE(first);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LE(server.asked().size(), 6u);
  const auto rest = all(source);
  ASSERT_TRUE(rest);
}

// Goal: several requests only where they help. Method: a server that takes its time, and a reader that does.
TEST_F(DownloadTest, WhoReadsSlowlyGetsOneStreamAndWhoWaitsSeveral) {
  const RangeOptions options{.least_bytes = 100'000, .probe_bytes = 20'000, .chunk_bytes = 10'000, .most_connections = 4};
  {
    Server server(blob(), good);
    const Source source = open(server, 0, options);
    std::string got;
    while (true) {
      const auto piece = source();
      ASSERT_TRUE(piece);
      if (piece->empty()) break;
      got += *piece;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_TRUE(got == blob());
    EXPECT_EQ(server.asked().size(), 1u);
  }
  // The whole is broken off after 30,000 bytes, so that the reader is slow to get on.
  Server slow(blob(), [](const Asked& asked, const std::string& whole) {
    if (asked.is_range) return good(asked, whole);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return fmt::format("HTTP/1.1 200 OK\r\nX-Then: hang-up\r\nContent-Length: {}\r\n\r\n{}", whole.size(), whole.substr(0, 30'000));
  });
  // That others have all connections at first does not make the reader a slow one.
  ASSERT_EQ(connections_->take_free(8), 8u);
  std::thread others([this] {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    connections_->give_back(8);
  });
  const auto got = all(open(slow, 0, options));
  others.join();
  ASSERT_TRUE(got && *got == blob());
  EXPECT_GE(slow.asked().size(), 18u);
}

TEST_F(DownloadTest, DroppedInTheMiddleItEnds) {
  Server server(blob(), good);
  const Source source = open(server);
  EXPECT_TRUE(source());
}

TEST_F(DownloadTest, AServerWithoutRangesSendsAllOnce) {
  int requests = 0;
  gives_all([&](const Asked& asked, const std::string& whole) {
    requests = asked.number;
    return answer("200 OK", "", whole);
  });
  EXPECT_EQ(requests, 1);
}

TEST_F(DownloadTest, BadRangesEndInOneStream) {
  const auto only_ranges = [](const std::function<std::string(const Asked&, const std::string&)>& bad) {
    return [bad](const Asked& asked, const std::string& whole) { return asked.last ? bad(asked, whole) : good(asked, whole); };
  };
  // Another place, another size, none said, too little, too much, an error.
  gives_all(only_ranges([](const Asked&, const std::string& whole) {
    return answer("206 Partial", fmt::format("Content-Range: bytes 5-9/{}\r\n", whole.size()), whole.substr(5, 5));
  }));
  gives_all(only_ranges([](const Asked& asked, const std::string& whole) {
    return answer("206 Partial", fmt::format("Content-Range: bytes {}-{}/999999\r\n", asked.from, *asked.last),
                  whole.substr(asked.from, *asked.last + 1 - asked.from));
  }));
  gives_all(only_ranges([](const Asked& asked, const std::string& whole) {
    return answer("206 Partial", "", whole.substr(asked.from, *asked.last + 1 - asked.from));
  }));
  gives_all(only_ranges([](const Asked& asked, const std::string& whole) {
    return answer("206 Partial", range_of(asked, whole), whole.substr(asked.from, 100));
  }));
  gives_all(only_ranges([](const Asked& asked, const std::string& whole) {
    return answer("206 Partial", range_of(asked, whole), whole.substr(asked.from));
  }));
  gives_all(only_ranges([](const Asked&, const std::string&) { return answer("416 No", "", ""); }));
}

TEST_F(DownloadTest, WhatGoesWrongLaterEndsInOneStream) {
  for (const int bad : {2, 5, 9, 21}) {
    gives_all([bad](const Asked& asked, const std::string& whole) {
      if (asked.number == bad) return answer("200 OK", "", whole);  // Ranges are ignored from now on.
      return good(asked, whole);
    });
    gives_all([bad](const Asked& asked, const std::string& whole) {
      return asked.number == bad ? answer("404 Gone", "", "") : good(asked, whole);
    });
  }
}

TEST_F(DownloadTest, ACutChunkIsTakenUpWhereItBroke) {
  std::atomic<uint64_t> resumed_at{0};
  gives_all([&](const Asked& asked, const std::string& whole) {
    if (asked.number == 7)
      return fmt::format("HTTP/1.1 206 Partial\r\n{}X-Then: hang-up\r\nContent-Length: {}\r\n\r\n{}", range_of(asked, whole),
                         *asked.last + 1 - asked.from, whole.substr(asked.from, 4000));
    if (asked.from % 10'000 == 4000) resumed_at = asked.from;
    return good(asked, whole);
  });
  EXPECT_NE(resumed_at, 0u) << "not from the chunk's beginning";
}

TEST_F(DownloadTest, ABlobThatIsNotThereIsNoSuccess) {
  Server server(blob(), [](const Asked&, const std::string&) { return answer("404 No", "", ""); });
  const auto got = all(open(server));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::not_found);
  EXPECT_EQ(server.asked().size(), 1u);
}

}  // namespace
}  // namespace kist::registry
