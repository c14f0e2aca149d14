// Longer than most files: both forms of a root are shown the same trees.
#include "store/root.h"

#include <gmock/gmock.h>
#include <sys/file.h>

#include <chrono>
#include <regex>
#include <thread>

#include "store/layout.h"
#include "store/link_farm.h"
#include "store/root_state.h"
#include "store/test_home.h"
#include "store/test_mount.h"

namespace kist::store {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr uid_t kNobody = 65534;

Entry with_xattrs(Entry entry, std::vector<std::pair<std::string, std::string>> xattrs) {
  entry.xattrs = std::move(xattrs);
  return entry;
}

// Puts the files of a tree, whose contents are their paths (or empty), into the store.
class Contents {
 public:
  explicit Contents(Transaction& tx) : builder_(tx) {}
  void file(const std::string& path, uint32_t mode = 0644) { put(path, mode, path); }
  void put(const std::string& path, uint32_t mode, std::string_view bytes) {
    must(builder_.file(path, mode, bytes));
  }
  TreeBuilder& builder() { return builder_; }
  Tree finish() { return must(std::move(builder_).finish()); }

 private:
  TreeBuilder builder_;
};

// Everything that a root can show, and names of every kind.
Tree odd_tree(Transaction& tx) {
  Contents contents(tx);
  for (const char* const name : {"a b", "a\nb", "\xff\xfe", "!", "+", "..a", "...", "'\"$(x)\\"})
    contents.file(std::string("odd/") + name);
  contents.file("odd/" + std::string(255, 'n'));
  for (const uint32_t mode : {0444u, 0600u, 0755u, 0555u, 04755u})
    contents.file(fmt::format("modes/{:o}", mode), mode);
  contents.put("empty", 0644, "");
  contents.put("empty-too", 0755, "");
  contents.put("large", 0644, std::string(300'000, 'x'));
  std::string deep = "deep";
  for (int i = 0; i < 100; ++i) deep += fmt::format("/{}", i);
  contents.file(deep);
  for (int i = 0; i < 500; ++i) contents.file(fmt::format("many/file number {}", i));
  contents.builder().folder("empty-folder", 0700);
  contents.builder().folder("read-only", 0555);
  contents.file("read-only/file", 0444);
  contents.builder().folder("tmp", 01777);
  contents.builder().symlink("link", "odd/a b");
  contents.builder().symlink("broken", std::string(3000, 't'));
  contents.builder().symlink("absolute", "/etc/passwd");
  Entry late = folder("late");
  late.mtime_s = 1'000'000'000;
  contents.builder().add(late);
  const std::vector<std::pair<std::string, std::string>> attributes = {
      {"security.capability", "never"},
      {"trusted.overlay.opaque", "y"},
      {"user.overlay.redirect", "/etc"},
      {"user.shown", std::string("\0value", 6)}};
  must(tx.put("rich", 0640));
  Entry rich = file("rich", "rich", 0640);
  contents.builder().add(with_xattrs(rich, attributes));
  contents.builder().add(with_xattrs(folder("rich-folder"), attributes));
  return contents.finish();
}

Root root_of(const Store& store, Transaction& tx, const Tree& tree, Variant variant) {
  must(tx.put_tree(tree));
  return must(make_root(store, tx, tree, tree.digest(), variant));
}

std::string listing(const Root& root) {
  const os::Fd mount = must(mount_root(root));
  std::string out;
  list_into(mount, "", out);
  return out;
}

bool may_mount() { return ::geteuid() == 0; }

// What only an image of metadata shows: links share an inode with the store, which has none of it.
std::string without_privilege(const std::string& shown) {
  std::string out = std::regex_replace(shown, std::regex(" security\\.capability=[0-9a-f]+"), "");
  return std::regex_replace(out, std::regex(" 10[1-7]([0-7]{3}) "), " 100$1 ");
}

// Goal: a program cannot tell the variants apart, but for what gives privilege. Method: real mounts, compared entry by entry.
TEST(RootTest, BothVariantsShowTheSame) {
  if (!may_mount()) GTEST_SKIP() << "needs root to mount EROFS";
  const TestHome home(Medium::disk);
  const Store store = home.open();
  Transaction tx = must(store.begin());
  const Tree tree = odd_tree(tx);
  const Root erofs = root_of(store, tx, tree, Variant::erofs);
  const Root links = root_of(store, tx, tree, Variant::links);
  EXPECT_EQ(erofs.lowers, std::vector<std::string>());
  EXPECT_THAT(links.lowers, SizeIs(1));
  if (const std::string reason = no_erofs_because(erofs); !reason.empty()) GTEST_SKIP() << reason;
  const std::string shown = listing(erofs);
  EXPECT_EQ(difference(listing(links), without_privilege(shown)), "");
  EXPECT_EQ(static_cast<size_t>(std::count(shown.begin(), shown.end(), '\n')),
            tree.entries().size() + 1)
      << "a line for each, and a name that holds a newline";
  EXPECT_THAT(shown, HasSubstr("modes/4755 104755 size 10 "));
  EXPECT_THAT(shown, HasSubstr("tmp 41777 time 315532800\n"));
  EXPECT_THAT(shown, HasSubstr("read-only 40555 time 315532800\n"));
  EXPECT_THAT(shown, HasSubstr("late 40755 time 1000000000\n"));
  EXPECT_THAT(shown,
              HasSubstr("rich-folder 40755 time 315532800 security.capability=e3b0c442 user.shown=" +
                        oci::Sha256::of(std::string("\0value", 6)).hex().substr(0, 8) + "\n"));
  EXPECT_THAT(shown, HasSubstr("absolute 120777 size 11 time 315532800 -> /etc/passwd\n"));
}

// The same as a plain user does it: nothing but an own user namespace.
TEST(RootTest, PlainUserSeesTheSameThroughLinks) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer runs a thread of its own, which forbids unshare(2)";
#endif
  if (!may_mount()) GTEST_SKIP() << "needs root to compare with EROFS and to become another user";
  const TestHome home(Medium::disk);
  const Store store = home.open();
  Transaction tx = must(store.begin());
  const Tree tree = odd_tree(tx);
  const Root erofs = root_of(store, tx, tree, Variant::erofs);
  if (const std::string reason = no_erofs_because(erofs); !reason.empty()) GTEST_SKIP() << reason;
  const std::string wanted = listing(erofs);
  const os::TempDir other = must(os::TempDir::make(test_folder(), "kist-store-user."));
  ASSERT_EQ(::chown(other.path().c_str(), kNobody, kNobody), 0);
  const std::string got = in_child(kNobody, [&] {
    const Store mine = must(Store::open(os::join(other.path(), "home")));
    Transaction mine_tx = must(mine.begin());
    const Tree same = odd_tree(mine_tx);
    EXPECT_EQ(same.digest(), tree.digest());
    const Root root = root_of(mine, mine_tx, same, Variant::links);
    must(enter_user_namespace());
    return listing(root);
  });
  EXPECT_EQ(difference(got, without_privilege(wanted)), "");
}

struct DeltaCase {
  std::string_view why;
  std::function<void(Contents&)> before;
  std::function<void(Contents&)> after;
};

// Goal: a farm of differences, stacked, shows exactly the wanted tree. Method: each kind of change
// beside 200 files that do not change, as a plain user, compared with a whole farm elsewhere.
TEST(RootTest, DeltaShowsExactlyTheWantedTree) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer runs a thread of its own, which forbids unshare(2)";
#endif
  if (!may_mount()) GTEST_SKIP() << "needs root to become another user";
  const std::vector<DeltaCase> cases = {
      {"changed file", [](auto& c) { c.put("a/x", 0644, "1"); },
       [](auto& c) { c.put("a/x", 0644, "2"); }},
      {"changed mode", [](auto& c) { c.put("a/x", 0644, "1"); },
       [](auto& c) { c.put("a/x", 0755, "1"); }},
      {"added with parents", [](auto&) {}, [](auto& c) { c.file("new/b/c", 0600); }},
      {"removed file", [](auto& c) { c.file("a/x"), c.file("a/y"); },
       [](auto& c) { c.file("a/y"); }},
      {"removed folder", [](auto& c) { c.file("a/b/c/d"), c.file("a/b/x"), c.file("a-b"); },
       [](auto& c) { c.file("a-b"); }},
      {"removed everything in a folder", [](auto& c) { c.file("a/b"), c.file("a/c/d"); },
       [](auto& c) { c.builder().folder("a"); }},
      {"folder becomes a file", [](auto& c) { c.file("a/b/c"), c.file("a/d"); },
       [](auto& c) { c.file("a"); }},
      {"folder becomes a symlink", [](auto& c) { c.file("a/b/c"), c.file("z/x"); },
       [](auto& c) { c.builder().symlink("a", "z"), c.file("z/x"); }},
      {"file becomes a folder", [](auto& c) { c.file("a"); }, [](auto& c) { c.file("a/b/c"); }},
      {"symlink becomes a folder", [](auto& c) { c.builder().symlink("a", "stay"); },
       [](auto& c) { c.file("a/b"); }},
      {"folder changes its mode", [](auto& c) { c.builder().folder("m", 0755), c.file("m/x"); },
       [](auto& c) { c.builder().folder("m", 0500), c.file("m/x"); }},
      {"folder keeps its mode when content changes",
       [](auto& c) { c.builder().folder("m", 0555), c.file("m/x"); },
       [](auto& c) { c.builder().folder("m", 0555), c.file("m/y"); }},
      {"odd names", [](auto& c) { c.file("o/\xff"), c.file("o/a\nb"); },
       [](auto& c) { c.file("o/a\nb", 0600), c.file("o/" + std::string(255, 'x')); }},
  };
  const os::TempDir other = must(os::TempDir::make(test_folder(), "kist-store-user."));
  ASSERT_EQ(::chown(other.path().c_str(), kNobody, kNobody), 0);
  const auto tree_of = [](Transaction& tx, const std::function<void(Contents&)>& fill) {
    Contents contents(tx);
    for (int i = 0; i < 200; ++i) contents.file(fmt::format("stay/{}", i));
    fill(contents);
    return contents.finish();
  };
  for (const DeltaCase& c : cases) {
    SCOPED_TRACE(c.why);
    const std::string result = in_child(kNobody, [&]() -> std::string {
      const Store stacked = must(Store::open(other.path() + "/stacked"));
      const Store whole = must(Store::open(other.path() + "/whole"));
      Transaction stacked_tx = must(stacked.begin());
      Transaction whole_tx = must(whole.begin());
      root_of(stacked, stacked_tx, tree_of(stacked_tx, c.before), Variant::links);
      const Root delta = root_of(stacked, stacked_tx, tree_of(stacked_tx, c.after), Variant::links);
      EXPECT_THAT(delta.lowers, SizeIs(2));
      const Root plain = root_of(whole, whole_tx, tree_of(whole_tx, c.after), Variant::links);
      EXPECT_THAT(plain.lowers, SizeIs(1));
      must(enter_user_namespace());
      EXPECT_EQ(difference(listing(delta), listing(plain)), "");
      return "done";
    });
    EXPECT_EQ(result, "done");
    must(os::remove_tree(other.path() + "/stacked"));
    must(os::remove_tree(other.path() + "/whole"));
  }
}

TEST(RootTest, DeltasAreOnlyForSimilarTreesAndNeverStacked) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  const auto tree_of = [&](int from, int to) {
    Contents contents(tx);
    for (int i = from; i < to; ++i) contents.file(fmt::format("f{}", i));
    return contents.finish();
  };
  const Root first = root_of(store, tx, tree_of(0, 100), Variant::links);
  const Root second = root_of(store, tx, tree_of(0, 105), Variant::links);
  const Root third = root_of(store, tx, tree_of(0, 110), Variant::links);
  const Root far = root_of(store, tx, tree_of(50, 150), Variant::links);
  EXPECT_THAT(first.lowers, SizeIs(1));
  ASSERT_THAT(second.lowers, SizeIs(2));
  EXPECT_EQ(second.lowers[1], first.lowers[0]);
  ASSERT_THAT(third.lowers, SizeIs(2));
  EXPECT_EQ(third.lowers[1], first.lowers[0]) << "not over the second, which is a delta itself";
  EXPECT_THAT(far.lowers, SizeIs(1));
}

