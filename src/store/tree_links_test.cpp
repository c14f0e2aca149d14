#include "store/tree_links.h"

#include <gtest/gtest.h>

namespace kist::store {
namespace {

Entry link(std::string path, std::string target) {
  Entry entry;
  entry.path = std::move(path);
  entry.kind = Kind::symlink;
  entry.mode = 0777;
  entry.target = std::move(target);
  return entry;
}

Entry file(std::string path) {
  Entry entry;
  entry.path = std::move(path);
  entry.object = oci::Sha256::of("");
  return entry;
}

TEST(TreeLinksTest, FollowsAsAProgramWould) {
  const auto tree = Tree::make({file("usr/bin/python3.11"), link("usr/bin/python3", "python3.11"),
                                link("bin", "usr/bin"), link("usr/local/bin/python", "/bin/python3"),
                                link("up", "../../etc"), file("etc/passwd"), link("a", "b"), link("b", "a"),
                                link("root", "/"), link("gone", "nowhere")});
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
