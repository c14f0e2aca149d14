#include "store/erofs_writer.h"

#include <gmock/gmock.h>


#include "os/child.h"
#include "store/test_home.h"

namespace kist::store {
namespace {

std::string image_of(const Tree& tree, const std::string& path) {
  const os::Fd fd = must(os::open_file(path, O_RDWR | O_CREAT | O_TRUNC));
  must(write_erofs(tree, tree.digest(), fd));
  return must(os::read_file(path));
}

// Names that make folders of every shape: one block exactly, a tail that does not fit, names that
// sort before "." and between "." and "..".
Tree shapes() {
  std::vector<Entry> entries;
  for (int count : {0, 1, 100, 146, 147, 148, 1000}) {
    const std::string top = fmt::format("count-{}", count);
    entries.push_back(folder(top, 0700));
    for (int i = 0; i < count; ++i) entries.push_back(file(fmt::format("{}/{:016}", top, i), "x"));
  }
  for (int length = 3980; length <= 4095; length += 5)
    entries.push_back(symlink(fmt::format("link-{}", length), std::string(length, 't')));
  for (const char* const name : {"!", "+", "-", "..a", ".a", "...", "/", "a b", "a\nb", "\xff\xfe"})
    if (*name != '/') entries.push_back(file(std::string("odd/") + name, name));
  entries.push_back(file("odd/" + std::string(255, 'n'), "long"));
  std::string deep = "deep";
  for (int i = 0; i < 200; ++i) deep += fmt::format("/{}", i);
  entries.push_back(file(deep, "deep", 04755));
  Entry rich = file("rich", "rich", 0600);
  rich.uid = 100000;
  rich.gid = 7;
  rich.mtime_s = 1'700'000'000;
  rich.xattrs = {{"security.capability", "no"},
                 {"user.a", "value"},
                 {"user.large", std::string(5000, 'v')},
                 {"user.overlay.redirect", "/no"}};
  entries.push_back(rich);
  entries.push_back(file("empty", "", 0444));
  return must(Tree::make(std::move(entries)));
}

TEST(ErofsTest, BytesDependOnTheTreeAlone) {
  const TestHome home;
  const std::string path = home.beside("image");
  EXPECT_EQ(image_of(shapes(), path), image_of(shapes(), path));
  EXPECT_EQ(image_of(shapes(), path).size() % 4096, 0u);
  // Changes only together with the version of the variant, since roots are found by their tree.
  EXPECT_EQ(oci::Sha256::of(image_of(shapes(), path)).hex(),
            "a6f0ccb1bfefa25678f0673ef74f1052f4228fd5a32c50e77be560bf899f7a4d");
}

// Goal: others read what we write. Method: the reference checker, which walks every inode.
TEST(ErofsTest, ReferenceToolAcceptsImages) {
  const TestHome home;
  const std::string path = home.beside("image");
  for (const Tree& tree : {Tree(), must(Tree::make({file("a")})), shapes()}) {
    image_of(tree, path);
    os::Command command;
    command.args = {"fsck.erofs", path};
    command.env = os::current_env();
    const auto done = os::run(command);
    if (!done.has_value() && done.error().code() == Code::not_found)
      GTEST_SKIP() << "fsck.erofs is not installed (package erofs-utils)";
    const os::Output output = must(done);
    EXPECT_EQ(output.status, 0) << output.out << output.err;
  }
}

TEST(ErofsTest, TooManyAttributesAreRefused) {
  const TestHome home;
  Entry entry = file("a", "x");
  for (int i = 0; i < 60; ++i)
    entry.xattrs.emplace_back(fmt::format("user.{:02}", i), std::string(2000, 'v'));
  const Tree tree = must(Tree::make({entry}));
  const os::Fd fd = must(os::open_file(home.beside("image"), O_RDWR | O_CREAT));
  const Result<void> written = write_erofs(tree, tree.digest(), fd);
  EXPECT_EQ(written.error().code(), Code::unsupported);
  EXPECT_EQ(written.error().message(), "'a' has more than 65.5 kB of extended attributes");
}

// Goal: the image grows with the number of entries, not faster; the kernel reads what is this large.
TEST(ErofsTest, TakesManyEntries) {
  const TestHome home;
  std::vector<Entry> entries;
  for (int i = 0; i < 100'000; ++i) {
    entries.push_back(file(
        fmt::format("opt/kist/lib/python3.11/site-packages/p{}/m{}/f{}.py", i / 500, i / 50, i),
        fmt::format("{}", i)));
  }
  const Tree large = must(Tree::make(std::move(entries)));
  const Tree half = must(Tree::make({large.entries().begin(), large.entries().begin() + 50'000}));
  std::vector<uint64_t> sizes;
  for (const Tree* tree : {&half, &large}) {
    const os::Fd fd = must(os::open_file(home.beside("image"), O_RDWR | O_CREAT | O_TRUNC));
    must(write_erofs(*tree, tree->digest(), fd));
    sizes.push_back(os::stamp(home.beside("image"))->size_bytes);
  }
  EXPECT_LT(sizes[1], sizes[0] * 21 / 10);
}

}  // namespace
}  // namespace kist::store
