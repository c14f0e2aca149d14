#include "environment/build_lock.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

python::LockedDebianPackage deb(const std::string& name, const std::string& version, bool tool = false) {
  return {.name = name, .version = version, .architecture = "amd64", .suite = "bookworm",
          .component = "main", .path = name, .size_bytes = 1,
          .sha256 = oci::Sha256::of(name + version), .tool = tool};
}

python::Lock lock_with_builds() {
  python::Lock lock;
  lock.kist = python::KistSection();
  lock.kist->builds = {"thing", "alone"};
  lock.kist->build_requirements = {
      {.package = "thing", .name = "backend", .version = "1", .sha256 = oci::Sha256::of("1")}};
  lock.kist->debian = {deb("libc6", "1"), deb("perl-base", "1", true)};
  return lock;
}

TEST(BuildLockTest, NothingNeededIsNotTheSameAsNotLocked) {
  const python::Lock lock = lock_with_builds();
  EXPECT_EQ(locked_build(lock, "other"), std::nullopt);
  ASSERT_TRUE(locked_build(lock, "alone").has_value());
  EXPECT_TRUE(locked_build(lock, "alone")->empty());
  EXPECT_EQ(locked_build(lock, "thing")->front().name, "backend");
}

// A package that is a tool of scripts in the environment may be a real one in the build's root.
TEST(BuildLockTest, PackagesOfTheBuildComeBeforeThoseOfTheEnvironment) {
  python::Lock lock = lock_with_builds();
  lock.kist->build_debian = {deb("perl-base", "1"), deb("gcc", "1")};
  const auto all = locked_build_debian(lock);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "gcc");
  EXPECT_EQ(all[1].name, "libc6");
  EXPECT_EQ(all[2].name, "perl-base");
  EXPECT_FALSE(all[2].tool);
}

TEST(BuildLockTest, KeyCoversWhatItIsBuiltWith) {
  const python::Lock lock = lock_with_builds();
  const std::string key = locked_build_key(lock, "thing");
  EXPECT_NE(key, locked_build_key(lock, "alone"));
  EXPECT_EQ(locked_build_key(lock, "other"), "");
  python::Lock newer = lock;
  newer.kist->build_requirements[0].sha256 = oci::Sha256::of("2");
  EXPECT_NE(key, locked_build_key(newer, "thing"));
  // Without a compiler another Debian package in the environment changes nothing; with one it may.
  newer = lock;
  newer.kist->debian.push_back(deb("less", "1"));
  EXPECT_EQ(key, locked_build_key(newer, "thing"));
  newer.kist->build_debian = {deb("gcc", "1")};
  const std::string compiled = locked_build_key(newer, "thing");
  EXPECT_NE(key, compiled);
  newer.kist->build_debian = {deb("gcc", "2")};
  EXPECT_NE(compiled, locked_build_key(newer, "thing"));
}

}  // namespace
}  // namespace kist::environment