TEST(RootTest, RootIsFoundAtOnceAndAfterCommitForGood) {
  const TestHome home;
  const Store store = home.open();
  for (const Variant variant : {Variant::erofs, Variant::links}) {
    Transaction tx = must(store.begin());
    Contents contents(tx);
    contents.file(fmt::format("a/{}", variant_name(variant)));
    const Tree tree = contents.finish();
    EXPECT_EQ(find_root(store, tree.digest(), variant), std::nullopt);
    const Root root = root_of(store, tx, tree, variant);
    ASSERT_TRUE(find_root(store, tree.digest(), variant).has_value());
    EXPECT_FALSE(is_root_durable(root.folder));
    EXPECT_EQ(must(make_root(store, tx, tree, tree.digest(), variant)).folder, root.folder);
    must(std::move(tx).commit());
    EXPECT_TRUE(is_root_durable(root.folder));
    EXPECT_TRUE(find_root(store, tree.digest(), variant).has_value());
  }
}

// Goal: a root that a power cut left is not believed. Method: claim that another run of the kernel
// made it.
TEST(RootTest, UncommittedRootsOfAnEarlierBootAreMadeAnew) {
  const TestHome home;
  const Store store = home.open();
  for (const Variant variant : {Variant::erofs, Variant::links}) {
    std::optional<Root> root;
    Tree tree;
    {
      Transaction tx = must(store.begin());
      Contents contents(tx);
      contents.file(fmt::format("a/{}", variant_name(variant)));
      tree = contents.finish();
      root = root_of(store, tx, tree, variant);
    }
    EXPECT_TRUE(find_root(store, tree.digest(), variant).has_value()) << "kill -9 loses nothing";
    must(os::write_file_atomically(os::join(root->folder, "boot"), "another\n"));
    must(os::write_file_atomically(os::join(root->folder, "torn"), ""));
    EXPECT_EQ(find_root(store, tree.digest(), variant), std::nullopt);
    Transaction tx = must(store.begin());
    root_of(store, tx, tree, variant);
    EXPECT_FALSE(os::exists(os::join(root->folder, "torn")));
    must(os::write_file_atomically(os::join(root->folder, "boot"), ""));
    EXPECT_EQ(find_root(store, tree.digest(), variant), std::nullopt);
  }
}

