#include "launch/ready.h"

#include <gtest/gtest.h>

namespace kist::launch {
namespace {

Ready sample() {
  Ready ready;
  ready.project = "/home/ana/my \"project\"\nwith a newline";
  ready.environment = "default";
  ready.watched = {{"/p/requirements.txt", os::Stamp{12, -5, 7, 99}}, {"/p/kist.toml", std::nullopt}};
  ready.tree = "sha256:00";
  ready.root_lease = "/s/lease";
  ready.objects = "/s/objects";
  ready.lowers = {"/s/delta", "/s/farm \xff"};
  ready.home = "/s/home";
  ready.bytecode_plan = "/s/default.bytecode";
  ready.python_cache = ".cache/kist/python/0123";
  ready.shell = "/bin/sh";
  ready.base_variables = {"PATH=/opt/kist/bin:/x y", "A=b\nc"};
  ready.variables = {"A=1", "B= x=y"};
  ready.mounts = {"/data:/data:ro"};
  ready.tasks = {{"train", "python train.py --epochs 3"}};
  ready.memory_bytes = 8ull << 30;
  ready.cpus = 1.5;
  ready.no_network = true;
  return ready;
}

TEST(ReadyTest, DecodeIsTheInverseOfEncode) {
  const auto got = decode(encode(sample()));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(*got, sample());
}

// Goal: a ready file that a crash cut off is never taken for a shorter, whole one.
TEST(ReadyTest, EveryTruncationIsRefused) {
  const std::string whole = encode(sample());
  for (size_t length = 0; length + 1 < whole.size(); ++length)
    EXPECT_FALSE(decode(whole.substr(0, length)).has_value()) << length;
}

TEST(ReadyTest, FreshMeansEveryStampAndEveryAbsenceHolds) {
  const os::TempDir dir = os::TempDir::make("/tmp").value();
  const std::string input = os::join(dir.path(), "requirements.txt");
  ASSERT_TRUE(os::write_file_atomically(input, "pandas\n").has_value());
  Ready ready;
  ready.watched = {{input, os::stamp(input)}, {os::join(dir.path(), "kist.toml"), std::nullopt}};
  EXPECT_TRUE(is_fresh(ready));
  ASSERT_TRUE(os::write_file_atomically(input, "numpy!\n").has_value());
  EXPECT_FALSE(is_fresh(ready));
  ready.watched[0].stamp = os::stamp(input);
  EXPECT_TRUE(is_fresh(ready));
  ASSERT_TRUE(os::write_file_atomically(os::join(dir.path(), "kist.toml"), "").has_value());
  EXPECT_FALSE(is_fresh(ready));
}

}  // namespace
}  // namespace kist::launch
