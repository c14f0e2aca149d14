#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "base/text.h"
#include "containers/log_reader.h"
#include "containers/log_writer.h"
#include "os/files.h"

namespace kist::containers {
namespace {

constexpr auto kOut = Stream::standard_output;
constexpr auto kErr = Stream::standard_error;

class LogTest : public testing::Test {
 protected:
  LogWriter writer(uint64_t max_bytes = 0, uint64_t max_files = 1) {
    return LogWriter::open(path_, max_bytes, max_files).value();
  }
  std::string read(const LogQuery& query = {}) {
    std::string text;
    const auto sink = [&](Stream, std::string_view piece) {
      text += piece;
      return true;
    };
    const auto done = read_log(path_, query, sink, [] { return false; });
    EXPECT_TRUE(done.has_value());
    return text;
  }
  os::TempDir folder_ = os::TempDir::make("/tmp", "kist-log.").value();
  std::string path_ = os::join(folder_.path(), "log");
};

TEST_F(LogTest, IsInTheFormatOfTheCri) {
  LogWriter log = writer();
  log.write(kOut, "one\ntw");
  log.write(kErr, "oops\n");
  log.write(kOut, "o\n\n");
  const std::string text = os::read_file(path_).value();
  std::vector<std::string> rest;
  for (const auto line : lines(text)) {
    EXPECT_THAT(std::string(line.substr(0, 30)), testing::MatchesRegex("20[0-9][0-9]-.*T.*:.*:.*\\..{9}Z")) << line;
    rest.emplace_back(line.substr(31));
  }
  EXPECT_THAT(rest, testing::ElementsAre("stdout F one", "stdout P tw", "stderr F oops", "stdout F o", "stdout F "));
  EXPECT_EQ(read(), "one\ntwoops\no\n\n");
  EXPECT_EQ(read({.standard_error = false}), "one\ntwo\n\n");
  EXPECT_EQ(read({.standard_output = false}), "oops\n");
}

TEST_F(LogTest, TheLastLines) {
  LogWriter log = writer();
  log.write(kOut, "one\ntwo\nth");
  log.write(kOut, "ree\nfour");
  EXPECT_EQ(read({.tail = 0}), "");
  EXPECT_EQ(read({.tail = 1}), "four");
  EXPECT_EQ(read({.tail = 2}), "three\nfour");
  EXPECT_EQ(read({.tail = 3}), "two\nthree\nfour");
  EXPECT_EQ(read({.tail = 100}), "one\ntwo\nthree\nfour");
}

TEST_F(LogTest, RotatesBySizeAndReadsAllThatIsLeft) {
  LogWriter log = writer(1000, 3);
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string line = fmt::format("line {:04}\n", i);
    all += line;
    log.write(kOut, line);
  }
  for (const char* name : {"log", "log.1", "log.2"})
    EXPECT_LE(os::stamp(os::join(folder_.path(), name))->size_bytes, 1000u) << name;
  EXPECT_FALSE(os::exists(path_ + ".3"));
  const std::string got = read();
  EXPECT_GT(got.size(), 400u);
  EXPECT_TRUE(all.ends_with(got)) << got;
  EXPECT_EQ(read({.tail = 30}), all.substr(all.size() - 30 * 10));
}

TEST_F(LogTest, ALineWithoutEndNeedsNoMemory) {
  LogWriter log = writer();
  const std::string block(1 << 16, 'x');
  for (int i = 0; i < 64; ++i) log.write(kOut, block);
  const std::string got = read();
  EXPECT_EQ(got.size(), block.size() * 64);
  EXPECT_EQ(got.find_first_not_of('x'), std::string::npos);
}

TEST_F(LogTest, ManyShortLines) {
  LogWriter log = writer();
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "y\n";
  log.write(kOut, text);
  EXPECT_EQ(read(), text);
}

TEST_F(LogTest, CountsWhatAFullDiskDoesNotTake) {
  LogWriter log = writer();
  log.write(kOut, "before\n");
  rlimit before = {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight = {os::stamp(path_)->size_bytes, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  log.write(kOut, "lost\n");
  EXPECT_GT(log.lost_bytes(), 0u);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old);
  log.write(kOut, "after\n");
  EXPECT_THAT(read(), testing::MatchesRegex("before\nkist: [0-9]+ bytes of output were lost: .*\nafter\n"));
}

TEST_F(LogTest, Times) {
  LogWriter log = writer();
  log.write(kOut, "now\n");
  timespec time = {};
  ::clock_gettime(CLOCK_REALTIME, &time);
  const int64_t now = time.tv_sec * 1'000'000'000 + time.tv_nsec;
  EXPECT_EQ(read({.since_ns = now + 1'000'000'000}), "");
  EXPECT_EQ(read({.since_ns = now - 1'000'000'000}), "now\n");
  EXPECT_EQ(read({.until_ns = now - 1'000'000'000}), "");
  EXPECT_THAT(read({.timestamps = true}), testing::MatchesRegex("20.*Z now\n"));
}

TEST_F(LogTest, Follows) {
  LogWriter log = writer(1000, 2);
  log.write(kOut, "first\n");
  std::atomic<bool> runs = true;
  std::thread printing([&] {
    for (int i = 0; i < 40; ++i) {
      log.write(kOut, fmt::format("line {}\n", i));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    runs = false;
  });
  std::string got;
  ASSERT_TRUE(read_log(path_, {.follow = true},
                       [&](Stream, std::string_view piece) {
                         got += piece;
                         return true;
                       },
                       [&] { return runs.load(); }).has_value());
  printing.join();
  std::string want = "first\n";
  for (int i = 0; i < 40; ++i) want += fmt::format("line {}\n", i);
  EXPECT_EQ(got, want);
}

TEST(TimeTest, AsDockerTakesThem) {
  constexpr int64_t kS = 1'000'000'000;
  const int64_t now = 1'800'000'000 * kS;
  EXPECT_EQ(parse_time("2026-01-02T03:04:05.000000006Z", now), 1767323045 * kS + 6);
  EXPECT_EQ(parse_time("2026-01-02T03:04:05Z", now), 1767323045 * kS);
  EXPECT_EQ(parse_time("2026-01-02T04:04:05+01:00", now), 1767323045 * kS);
  EXPECT_EQ(parse_time("2026-01-02T03:04:05", now), 1767323045 * kS);
  EXPECT_EQ(parse_time("2026-01-02", now), 1767312000 * kS);
  EXPECT_EQ(parse_time("1767323045", now), 1767323045 * kS);
  EXPECT_EQ(parse_time("1767323045.5", now), 1767323045 * kS + kS / 2);
  EXPECT_EQ(parse_time("10m", now), now - 600 * kS);
  EXPECT_EQ(parse_time("1h30m", now), now - 5400 * kS);
  EXPECT_EQ(parse_time("1.5h", now), now - 5400 * kS);
  for (const char* bad : {"", "x", "2026-13-0", "2026-01-02X", "1h3", "-5m", "5 m"})
    EXPECT_FALSE(parse_time(bad, now).has_value()) << bad;
}

}  // namespace
}  // namespace kist::containers
