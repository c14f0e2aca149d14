#include "networks/name_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "networks/dns_message.h"
#include "os/files.h"

namespace kist::networks {
namespace {

using std::string_literals::operator""s;

// A question for one name, of labels.
std::string question(const std::vector<std::string>& labels, uint16_t type, const std::string& head = "\x12\x34\x01\0\0\1\0\0\0\0\0\0"s) {
  std::string out = head;
  for (const std::string& label : labels) out += static_cast<char>(label.size()) + label;
  return out + '\0' + '\0' + static_cast<char>(type) + "\0\1"s;
}

TEST(DnsMessageTest, QuestionsAreReadAndHostileOnesAreNone) {
  const auto good = read_question(question({"DB", "lab"}, kTypeA));
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->name, "db.lab");
  EXPECT_EQ(good->type, kTypeA);
  const std::string long_label(63, 'a');
  const struct {
    const char* why;
    std::string message;
  } cases[] = {
      {"nothing", ""},
      {"an answer", question({"db"}, kTypeA, "\x12\x34\x81\0\0\1\0\0\0\0\0\0"s)},
      {"an update", question({"db"}, kTypeA, "\x12\x34\x28\0\0\1\0\0\0\0\0\0"s)},
      {"no question", question({"db"}, kTypeA, "\x12\x34\x01\0\0\0\0\0\0\0\0\0"s)},
      {"two questions", question({"db"}, kTypeA, "\x12\x34\x01\0\0\2\0\0\0\0\0\0"s)},
      {"a pointer", "\x12\x34\x01\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"s},
      {"a pointer to itself", "\x12\x34\x01\0\0\1\0\0\0\0\0\0\1a\xc0\x0c\0\1\0\1"s},
      {"a name without end", "\x12\x34\x01\0\0\1\0\0\0\0\0\0\1a"s},
      {"too long a name", question({long_label, long_label, long_label, long_label, long_label}, kTypeA)},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_FALSE(read_question(c.message).has_value());
  }
  const std::string whole = question({"db", "lab"}, kTypeA);
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(read_question(std::string_view(whole).substr(0, size)).has_value());
}

TEST(DnsMessageTest, AnswersHaveWhatWasAskedFor) {
  const std::vector<Address> addresses = {*Address::parse("10.1.0.2"), *Address::parse("fd00::2"), *Address::parse("10.1.0.3")};
  const std::string asked = question({"db"}, kTypeA);
  const std::string head = "\x12\x34\x85\x80\0\1\0"s;
  const std::string name = "\2db\0\0\1\0\1"s;
  EXPECT_EQ(answer_to(asked, *read_question(asked), addresses),
            head + "\2\0\0\0\0"s + name + "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\1\0\2"s + "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\1\0\3"s);
  const std::string v6 = question({"db"}, kTypeAaaa);
  EXPECT_EQ(answer_to(v6, *read_question(v6), addresses).substr(0, 8), head + "\1"s);
  // A name that is there has no records of other kinds, which is no error.
  const std::string mail = question({"db"}, 15);
  EXPECT_EQ(answer_to(mail, *read_question(mail), addresses).substr(0, 8), head + "\0"s);
  // What does not fit is left out, and the answer says so; a stream has room.
  const std::vector<Address> many(100, addresses[1]);
  const std::string cut = answer_to(v6, *read_question(v6), many);
  EXPECT_LE(cut.size(), 512u);
  EXPECT_EQ(cut.substr(2, 2), "\x87\x80"s);
  EXPECT_EQ(answer_to(v6, *read_question(v6), many, DnsCode::ok, kStreamBytes).substr(2, 6), "\x85\x80\0\1\0\x64"s);
  EXPECT_EQ(answer_to(asked, *read_question(asked), {}, DnsCode::server_failed).substr(2, 2), "\x81\x82"s);
}

TEST(DnsMessageTest, NamesAreThoseOfTheHostsFile) {
  constexpr const char* kHosts = "127.0.0.1\tlocalhost\n# 10.0.0.9 db\n10.1.0.3\tDB postgres # db2\nfd00::3 db\nnonsense db\n\n10.1.0.4";
  const auto texts = [&](const char* name) {
    std::string out;
    for (const Address& address : addresses_in(kHosts, name)) out += address.text() + " ";
    return out;
  };
  EXPECT_EQ(texts("db"), "10.1.0.3 fd00::3 ");
  EXPECT_EQ(texts("postgres"), "10.1.0.3 ");
  EXPECT_EQ(texts("db2"), "");
  EXPECT_EQ(texts("10.1.0.3"), "");
  EXPECT_EQ(texts(""), "");
}

TEST(DnsMessageTest, AddressesHaveNames) {
  EXPECT_EQ(reverse_address("2.0.1.10.in-addr.arpa")->text(), "10.1.0.2");
  EXPECT_EQ(reverse_address("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa")->text(), "fd00::2");
  for (const char* other : {"", "in-addr.arpa", "1.0.10.in-addr.arpa", "a.0.1.10.in-addr.arpa", "2.0.1.10.in-addr.arpa.x", "1.d.f.ip6.arpa",
                            "22.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"})
    EXPECT_FALSE(reverse_address(other).has_value()) << other;
  EXPECT_EQ(name_in("10.1.0.2\tdb postgres\n10.1.0.3 web\n", *Address::parse("10.1.0.2")), "db");
  EXPECT_EQ(name_in("10.1.0.2\n#10.1.0.3 web\n", *Address::parse("10.1.0.3")), "");
  const std::string asked = question({"2", "0", "1", "10", "in-addr", "arpa"}, kTypePtr);
  EXPECT_TRUE(name_answer_to(asked, *read_question(asked), "db.lab").ends_with("\xc0\x0c\0\x0c\0\1\0\0\0\5\0\x08\2db\3lab\0"s));
  EXPECT_EQ(name_answer_to(asked, *read_question(asked), std::string(64, 'a')).substr(2, 2), "\x81\x82"s);
}

TEST(NameStreamsTest, MessagesHaveTheirLengthBeforeThem) {
  EXPECT_EQ(with_length("abc"), "\0\3abc"s);
  EXPECT_EQ(first_message("\0\3abc\0\1"s), "abc");
  EXPECT_EQ(first_message("\0\3ab"s), "");
  EXPECT_EQ(first_message("\0"s), "");
}

// A client, the server under test, and one beyond it at 127.0.0.N:53, if this machine lets us.
class NameServerTest : public testing::Test {
 protected:
  void SetUp() override {
    hosts_ = os::join(folder_.path(), "hosts");
    ASSERT_TRUE(os::write_file_atomically(hosts_, "10.1.0.2\tdb\n", 0600).has_value());
    client_ = os::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval patience = {5, 0};
    ::setsockopt(client_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  void open(std::vector<std::string> servers) {
    auto opened = NameServer::open({.hosts = hosts_, .servers = std::move(servers)}, "127.0.0.1", 0);
    ASSERT_TRUE(opened.has_value()) << opened.error().render();
    server_.emplace(std::move(*opened));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(server_->port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(client_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }

  // One turn of its keeper.
  void turn(int timeout_ms) {
    std::vector<pollfd> events(1, pollfd{-1, 0, 0});
    server_->add_to(events);
    (void)::poll(events.data(), events.size(), timeout_ms);
    server_->look_at(events, 1);
  }

  // A connection of a client, which gives up after a while.
  os::Fd connect() {
    os::Fd stream(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience = {5, 0};
    ::setsockopt(stream.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in to = {};
    socklen_t size = sizeof to;
    EXPECT_EQ(::getpeername(client_.get(), reinterpret_cast<sockaddr*>(&to), &size), 0);
    EXPECT_EQ(::connect(stream.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    turn(1000);
    return stream;
  }
  static std::string read_from(const os::Fd& socket, size_t size) {
    std::string out(size, '\0');
    const ssize_t got = ::recv(socket.get(), out.data(), size, MSG_WAITALL);
    out.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return out;
  }

  void ask(const std::string& message) { ASSERT_EQ(::send(client_.get(), message.data(), message.size(), 0), static_cast<ssize_t>(message.size())); }
  std::string heard(int flags = 0) {
    char buffer[4096];
    const ssize_t got = ::recv(client_.get(), buffer, sizeof buffer, flags);
    return got < 0 ? "" : std::string(buffer, static_cast<size_t>(got));
  }

  os::TempDir folder_ = os::TempDir::make(testing::TempDir(), "kist-names.").value();
  std::string hosts_;
  os::Fd client_;
  std::optional<NameServer> server_;
};

TEST_F(NameServerTest, AnswersForTheHostsFileAsItIsNow) {
  open({"127.255.255.1"});
  ask(question({"db"}, kTypeA));
  turn(1000);
  EXPECT_TRUE(heard().ends_with("\x0a\1\0\2"s));
  ASSERT_TRUE(os::write_file_atomically(hosts_, "10.1.0.9\tdb\n", 0600).has_value());
  ask(question({"db"}, kTypeA));
  turn(1000);
  EXPECT_TRUE(heard().ends_with("\x0a\1\0\11"s));
  EXPECT_EQ(server_->deadline(), INT64_MAX) << "nothing to wake up for";
}

TEST_F(NameServerTest, PassesOnToTheNextThatAnswers) {
  const os::Fd beyond(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(53);
  ::inet_pton(AF_INET, "127.255.255.2", &at.sin_addr);
  if (::bind(beyond.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) GTEST_SKIP() << "port 53 is not ours";
  open({"127.255.255.1", "127.255.255.2"});  // The first refuses.
  const std::string asked = question({"example", "org"}, kTypeA);
  ask(asked);
  turn(1000);
  turn(1000);
  char buffer[512];
  sockaddr_in from = {};
  socklen_t size = sizeof from;
  const ssize_t got = ::recvfrom(beyond.get(), buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
  ASSERT_EQ(got, static_cast<ssize_t>(asked.size()));
  std::string answer(buffer, static_cast<size_t>(got));
  EXPECT_EQ(answer.substr(2), asked.substr(2));
  answer[2] = '\x81';
  ::sendto(beyond.get(), answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&from), size);
  turn(1000);
  answer.replace(0, 2, "\x12\x34");
  EXPECT_EQ(heard(), answer);
}

TEST_F(NameServerTest, SaysThatNobodyAnswers) {
  open({"127.255.255.1"});
  ask(question({"example", "org"}, kTypeA));
  turn(1000);
  turn(1000);
  EXPECT_EQ(heard(), "\x12\x34\x81\x82\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"s);
}

TEST_F(NameServerTest, TellsTheNameOfAnAddress) {
  open({"127.255.255.1"});
  ask(question({"2", "0", "1", "10", "in-addr", "arpa"}, kTypePtr));
  turn(1000);
  EXPECT_TRUE(heard().ends_with("\0\4\2db\0"s));
}

// What does not fit into a datagram is asked for again by a stream.
TEST_F(NameServerTest, AnswersStreams) {
  std::string hosts;
  for (int i = 0; i < 200; ++i) hosts += fmt::format("10.1.1.{}\tdb\n", i);
  ASSERT_TRUE(os::write_file_atomically(hosts_, hosts, 0600).has_value());
  open({"127.255.255.1"});
  const os::Fd stream = connect();
  const std::string asked = with_length(question({"db"}, kTypeA));
  // In two parts, and one question right behind the other.
  ASSERT_EQ(::send(stream.get(), asked.data(), 5, 0), 5);
  turn(1000);
  const std::string rest = asked.substr(5) + asked;
  ASSERT_EQ(::send(stream.get(), rest.data(), rest.size(), 0), static_cast<ssize_t>(rest.size()));
  turn(1000);
  const size_t size = asked.size() + 200 * 16;
  for (int i = 0; i < 2; ++i) {
    const std::string answer = read_from(stream, size);
    ASSERT_EQ(answer.size(), size);
    EXPECT_EQ(answer.substr(4, 2), "\x85\x80"s);
    EXPECT_TRUE(answer.ends_with("\x0a\1\1\xc7"s));
  }
  EXPECT_LT(server_->deadline(), INT64_MAX) << "a stream on which nothing happens is closed";
  ASSERT_EQ(::send(stream.get(), "\0\0", 2, 0), 2);
  turn(1000);
  EXPECT_EQ(read_from(stream, 1), "") << "whoever sends nonsense is left";
}

TEST_F(NameServerTest, PassesStreamsOnByStreams) {
  const os::Fd beyond(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(53);
  ::inet_pton(AF_INET, "127.255.255.3", &at.sin_addr);
  const int yes = 1;
  ::setsockopt(beyond.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(beyond.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) GTEST_SKIP() << "port 53 is not ours";
  ASSERT_EQ(::listen(beyond.get(), 1), 0);
  open({"127.255.255.1", "127.255.255.3"});  // The first refuses.
  const os::Fd stream = connect();
  const std::string asked = with_length(question({"example", "org"}, kTypeA));
  ASSERT_EQ(::send(stream.get(), asked.data(), asked.size(), 0), static_cast<ssize_t>(asked.size()));
  for (int i = 0; i < 4; ++i) turn(200);
  const os::Fd theirs(::accept4(beyond.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::string got = read_from(theirs, asked.size());
  ASSERT_EQ(got.size(), asked.size());
  EXPECT_EQ(got.substr(4), asked.substr(4));
  got[4] = '\x81';
  const std::string large = with_length(got.substr(2) + std::string(30'000, 'x'));
  ASSERT_EQ(::send(theirs.get(), large.data(), large.size(), 0), static_cast<ssize_t>(large.size()));
  for (int i = 0; i < 20; ++i) turn(20);
  std::string answer = read_from(stream, large.size());
  ASSERT_EQ(answer.size(), large.size());
  EXPECT_EQ(answer.substr(2, 3), "\x12\x34\x81"s);
}

TEST_F(NameServerTest, FewStreamsAtOnce) {
  open({});
  std::vector<os::Fd> streams;
  for (int i = 0; i < 12; ++i) streams.push_back(connect());
  std::vector<pollfd> events;
  server_->add_to(events);
  EXPECT_EQ(events.size(), 2u + 8u);
  EXPECT_EQ(events[1].events, 0) << "no more are taken";
}

// Goal: whoever floods it does not keep its keeper busy, nor does who makes its hosts file large.
TEST_F(NameServerTest, HearsSoManyInASecond) {
  open({});
  const auto flood = [&](int questions) {
    int answered = 0;
    for (int i = 0; i < questions; ++i) {
      ask(question({"db"}, kTypeA));
      turn(0);
      if (!heard(MSG_DONTWAIT).empty()) ++answered;
    }
    return answered;
  };
  const int of_small = flood(3000);
  EXPECT_GE(of_small, 900);
  EXPECT_LE(of_small, 2000);
  EXPECT_LT(server_->deadline(), INT64_MAX) << "it goes on when the second is over";
  // Where the file is larger than what is read nobody knows the name; that nobody else does is an answer too.
  for (const size_t bytes : {900'000u, 2'000'000u}) {
    SCOPED_TRACE(bytes);
    ASSERT_TRUE(os::write_file_atomically(hosts_, std::string(bytes, '#') + "\n10.1.0.2\tdb\n", 0600).has_value());
    open({"127.255.255.1"});
    const int answered = flood(200);
    EXPECT_GT(answered, 0);
    EXPECT_LE(answered, 60);
  }
}

}  // namespace
}  // namespace kist::networks