TEST(RootTest, CommitAlsoMakesRootsOfOthersDurable) {
  const TestHome home;
  const Store store = home.open();
  Transaction first = must(store.begin());
  Contents contents(first);
  for (int i = 0; i < 50; ++i) contents.file(fmt::format("f{}", i));
  const Tree tree = contents.finish();
  const Root base = root_of(store, first, tree, Variant::links);
  Transaction second = must(store.begin());
  Contents more(second);
  for (int i = 0; i < 51; ++i) more.file(fmt::format("f{}", i));
  const Root delta = root_of(store, second, more.finish(), Variant::links);
  ASSERT_THAT(delta.lowers, SizeIs(2));
  must(std::move(second).commit());
  EXPECT_TRUE(is_root_durable(delta.folder));
  EXPECT_TRUE(is_root_durable(base.folder)) << "a delta is nothing without its base";
}

TEST(RootTest, MissingObjectIsNamedAndLeavesNoRoot) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  const Tree tree = must(Tree::make({file("a/lost", "lost")}));
  must(tx.put_tree(tree));
  const auto made = make_root(store, tx, tree, tree.digest(), Variant::links);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code(), Code::not_found);
  EXPECT_EQ(made.error().frames().front(), fmt::format("object {} of 'a/lost' is not in the store",
                                                       tree.find("a/lost")->object->string()));
  EXPECT_EQ(made.error().message(), "linking a root of 2 entries");
  EXPECT_EQ(find_root(store, tree.digest(), Variant::links), std::nullopt);
}

