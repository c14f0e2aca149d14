#include "os/helper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/text.h"
#include "os/files.h"

namespace kist::os {
namespace {

using std::chrono::milliseconds;

// Waits until the file has text; empty when it never gets any.
std::string text_of(const std::string& path) {
  for (int i = 0; i < 6000; ++i) {  // At idle priority, and others may be busy.
    const auto text = read_file(path);
    if (text && text->ends_with("\n")) return *text;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return "";
}

TEST(HelperTest, RunsApartAndIdleAndIsKilledWithItsOwner) {
  const TempDir dir = TempDir::make(testing::TempDir()).value();
  const std::string out = join(dir.path(), "out");
  pid_t process = 0;
  {
    const auto helper = Helper::start(
        {"/bin/sh", "-c", "echo $$ $(cut -d' ' -f5,41 /proc/$$/stat) > \"$0\"; exec sleep 60", out},
        milliseconds(0));
    ASSERT_TRUE(helper.has_value());
    const std::string text = text_of(out);
    const auto fields = split(trim(text), ' ');
    ASSERT_EQ(fields.size(), 3u) << text;
    EXPECT_EQ(fields[1], fields[0]) << "its own process group";
    EXPECT_EQ(fields[2], "5") << "SCHED_IDLE";
    process = static_cast<pid_t>(*parse_number(fields[0]));
    EXPECT_EQ(::kill(process, 0), 0);
  }
  // Its owner does not wait for it to be gone; who inherits it does.
  int status = SIGKILL;
  const pid_t reaped = ::waitpid(process, &status, 0);
  EXPECT_TRUE(reaped == process || errno == ECHILD);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(::kill(process, 0), -1);
}

TEST(HelperTest, StartsNothingBeforeItsDelay) {
  const TempDir dir = TempDir::make(testing::TempDir()).value();
  const std::string out = join(dir.path(), "out");
  { const auto helper = Helper::start({"/bin/touch", out}, milliseconds(10'000)); }
  EXPECT_FALSE(exists(out));
}

}  // namespace
}  // namespace kist::os
