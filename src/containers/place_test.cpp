#include "containers/place.h"

#include <gmock/gmock.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kist::containers {
namespace {

class PlaceTest : public testing::Test {
 protected:
  Record made(const std::string& name) {
    Record record;
    record.name = name;
    record.image = "busybox";
    Status status;
    const auto done = place_.make(record, status);
    EXPECT_TRUE(done.has_value()) << done.error().render();
    return record;
  }
  os::TempDir folder_ = os::TempDir::make("/tmp", "kist-place.").value();
  Place place_{folder_.path()};
};

TEST_F(PlaceTest, IsFoundByNameIdAndTheBeginningOfAnId) {
  const Record web = made("web");
  const Record other = made("");
  EXPECT_NE(other.name, "");
  EXPECT_EQ(place_.find("web").value(), web.id);
  EXPECT_EQ(place_.find(web.id).value(), web.id);
  EXPECT_EQ(place_.find(web.id.substr(0, 12)).value(), web.id);
  EXPECT_EQ(place_.find(other.name).value(), other.id);
  EXPECT_EQ(place_.record(web.id)->image, "busybox");
  EXPECT_EQ(place_.status(web.id)->phase, Phase::created);
  for (const char* bad : {"", "none", "..", "../ids", "a/b", "zz", "WEB"})
    EXPECT_EQ(place_.find(bad).error().code(), Code::not_found) << bad;
}

TEST_F(PlaceTest, ANameBelongsToOne) {
  const Record web = made("web");
  Record second;
  second.name = "web";
  Status status;
  const auto taken = place_.make(second, status);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code(), Code::exists);
  EXPECT_EQ(taken.error().message(), "the name 'web' is in use by container " + web.short_id());
  EXPECT_EQ(place_.ids()->size(), 1u) << "nothing is left of the second";
  ASSERT_TRUE(place_.remove(web).has_value());
  second.id.clear();
  EXPECT_TRUE(place_.make(second, status).has_value());
}

TEST_F(PlaceTest, NamesOfOlderReleasesAreReadAndFreed) {
  Record web = made("web");
  const std::string link = os::join(place_.folder(), "names/web");
  EXPECT_LT(os::read_link(link)->size(), 60u);
  ASSERT_EQ(::unlink(link.c_str()), 0);
  ASSERT_EQ(::symlink(web.id.c_str(), link.c_str()), 0);
  EXPECT_EQ(place_.find("web").value(), web.id);
  Record second;
  second.name = "web";
  Status status;
  EXPECT_EQ(place_.make(second, status).error().message(), "the name 'web' is in use by container " + web.short_id());
  ASSERT_TRUE(place_.remove(web).has_value());
  EXPECT_FALSE(os::exists(link));
  EXPECT_NE(made("web").id, web.id);
}

TEST_F(PlaceTest, ANameOfNobodyIsTaken) {
  const Record web = made("web");
  ASSERT_TRUE(os::remove_tree(place_.folder_of(web.id)).has_value());
  EXPECT_NE(made("web").id, web.id);
}

// Goal: kill -9 at any moment leaves no name that cannot be had again. Method: the folders as such
// crashes leave them.
TEST_F(PlaceTest, WhatWasKilledBlocksNothing) {
  const Record web = made("web");
  ASSERT_EQ(::unlink(place_.file_of(web.id, "status").c_str()), 0);
  const Record again = made("web");
  EXPECT_EQ(place_.find("web").value(), again.id);
  place_.sweep();
  EXPECT_EQ(place_.ids()->size(), 2u) << "somebody may be making it";
  timeval long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
  ASSERT_EQ(::lutimes(place_.folder_of(web.id).c_str(), long_ago), 0);
  ASSERT_EQ(::lutimes(place_.folder_of(again.id).c_str(), long_ago), 0);
  place_.sweep();
  EXPECT_EQ(place_.ids().value(), std::vector<std::string>{again.id});
  // Killed before it had its name.
  ASSERT_TRUE(os::remove_tree(os::join(place_.folder(), "names/web")).has_value());
  EXPECT_EQ(place_.find(again.id).value(), again.id);
  EXPECT_TRUE(place_.remove(again).has_value());
}

TEST_F(PlaceTest, Renames) {
  Record web = made("web");
  made("db");
  EXPECT_EQ(place_.rename(web, "db").error().code(), Code::exists);
  ASSERT_TRUE(place_.rename(web, "www").has_value());
  EXPECT_EQ(place_.find("www").value(), web.id);
  EXPECT_EQ(place_.find("web").error().code(), Code::not_found);
  EXPECT_EQ(place_.status(web.id)->name, "www");
}

TEST_F(PlaceTest, NamesAreChecked) {
  for (const char* bad : {"a", "-ab", ".ab", "a b", "a/b", "a\n"})
    EXPECT_FALSE(check_name(bad).has_value()) << bad;
  EXPECT_TRUE(check_name("a_b.c-1").has_value());
  EXPECT_FALSE(check_name(std::string(201, 'a')).has_value());
}

TEST_F(PlaceTest, SaysWhoLooksAfterIt) {
  const Record web = made("web");
  EXPECT_FALSE(place_.is_looked_after(web.id));
  auto held = place_.look_after(web.id).value();
  ASSERT_TRUE(held.has_value());
  EXPECT_FALSE(place_.look_after(web.id)->has_value());
  EXPECT_TRUE(place_.is_looked_after(web.id));
  held.reset();
  EXPECT_FALSE(place_.is_looked_after(web.id));
}

// Goal: what a killed supervisor left is told as it is.
TEST_F(PlaceTest, KnowsWhatIsOverWithoutASupervisor) {
  const Record web = made("web");
  Status status = place_.status(web.id).value();
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  status.phase = Phase::running;
  status.pid = child;
  status.pid_start = start_of_process(child);
  ASSERT_TRUE(place_.write(status).has_value());
  EXPECT_EQ(place_.status(web.id)->phase, Phase::running);
  EXPECT_THAT(place_.status(web.id)->error, testing::HasSubstr("supervisor is gone"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(place_.status(web.id)->phase, Phase::exited);
  EXPECT_EQ(place_.status(web.id)->exit_code, 137);
  EXPECT_EQ(place_.status(web.id)->pid, 0);
}

}  // namespace
}  // namespace kist::containers
