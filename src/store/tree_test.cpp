#include "store/tree.h"

#include <gmock/gmock.h>

#include <chrono>
#include <random>

#include "store/memory_sink.h"
#include "store/test_home.h"

namespace kist::store {
namespace {

using testing::ElementsAre;

Tree sample() {
  Entry odd = file(std::string("usr/bin/odd \n\xff"), "odd", 04755);
  odd.uid = 1000;
  odd.gid = 4'000'000'000;
  odd.mtime_s = -5;
  odd.xattrs = {{"security.capability", std::string("\0\1", 2)}, {"user.a", ""}};
  return must(Tree::make({symlink("bin", "usr/bin"), file("usr/bin/env", "x", 0755),
                          file("usr/bin-other", "y"), folder("usr/lib", 0700), std::move(odd)}));
}

TEST(TreeTest, OrderPutsContentRightAfterItsFolder) {
  EXPECT_TRUE(path_less("a", "a/b"));
  EXPECT_TRUE(path_less("a/b", "a-b"));
  EXPECT_TRUE(path_less("a/z", std::string("a\x01")));
  EXPECT_TRUE(path_less("a/z", "a\x80"));
  EXPECT_TRUE(path_less("a", "b"));
  EXPECT_FALSE(path_less("a", "a"));
  EXPECT_TRUE(path_less("0123456789/a", "0123456789/b"));
  EXPECT_FALSE(path_less("0123456789-a", "0123456789/b"));
}

TEST(TreeTest, MakeSortsAndAddsParents) {
  EXPECT_EQ(paths_of(must(Tree::make(
                {file("b/c/d"), file("a-b"), file("a/b"), symlink("b/a", "x"), file("b/c/e")}))),
            "a a/b a-b b b/a b/c b/c/d b/c/e");
  const Tree tree = must(Tree::make({file("a/b"), folder("a", 0700), file("a/b")}));
  EXPECT_EQ(tree.find("a")->mode, 0700u);
  EXPECT_EQ(tree.find("a/b")->kind, Kind::file);
  EXPECT_EQ(tree.find("a/c"), nullptr);
}

TEST(TreeTest, MakeRefusesWithPreciseMessage) {
  Entry no_object = file("a");
  no_object.object.reset();
  Entry unsorted = file("a");
  unsorted.xattrs = {{"user.b", ""}, {"user.a", ""}};
  Entry large_mode = file("a", "", 010000);
  Entry link_without = symlink("a", "x");
  link_without.target.clear();
  const struct {
    std::vector<Entry> entries;
    std::string message;
  } cases[] = {
      {{file("")}, "a path is empty"},
      {{file("/a")}, "path '/a' starts with '/'"},
      {{file("a/")}, "path 'a/' has an empty component at offset 2"},
      {{file("a//b")}, "path 'a//b' has an empty component at offset 2"},
      {{file("a/../b")}, "path 'a/../b' has the component '..'"},
      {{file("./a")}, "path './a' has the component '.'"},
      {{file(std::string("a\0b", 3))}, "path 'a\\x00b' has a NUL byte"},
      {{file(std::string(256, 'a'))},
       "path '" + std::string(60, 'a') + "…' has a component of 256 bytes, more than 255"},
      {{file(std::string(4096, 'a'))},
       "path '" + std::string(60, 'a') + "…' has 4096 bytes, more than 4095"},
      {{file("a"), file("a", "x")}, "'a' occurs twice with different entries"},
      {{file("a"), file("a/b/c")}, "'a' is a file and cannot hold 'a/b/c'"},
      {{file("a/b/c"), symlink("a/b", "x")}, "'a/b' is a symlink and cannot hold 'a/b/c'"},
      {{no_object}, "file 'a' has no object"},
      {{unsorted}, "'a' has its extended attributes out of order at 'user.a'"},
      {{large_mode}, "'a' has the mode 10000, more than 7777"},
      {{link_without}, "symlink 'a' has no target"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    const Result<Tree> got = Tree::make(c.entries);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), Code::invalid);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(TreeTest, EncodingRoundTripsAndIsPinned) {
  const Tree tree = sample();
  const Tree back = must(Tree::decode(tree.encode()));
  EXPECT_EQ(back.entries(), tree.entries());
  EXPECT_EQ(back.digest(), tree.digest());
  EXPECT_EQ(must(Tree::decode(Tree().encode())).entries().size(), 0u);
  // These change only together with the version of the format: every store in the world has them.
  EXPECT_EQ(Tree().encode(), std::string("kist tree\n\x01\x00", 12));
  EXPECT_EQ(tree.digest().string(),
            "sha256:c196755d2686a4aeb1ea6000ef2047a3c2a403595382a2f197f2203748a28834");
}

TEST(TreeTest, ExtremeTimesRoundTrip) {
  for (const int64_t time : {INT64_MIN, INT64_MIN + 1, int64_t{-1}, int64_t{0}, kTreeTime,
                             kTreeTime - 1, kTreeTime + 1, INT64_MAX}) {
    Entry entry = file("a");
    entry.mtime_s = time;
    const Tree tree = must(Tree::make({entry}));
    EXPECT_EQ(must(Tree::decode(tree.encode())).entries()[0].mtime_s, time);
  }
}

// Goal: no hostile bytes crash the reader, and none have a second spelling. Method: cut and change
// every byte of a good tree; what is still accepted must encode to exactly what was read.
TEST(TreeTest, DamagedBytesAreRefusedOrMeanWhatTheySay) {
  const std::string good = sample().encode();
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(Tree::decode(std::string_view(good).substr(0, i)).has_value()) << i;
    for (const int change : {1, 2, 0x20, 0x40, 0x80, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ change);
      const Result<Tree> got = Tree::decode(bad);
      if (!got.has_value()) continue;
      EXPECT_EQ(got->encode(), bad) << i;
    }
  }
}

TEST(TreeTest, DecodeRefusesWithPreciseMessage) {
  const std::string magic = "kist tree\n";
  const auto v1 = [&](std::string rest) { return magic + '\1' + rest; };
  const auto entry = [](int shared, const std::string& suffix, int kind = 1, int mode = 7) {
    std::string out;
    out += static_cast<char>(shared);
    out += static_cast<char>(suffix.size());
    out += suffix;
    out += static_cast<char>(kind);
    out += static_cast<char>(mode);
    return out + std::string("\0\0\0\0", 4);
  };
  const struct {
    std::string bytes;
    Code code;
    std::string message;
  } cases[] = {
      {"", Code::corrupt, "not a tree: it does not begin with 'kist tree'"},
      {magic, Code::corrupt, "tree has no version"},
      {magic + '\2', Code::unsupported, "tree has the version 2, this kist reads 1"},
      {v1("\xff\xff\xff\x7f"), Code::corrupt, "tree has a bad number of entries"},
      {v1("\x01"), Code::corrupt, "tree has a bad number of entries"},
      {v1(std::string("\x80\x00", 2)), Code::corrupt, "tree has a bad number of entries"},
      {v1(std::string("\0x", 2)), Code::corrupt, "tree has 1 bytes after its last entry"},
      {v1("\1" + entry(1, "a")), Code::corrupt, "tree entry 1: bad path before offset 13"},
      {v1("\1" + entry(0, "a", 0)), Code::corrupt, "tree entry 1: 'a' has the unknown kind 0"},
      {v1("\1" + entry(0, "..")), Code::corrupt, "tree entry 1: path '..' has the component '..'"},
      {v1("\1" + entry(0, "a/b")), Code::corrupt, "tree entry 1: 'a/b' has no parent folder"},
      {v1("\2" + entry(0, "b") + entry(0, "a")), Code::corrupt,
       "tree entry 2: 'a' does not come after 'b'"},
      {v1("\2" + entry(0, "a") + entry(0, "a/b")), Code::corrupt,
       "tree entry 2: 'a/b' does not come after 'a'"},
      {v1("\2" + entry(0, "ab") + entry(1, "c/d")), Code::corrupt,
       "tree entry 2: 'ac/d' has no parent folder"},
      {v1("\3" + entry(0, "a") + entry(1, "/.") + entry(2, "c")), Code::corrupt,
       "tree entry 2: path 'a/.' has the component '.'"},
      {v1("\3" + entry(0, "a") + entry(1, "/c") + entry(2, ".")), Code::corrupt,
       "tree entry 3: path 'a/.' has the component '.'"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    const Result<Tree> got = Tree::decode(c.bytes);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), c.code);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(TreeTest, MergeTakesTheFirstFolderAndEqualEntriesOnce) {
  const Tree a = must(Tree::make({folder("lib", 0700), file("lib/a", "a"), file("lib/same", "s")}));
  const Tree b = must(Tree::make({folder("lib", 0755), file("lib/b", "b"), file("lib/same", "s")}));
  const Tree empty;
  const Part parts[] = {{"a 1", &a}, {"none", &empty}, {"b 2", &b}};
  const Tree merged = must(merge(parts));
  EXPECT_EQ(paths_of(merged), "lib lib/a lib/b lib/same");
  EXPECT_EQ(merged.find("lib")->mode, 0700u);
  EXPECT_TRUE(find_conflicts(parts).empty());
  EXPECT_TRUE(must(merge({})).empty());
}

TEST(TreeTest, MergeNamesBothPartsOfEachConflict) {
  const Tree a = must(Tree::make({file("x", "1"), file("y", "1"), file("z/in", "1")}));
  const Tree b = must(Tree::make({file("x", "2"), file("y", "1", 0755), symlink("z", "q")}));
  const Tree c = must(Tree::make({file("x", "1"), file("y", "1")}));
  const Part parts[] = {{"a 1", &a}, {"b 2", &b}, {"c 3", &c}};
  const Result<Tree> merged = merge(parts);
  ASSERT_FALSE(merged.has_value());
  EXPECT_EQ(merged.error().code(), Code::exists);
  EXPECT_EQ(merged.error().message(), "'x' differs between a 1 and b 2 (2 more conflicts)");
  std::vector<std::string> shown;
  for (const Conflict& x : find_conflicts(parts))
    shown.push_back(x.path + ": " + x.first + ", " + x.second);
  EXPECT_THAT(shown, ElementsAre("x: a 1, b 2", "y: a 1, b 2", "z: a 1, b 2"));
  const Part one[] = {{"a 1", &a}, {"only", &c}, {"b 2", &b}};
  EXPECT_EQ(find_conflicts(one).size(), 3u);
  const Tree d = must(Tree::make({file("y", "2")}));
  const Part two[] = {{"a 1", &a}, {"d 4", &d}};
  EXPECT_EQ(merge(two).error().message(), "'y' differs between a 1 and d 4");
}

TEST(TreeTest, MergeEqualsMakeOfAllEntries) {
  std::mt19937 random(7);
  std::vector<Tree> trees;
  std::vector<Entry> all;
  for (int t = 0; t < 20; ++t) {
    std::vector<Entry> entries;
    for (int i = 0; i < 200; ++i) {
      std::string path = fmt::format("d{}/{}/f{}", random() % 5, random() % 7, random() % 300);
      entries.push_back(file(path, path));
    }
    all.insert(all.end(), entries.begin(), entries.end());
    trees.push_back(must(Tree::make(std::move(entries))));
  }
  std::vector<Part> parts;
  for (const Tree& tree : trees) parts.push_back({"p", &tree});
  EXPECT_EQ(must(merge(parts)).digest(), must(Tree::make(all)).digest());
}

TEST(TreeTest, DiffTellsEveryChangeInOrder) {
  const Tree before = must(Tree::make({file("a"), file("b", "1"), file("d/x"), file("same")}));
  const Tree after = must(Tree::make({file("b", "2"), file("c"), symlink("d", "c"), file("same")}));
  std::string shown;
  for (const Change& change : diff(before, after)) {
    const char what = "+-~"[static_cast<int>(change.what)];
    shown += what + (change.after != nullptr ? change.after : change.before)->path + " ";
    EXPECT_EQ(change.before == nullptr, change.what == Change::What::added);
    EXPECT_EQ(change.after == nullptr, change.what == Change::What::removed);
  }
  EXPECT_EQ(shown, "-a ~b +c ~d -d/x ");
  EXPECT_TRUE(diff(before, before).empty());
}

TEST(TreeBuilderTest, CollectsEntriesAndReportsBadPathsAtTheEnd) {
  MemorySink sink;
  TreeBuilder builder(sink);
  builder.folder("share", 0700);
  builder.symlink("bin/python", "python3");
  must(builder.file("bin/python3", 0755, "#!"));
  auto writer = must(builder.sink().begin(0644));
  must(writer->write("lar"));
  must(writer->write("ge"));
  const Object large = must(writer->finish());
  Entry entry = file("share/large", "large");
  EXPECT_EQ(large.digest, *entry.object);
  EXPECT_EQ(large.size_bytes, 5u);
  builder.add(std::move(entry));
  const Tree tree = must(std::move(builder).finish());
  EXPECT_EQ(paths_of(tree), "bin bin/python bin/python3 share share/large");
  EXPECT_EQ(tree.size_bytes(), 7u);
  EXPECT_EQ(sink.content(*tree.find("bin/python3")->object), "#!");
  EXPECT_EQ(sink.content(large.digest), "large");

  TreeBuilder bad(sink);
  must(bad.file("../x", 0644, ""));
  EXPECT_EQ(std::move(bad).finish().error().message(), "path '../x' has the component '..'");
}

// What a lock with torch needs; the bounds are wide, since a busy machine must not fail the test.
TEST(TreeTest, IsFastEnough) {
  std::vector<Tree> trees;
  for (int package = 0; package < 100; ++package) {
    std::vector<Entry> entries;
    for (int i = 0; i < 500; ++i) {
      entries.push_back(file(
          fmt::format("opt/kist/lib/python3.11/site-packages/p{}/m{}/f{}.py", package, i / 50, i),
          fmt::format("{}", i)));
    }
    trees.push_back(must(Tree::make(std::move(entries))));
  }
  std::vector<Part> parts;
  for (const Tree& tree : trees) parts.push_back({"p", &tree});
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto ms = [](auto d) { return std::chrono::duration<double, std::milli>(d).count(); };
  const auto start = now();
  const Tree merged = must(merge(parts));
  const auto after_merge = now();
  const std::string bytes = merged.encode();
  const auto after_encode = now();
  const Tree back = must(Tree::decode(bytes));
  const auto after_decode = now();
  RecordProperty("entries", static_cast<int>(back.entries().size()));
  std::printf("merge %.1f ms, encode %.1f ms, decode %.1f ms, %zu entries, %zu bytes\n",
              ms(after_merge - start), ms(after_encode - after_merge),
              ms(after_decode - after_encode), back.entries().size(), bytes.size());
  EXPECT_LT(ms(after_merge - start), 2000);
  EXPECT_LT(ms(after_decode - after_encode), 1000);
}

}  // namespace
}  // namespace kist::store
