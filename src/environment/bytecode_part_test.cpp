#include "environment/bytecode_part.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

store::Entry folder(std::string path, uint32_t mode) {
  return {.path = std::move(path), .kind = store::Kind::folder, .mode = mode};
}
store::Entry file(std::string path) {
  return {.path = std::move(path), .object = oci::Sha256::of("x")};
}

// Folders keep the mode that they have in the whole tree: a layer on top must not change it.
TEST(BytecodePartTest, HasWhatNoPartHasAndTheFoldersAbove) {
  std::vector<NamedTree> parts;
  parts.push_back({"base", *store::Tree::make({folder("usr", 0700), file("usr/a.py")})});
  const auto complete = store::Tree::make(
      {folder("usr", 0700), file("usr/a.py"), folder("usr/__pycache__", 0750), file("usr/__pycache__/a.pyc")});
  const auto part = bytecode_part(*complete, parts);
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(*part->find("usr"), folder("usr", 0700));
  EXPECT_EQ(*part->find("usr/__pycache__"), folder("usr/__pycache__", 0750));
  EXPECT_NE(part->find("usr/__pycache__/a.pyc"), nullptr);
  EXPECT_EQ(part->entries().size(), 3u);
  EXPECT_TRUE(bytecode_part(parts[0].tree, parts)->empty());
}

}  // namespace
}  // namespace kist::environment