TEST(RootTest, ManyThreadsThatWantOneRootGetTheSame) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  Contents contents(tx);
  for (int i = 0; i < 300; ++i) contents.file(fmt::format("f{}", i));
  const Tree tree = contents.finish();
  must(tx.put_tree(tree));
  std::vector<std::string> farms(8);
  std::vector<std::thread> threads;
  for (std::string& farm : farms) {
    threads.emplace_back([&] {
      Transaction mine = must(store.begin());
      const Root root = must(make_root(store, mine, tree, tree.digest(), Variant::links));
      struct stat st = {};
      EXPECT_EQ(::stat(root.lowers[0].c_str(), &st), 0);
      farm = fmt::format("{} {}", root.folder, st.st_ino);
      must(std::move(mine).commit());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& farm : farms) EXPECT_EQ(farm, farms[0]);
}

TEST(RootTest, LeaseIsSharedAndSeesThatTheRootIsGone) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  Contents contents(tx);
  contents.file("a");
  const Root root = root_of(store, tx, contents.finish(), Variant::links);
  auto first = must(Lease::hold(root));
  auto second = must(Lease::hold(root));
  ASSERT_TRUE(first.has_value() && second.has_value());
  const std::string path = os::join(root.folder, "lease");
  EXPECT_FALSE(must(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive)).has_value());
  first.reset();
  EXPECT_FALSE(must(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive)).has_value());
  {
    const os::Fd inherited = std::move(*second).release();
    second.reset();
    EXPECT_FALSE(must(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive)).has_value());
  }
  EXPECT_TRUE(must(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive)).has_value());
  must(os::remove_tree(root.folder));
  EXPECT_FALSE(must(Lease::hold(root)).has_value());
}

