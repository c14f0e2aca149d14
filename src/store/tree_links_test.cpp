#include "store/tree_links.h"

#include <gtest/gtest.h>

#include "store/test_home.h"

namespace kist::store {
namespace {

TEST(TreeLinksTest, FollowsAsAProgramWould) {
  const auto tree = Tree::make({file("usr/bin/python3.11"), symlink("usr/bin/python3", "python3.11"),
                                symlink("bin", "usr/bin"), symlink("usr/local/bin/python", "/bin/python3"),
                                symlink("up", "../../etc"), file("etc/passwd"), symlink("a", "b"), symlink("b", "a"),
                                symlink("root", "/"), symlink("gone", "nowhere")});
  ASSERT_TRUE(tree.has_value());
  const struct {
    const char* path;
    const char* real;  // Empty: leads nowhere.
  } cases[] = {
      {"usr/bin/python3.11", "usr/bin/python3.11"},
      {"/usr/local/bin/python", "usr/bin/python3.11"},
      {"/bin/python3", "usr/bin/python3.11"},
      {"bin", "usr/bin"},
      {"bin/../bin/./python3", "usr/bin/python3.11"},
      {"up/passwd", "etc/passwd"},
      {"root/etc/passwd", "etc/passwd"},
      {"../../etc/passwd", "etc/passwd"},
      {"a", ""},
      {"gone", ""},
      {"root", ""},
      {"/", ""},
      {"", ""},
      {"etc/passwd/x", ""},
      {"etc/nothing", ""},
  };
  for (const auto& c : cases) {
    const Entry* const found = follow(*tree, c.path);
    EXPECT_EQ(found == nullptr ? "" : found->path, c.real) << c.path;
  }
}

}  // namespace
}  // namespace kist::store
