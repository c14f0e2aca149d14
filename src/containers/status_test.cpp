#include "containers/status.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace kist::containers {
namespace {

Status full() {
  Status s;
  s.id = std::string(64, 'b');
  s.name = "web";
  s.command = "sh -c 'a\nb'";
  s.created_ns = 5;
  s.phase = Phase::restarting;
  s.pid = 12;
  s.pid_start = 99;
  s.exit_code = 137;
  s.out_of_memory = true;
  s.error = "100% \xff";
  s.health = "unhealthy";
  return s;
}

TEST(StatusTest, ComesBack) {
  const auto back = decode_status(encode(full()));
  ASSERT_TRUE(back.has_value()) << back.error().render();
  EXPECT_EQ(*back, full());
}

TEST(StatusTest, RefusesWhatIsNoStatus) {
  const std::string good = encode(full());
  for (const std::string& text : {std::string(), std::string("kist-container-status 1"), good + "more 1\n",
                                  good.substr(0, good.size() - 4),
                                  "kist-container-status 1\nphase flying\n" + std::string()})
    EXPECT_FALSE(decode_status(text).has_value()) << text;
}

TEST(StatusTest, TellsAProcessFromALaterOne) {
  Status s;
  s.pid = ::getpid();
  s.pid_start = start_of_process(s.pid);
  EXPECT_NE(s.pid_start, 0u);
  EXPECT_TRUE(process_lives(s));
  s.pid_start += 1;
  EXPECT_FALSE(process_lives(s));
  EXPECT_EQ(start_of_process(0x7fffffff), 0u);
}

}  // namespace
}  // namespace kist::containers