// What a project with torch meets when one small package changes.
TEST(RootTest, SmallChangeOfALargeTreeIsQuick) {
  const TestHome home(Medium::disk);
  const Store store = home.open();
  Transaction tx = must(store.begin());
  constexpr int kFiles = 6000;
  std::vector<Entry> entries;
  for (int i = 0; i < kFiles; ++i) {
    // Contents are few, since it is the links that cost.
    const std::string bytes = fmt::format("{}", i % 100);
    if (i < 100) must(tx.put(bytes, 0644));
    entries.push_back(file(
        fmt::format("opt/kist/lib/python3.11/site-packages/p{}/m{}/f{}.py", i / 500, i / 50, i),
        bytes));
  }
  const Tree base = must(Tree::make(entries));
  for (size_t i = 1000; i < 1060; ++i) entries[i] = file(entries[i].path, "1");
  const Tree changed = must(Tree::make(entries));
  const auto timed = [&](const char* what, const Tree& tree, Variant variant) {
    const auto start = std::chrono::steady_clock::now();
    const Root root = root_of(store, tx, tree, variant);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    std::printf("%s: %.1f ms, %zu lowers\n", what, took.count(), root.lowers.size());
    return took.count();
  };
  timed("whole farm of 6,000", base, Variant::links);
  EXPECT_LT(timed("60 files changed", changed, Variant::links), 3000);
  timed("whole image of 6,000", changed, Variant::erofs);
  const auto start = std::chrono::steady_clock::now();
  must(os::remove_tree(find_root(store, base.digest(), Variant::links)->folder));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  std::printf("removed the farm: %.1f ms\n", took.count());
}

}  // namespace
}  // namespace kist::store
