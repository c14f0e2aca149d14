// With a real uv and a real index, as they are on this machine: whether what uv says is still what
// we read. Skipped where there is no uv on PATH or no index.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.h"
#include "os/child.h"
#include "os/files.h"
#include "python/pylock_complete.h"
#include "python/uv.h"

namespace kist::python {
namespace {

struct Uv {
  std::string program;
  std::string missing;  // Why it cannot be used.
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// KIST_TEST_UV, else the first uv on PATH.
Uv find_uv_program() {
  Uv out{.program = variable("KIST_TEST_UV"), .missing = {}};
  const std::string path = variable("PATH");
  for (const std::string_view folder : split(path, ':')) {
    if (!out.program.empty()) break;
    const std::string candidate = os::join(folder, "uv");
    if (os::exists(candidate)) out.program = candidate;
  }
  if (out.program.empty()) out.missing = "no uv on PATH and no KIST_TEST_UV";
  return out;
}

class UvLiveTest : public testing::Test {
 protected:
  void SetUp() override {
    uv_ = find_uv_program();
    if (!uv_.missing.empty()) GTEST_SKIP() << uv_.missing;
    folder_ = os::TempDir::make("/tmp", "kist-uv.").value();
    project_ = os::join(folder_.path(), "project");
    ASSERT_TRUE(os::make_folders(project_).has_value());
    ASSERT_TRUE(os::make_folders(os::join(folder_.path(), "out")).has_value());
  }

  void write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(os::make_folders(os::parent_of(os::join(project_, path))).has_value());
    ASSERT_TRUE(os::write_file_atomically(os::join(project_, path), text).has_value());
  }

  Result<Lock> resolve(const Target& target) {
    const Inputs inputs = TRY(detect(ProjectFolder(project_), {}));
    UvRequest request = TRY(uv_request(inputs, target));
    request.uv = uv_.program;
    request.output = os::join(folder_.path(), "out/pylock.toml");
    const UvCommand command = uv_command(request);
    std::string script = fmt::format("cd {} && exec", shell_quote(project_));
    for (const std::string& argument : command.arguments)
      script.append(" ").append(shell_quote(argument));
    const std::string input = os::join(folder_.path(), "input");
    const std::string errors = os::join(folder_.path(), "errors");
    TRY(os::write_file_atomically(input, command.input));
    script += fmt::format(" <{} >/dev/null 2>{}", shell_quote(input), shell_quote(errors));
    const int status = std::system(script.c_str());
    if (status != 0) {
      const std::string said = TRY(os::read_file(errors));
      return uv_failure(said, request);
    }
    const std::string text = TRY(os::read_file(request.output));
    std::vector<std::string> warnings;
    const Lock lock = TRY(read_uv_output(
        text, {.output = os::join(folder_.path(), "out"), .project = project_}, warnings));
    return complete_lock(lock, inputs, target);
  }

  static bool is_offline(const Result<Lock>& lock) {
    return !lock && lock.error().code() == Code::unavailable;
  }

  Uv uv_;
  os::TempDir folder_;
  std::string project_;
};

// Goal: each kind of requirement ends in the lock as docs/formats/lock.md says.
TEST_F(UvLiveTest, ResolvesEachKindOfRequirement) {
  write("requirements.txt", "markupsafe>=2\n-e ./lib\ncolorama; sys_platform == 'win32'\n");
  write("lib/pyproject.toml", "[project]\nname = \"my_lib\"\nversion = \"1\"\n");
  Result<Lock> lock = resolve(make_target("linux/arm64", "3.11", 36).value());
  if (is_offline(lock)) GTEST_SKIP() << "the index cannot be reached: " << lock.error().render();
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  ASSERT_EQ(lock->packages.size(), 2u);
  EXPECT_EQ(lock->packages[0].name, "markupsafe");
  ASSERT_EQ(lock->packages[0].wheels.size(), 1u);
  EXPECT_NE(lock->packages[0].wheels[0].name.find("aarch64"), std::string::npos);
  EXPECT_EQ(lock->packages[1].directory,
            (LockedDirectory{.path = "lib", .editable = true, .subdirectory = ""}));
  EXPECT_EQ(lock->kist->requested, (std::vector<std::string>{"markupsafe", "my-lib"}));
  lock->kist->recipe = 1;
  lock->kist->base = "debian:bookworm";
  // What we write can be read by ourselves and is the same when written again.
  std::vector<std::string> warnings;
  const std::string text = write_lock(*lock);
  const auto again = parse_lock(text, "pylock.kist.toml", warnings);
  ASSERT_TRUE(again.has_value()) << again.error().render() << text;
  EXPECT_EQ(write_lock(*again), text);
}

TEST_F(UvLiveTest, PrefersTheVersionsOfTheOldLock) {
  const Target target;
  write("requirements.txt", "idna==3.7\n");
  const Result<Lock> old_lock = resolve(target);
  if (is_offline(old_lock)) GTEST_SKIP() << "the index cannot be reached";
  ASSERT_TRUE(old_lock.has_value()) << old_lock.error().render();
  ASSERT_TRUE(
      os::write_file_atomically(os::join(folder_.path(), "out/pylock.toml"), write_lock(*old_lock))
          .has_value());
  write("requirements.txt", "idna\nsix\n");
  const Result<Lock> lock = resolve(target);
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  EXPECT_EQ(lock->packages[0].version, "3.7");
}

TEST_F(UvLiveTest, ExplainsFailures) {
  write("requirements.txt", "idna<3\nidna>=3.1\n");
  const Result<Lock> conflict = resolve(Target{});
  if (is_offline(conflict)) GTEST_SKIP() << "the index cannot be reached";
  ASSERT_FALSE(conflict.has_value());
  EXPECT_EQ(conflict.error().code(), Code::invalid);
  EXPECT_NE(conflict.error().render().find("you require idna"), std::string::npos);
  write("requirements.txt", "docopt==0.6.2\n");
  const Result<Lock> source_only = resolve(Target{});
  ASSERT_FALSE(source_only.has_value());
  EXPECT_TRUE(uv_needs_build(source_only.error().render()));
}

}  // namespace
}  // namespace kist::python
