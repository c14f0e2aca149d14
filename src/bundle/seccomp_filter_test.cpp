#include "bundle/seccomp_filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>

#include "os/files.h"

namespace kist::bundle {
namespace {

Seccomp refusing(const std::string& name, std::optional<uint32_t> number = {}) {
  Seccomp profile;
  profile.default_action = SeccompAction::allow;
  profile.rules.push_back({.names = {name},
                           .action = SeccompAction::error_number,
                           .error_number = number,
                           .arguments = {}});
  return profile;
}

// What the call says in a process with the filter: its errno, or 0.
int with_filter(const SeccompFilter& filter, long call) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !install_seccomp(filter)) ::_exit(99);
    ::_exit(::syscall(call, 0, 0, 0) < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(SeccompFilterTest, RefusesWithTheNumber) {
  const auto filter = compile_seccomp(refusing("getppid", 42));
  ASSERT_TRUE(filter) << filter.error().render();
  EXPECT_EQ(with_filter(*filter, SYS_getppid), 42);
  EXPECT_EQ(with_filter(*filter, SYS_getpid), 0);
}

TEST(SeccompFilterTest, CallsThatTheLibraryDoesNotKnowAreFoundByNumber) {
  constexpr long kMseal = 462;
  const auto filter = compile_seccomp(refusing("mseal", 43));
  ASSERT_TRUE(filter);
  EXPECT_EQ(with_filter(*filter, kMseal), 43);
}

TEST(SeccompFilterTest, CallsNewerThanTheProfileAreMissingAndNotForbidden) {
  Seccomp profile;
  profile.default_action = SeccompAction::error_number;
  profile.rules.push_back({.names = {"exit_group", "exit", "read", "write", "close_range"},
                           .action = SeccompAction::allow,
                           .error_number = {},
                           .arguments = {}});
  const auto filter = compile_seccomp(profile);
  ASSERT_TRUE(filter);
  EXPECT_EQ(with_filter(*filter, SYS_getppid), EPERM);
  EXPECT_EQ(with_filter(*filter, 462), ENOSYS);
}

TEST(SeccompFilterTest, CacheGivesTheSame) {
  const os::TempDir folder = os::TempDir::make("/tmp", "seccomp.").value();
  const Seccomp profile = refusing("getppid");
  const auto first = cached_seccomp(profile, folder.path());
  const auto names = os::list_folder(folder.path()).value();
  ASSERT_EQ(names.size(), 1u);
  const auto second = cached_seccomp(profile, folder.path());
  ASSERT_TRUE(first && second);
  ASSERT_EQ(first->program.size(), second->program.size());
  EXPECT_EQ(0, std::memcmp(first->program.data(), second->program.data(),
                           first->program.size() * sizeof(sock_filter)));
}

// Goal: a cache that others could have written, or that is broken, is not believed.
TEST(SeccompFilterTest, BadCachesAreNotUsed) {
  const Seccomp profile = refusing("getppid", 44);
  const std::function<void(const std::string&)> spoil[] = {
      [](const std::string& path) { ::chmod(path.c_str(), 0666); },
      [](const std::string& path) { (void)::truncate(path.c_str(), 20); },
      [](const std::string& path) { (void)::truncate(path.c_str(), 0); },
      [](const std::string& path) { std::ofstream(path, std::ios::app) << "odd"; },
      [](const std::string& path) {
        std::fstream file(path, std::ios::in | std::ios::out);
        file.seekp(12);
        file << "another key";
      }};
  for (const auto& one : spoil) {
    const os::TempDir folder = os::TempDir::make("/tmp", "seccomp.").value();
    ASSERT_TRUE(cached_seccomp(profile, folder.path()));
    one(os::join(folder.path(), os::list_folder(folder.path())->front()));
    const auto filter = cached_seccomp(profile, folder.path());
    ASSERT_TRUE(filter);
    EXPECT_EQ(with_filter(*filter, SYS_getppid), 44);
  }
}

TEST(SeccompFilterTest, AnotherProfileIsAnotherFile) {
  const os::TempDir folder = os::TempDir::make("/tmp", "seccomp.").value();
  ASSERT_TRUE(cached_seccomp(refusing("getppid", 1), folder.path()));
  ASSERT_TRUE(cached_seccomp(refusing("getppid", 2), folder.path()));
  EXPECT_EQ(os::list_folder(folder.path())->size(), 2u);
}

}  // namespace
}  // namespace kist::bundle
