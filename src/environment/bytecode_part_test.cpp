#include "environment/bytecode_part.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

store::Tree tree_of(const std::vector<std::string>& files) {
  std::vector<store::Entry> entries;
  for (const std::string& path : files) {
    store::Entry entry;
    entry.path = path;
    entry.object = oci::Sha256::of(path);
    entries.push_back(entry);
  }
  auto tree = store::Tree::make(std::move(entries));
  EXPECT_TRUE(tree.has_value());
  return std::move(*tree);
}

bool has(const store::Tree& tree, const char* path) { return tree.find(path) != nullptr; }

TEST(BytecodePart, GoesToWhoHasTheSource) {
  std::vector<NamedTree> parts;
  parts.push_back({"base", tree_of({"lib/os.py"})});
  parts.push_back({"six 1", tree_of({"site/six.py"})});
  parts.push_back({"more 2", tree_of({"site/more/__init__.py", "site/more/x.py"})});
  const store::Tree complete =
      tree_of({"lib/os.py", "lib/__pycache__/os.cpython-313.pyc", "site/six.py", "site/__pycache__/six.cpython-313.pyc",
               "site/more/__init__.py", "site/more/x.py", "site/more/__pycache__/x.cpython-313.opt-1.pyc",
               "site/more/__pycache__/gone.cpython-313.pyc", "site/generated"});
  const auto rest = share_out_bytecode(complete, parts, [](const std::string& name) { return name != "base"; });
  ASSERT_TRUE(rest.has_value());
  EXPECT_TRUE(has(parts[1].tree, "site/__pycache__/six.cpython-313.pyc"));
  EXPECT_FALSE(has(parts[1].tree, "site/more/__pycache__/x.cpython-313.opt-1.pyc"));
  EXPECT_TRUE(has(parts[2].tree, "site/more/__pycache__/x.cpython-313.opt-1.pyc"));
  EXPECT_FALSE(has(parts[0].tree, "lib/__pycache__/os.cpython-313.pyc"));
  EXPECT_TRUE(has(*rest, "lib/__pycache__/os.cpython-313.pyc"));
  EXPECT_TRUE(has(*rest, "site/more/__pycache__/gone.cpython-313.pyc"));
  EXPECT_TRUE(has(*rest, "site/generated"));
  EXPECT_FALSE(has(*rest, "site/six.py"));
}

}  // namespace
}  // namespace kist::environment
