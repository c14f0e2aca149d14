#include "environment/bytecode_piece.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

BytecodePlan sample() {
  BytecodePlan plan;
  plan.complete_name = "env/ab-complete";
  plan.tree = oci::Sha256::of("tree");
  plan.python_minor = "3.13";
  plan.python = "/opt/python/bin/python3.13";
  plan.pieces = {{.label = "the standard library",
                  .name = "bytecode/01",
                  .sources = oci::Sha256::of("base"),
                  .folder = "usr/lib/python3.13"},
                 {.label = "numpy 2.1.0",
                  .name = "bytecode/02",
                  .sources = oci::Sha256::of("numpy"),
                  .folder = ""}};
  return plan;
}

TEST(BytecodePlanTest, DecodeIsTheInverseOfEncode) {
  const auto got = decode_bytecode_plan(encode(sample()));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(encode(*got), encode(sample()));
  EXPECT_EQ(got->complete_name, "env/ab-complete");
  EXPECT_EQ(got->tree, sample().tree);
  EXPECT_EQ(got->python_minor, "3.13");
  EXPECT_EQ(got->python, "/opt/python/bin/python3.13");
  ASSERT_EQ(got->pieces.size(), 2u);
  EXPECT_EQ(got->pieces[0].folder, "usr/lib/python3.13");
  EXPECT_EQ(got->pieces[1].label, "numpy 2.1.0");
  EXPECT_EQ(got->pieces[1].folder, "");
}

// Goal: a file that a crash cut off is never taken for a shorter plan.
TEST(BytecodePlanTest, EveryTruncationIsRefused) {
  const std::string whole = encode(sample());
  for (size_t length = 0; length + 1 < whole.size(); ++length)
    EXPECT_FALSE(decode_bytecode_plan(whole.substr(0, length)).has_value()) << length;
}

TEST(BytecodePlanTest, BadLinesAreNamed) {
  const auto got = decode_bytecode_plan("kist-bytecode 2\npython 3.13 /usr/bin/python3.13\npiece a b\nend\n");
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().message(), "byte-code plan, line 3: not understood");
}

}  // namespace
}  // namespace kist::environment
