#include "store/layer.h"

#include <gmock/gmock.h>

#include <map>

#include "archive/tar_reader.h"
#include "store/memory_sink.h"
#include "store/test_contents.h"

namespace kist::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tree sample(TestContents& contents) {
  std::vector<Entry> entries = {
      symlink("bin", "usr/bin"),
      folder("tmp", 01777),
      contents.add("usr/bin/su", "su", 04755),
      contents.add("empty", "", 0444),
      contents.add("block", std::string(512, 'b')),
      contents.add("large", random_bytes(3'000'000)),
      contents.add("odd/a\nb\xff", "odd"),
      contents.add("a/" + std::string(98, 'n'), "100 bytes: as it is"),
      contents.add("b/" + std::string(99, 'n'), "101 bytes: prefix"),
      contents.add(std::string(155, 'p') + "/" + std::string(100, 'n'), "just fits"),
      contents.add(std::string(156, 'q') + "/" + std::string(100, 'n'), "pax"),
      contents.add(std::string(200, 'r'), "pax, no slash"),
      contents.add(std::string(199, 's') + "\xff", "pax, not UTF-8"),
      folder("f/" + std::string(98, 'n')),
      folder("g/" + std::string(97, 'n')),
      symlink("to-100", std::string(100, 't')),
      symlink("to-101", std::string(101, 't')),
  };
  Entry rich = contents.add("rich", "rich", 0600);
  rich.uid = 2'097'152;
  rich.gid = 2'097'151;
  rich.mtime_s = -1;
  rich.xattrs = {{"security.capability", std::string("\1\0\0\n=", 5)}, {"user.a", ""}};
  entries.push_back(rich);
  return must(Tree::make(std::move(entries)));
}

std::string tar_of(const Tree& tree, const Contents& contents) {
  std::string out;
  const Tar tar = must(write_tar(tree, contents, [&](std::string_view bytes) -> Result<void> {
    out += bytes;
    return {};
  }));
  EXPECT_EQ(tar.size_bytes, out.size());
  EXPECT_EQ(tar.diff_id, oci::Sha256::of(out));
  return out;
}

// The tree that a tar describes, as a reader by others sees it.
Tree tree_of(std::string_view bytes, archive::TarFilter filter) {
  archive::TarReader reader = must(archive::TarReader::open(bytes, filter, {}));
  archive::TarEntry from;
  std::vector<Entry> entries;
  while (must(reader.next(from))) {
    Entry entry;
    entry.path = must(archive::clean_tar_path(from.path));
    entry.kind = from.kind == archive::TarKind::folder    ? Kind::folder
                 : from.kind == archive::TarKind::symlink ? Kind::symlink
                                                          : Kind::file;
    entry.mode = from.mode;
    entry.uid = static_cast<uint32_t>(from.uid);
    entry.gid = static_cast<uint32_t>(from.gid);
    entry.mtime_s = from.mtime_s;
    entry.target = from.target;
    entry.xattrs = from.xattrs;
    if (entry.kind == Kind::file) {
      std::string content;
      for (std::string_view piece = must(reader.read()); !piece.empty();
           piece = must(reader.read()))
        content += piece;
      entry.object = oci::Sha256::of(content);
      entry.size_bytes = content.size();
    }
    entries.push_back(std::move(entry));
  }
  return must(Tree::make(std::move(entries)));
}

TEST(LayerTest, OthersReadTheTarAsTheTree) {
  TestContents contents;
  const Tree tree = sample(contents);
  const Tree back = tree_of(tar_of(tree, contents), archive::TarFilter::none);
  for (const Change& change : diff(tree, back))
    ADD_FAILURE() << (change.before != nullptr ? change.before : change.after)->path;
  std::string packed;
  const Layer layer = must(write_layer(tree, contents, [&](std::string_view bytes) -> Result<void> {
    packed += bytes;
    return {};
  }));
  EXPECT_EQ(layer.size_bytes, packed.size());
  EXPECT_EQ(layer.digest, oci::Sha256::of(packed));
  EXPECT_EQ(tree_of(packed, archive::TarFilter::zstd).digest(), tree.digest());
}

TEST(LayerTest, BytesArePinnedAndDoNotDependOnPieces) {
  std::optional<Layer> first;
  for (const size_t piece_bytes : {1u << 20, 100'000u, 4096u, 777u}) {
    TestContents contents(piece_bytes);
    const Layer layer = must(
        write_layer(sample(contents), contents, [](std::string_view) { return Result<void>(); }));
    if (!first) first = layer;
    EXPECT_EQ(layer.digest, first->digest) << piece_bytes;
    EXPECT_EQ(layer.diff_id, first->diff_id) << piece_bytes;
  }
  // A change here is a change of kTarRecipe, or another release of zstd.
  EXPECT_EQ(first->diff_id.hex(),
            "783fcba1f595c04453ff1bac6cfe07969ce755aca2ab6f4309d1a3fb14c6d067");
  EXPECT_EQ(first->digest.hex(),
            "1bd65319e8ae366fe31876f23f561ccfb96a5ee6dd51e6b2ddd6d908b49b393f");
}

TEST(LayerTest, PaxHeadersAreWrittenOnlyWhenNeeded) {
  TestContents contents;
  const auto blocks = [&](Entry entry) {
    return (tar_of(must(Tree::make({std::move(entry)})), contents).size() - 1024) / 512;
  };
  EXPECT_EQ(blocks(contents.add(std::string(100, 'n'), "")), 1u);
  EXPECT_EQ(blocks(contents.add(std::string(101, 'n'), "")), 3u);
  EXPECT_EQ(blocks(folder(std::string(99, 'n'))), 1u);
  EXPECT_EQ(blocks(folder(std::string(100, 'n'))), 3u);
  EXPECT_EQ(blocks(symlink("l", std::string(100, 't'))), 1u);
  EXPECT_EQ(blocks(symlink("l", std::string(101, 't'))), 3u);
  EXPECT_EQ(tar_of(Tree(), contents), std::string(1024, '\0'));
  // The length of a record counts its own digits: "99 …" would be 100 bytes.
  Entry entry = contents.add("a", "");
  for (size_t bytes = 60; bytes < 120; ++bytes) {
    entry.xattrs = {{"user.x", std::string(bytes, 'v')}};
    const Tree tree = must(Tree::make({entry}));
    EXPECT_EQ(tree_of(tar_of(tree, contents), archive::TarFilter::none).digest(), tree.digest());
  }
}

TEST(LayerTest, FailuresEndTheWritingAndAreTold) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  TreeBuilder builder(tx);
  must(builder.file("a/b", 0644, "content"));
  const Tree tree = must(std::move(builder).finish());
  const Entry& entry = *tree.find("a/b");
  const auto error_of = [&](const Tree& t, const Output& output) {
    return write_layer(t, StoreContents(store), output).error();
  };
  const Output ignore = [](std::string_view) { return Result<void>(); };
  EXPECT_TRUE(write_layer(tree, StoreContents(store), ignore).has_value());
  EXPECT_EQ(
      error_of(tree,
               [](std::string_view) -> Result<void> { return Error(Code::unavailable, "no more"); })
          .message(),
      "no more");
  const std::string path = store.object_path(*entry.object, 0644);
  const auto damaged = [&](std::string_view bytes) {
    must(os::write_file_atomically(path, bytes));
    return error_of(tree, ignore);
  };
  const std::string object = entry.object->string();
  EXPECT_EQ(damaged("contenT").message(), fmt::format("object {} of 'a/b' has the content of {}",
                                                      object, oci::Sha256::of("contenT").string()));
  EXPECT_EQ(damaged("cont").message(),
            fmt::format("object {} of 'a/b' is shorter than its tree says", object));
  EXPECT_EQ(damaged("content and more").message(),
            fmt::format("object {} of 'a/b' is longer than its tree says", object));
  EXPECT_EQ(damaged("").code(), Code::corrupt);
  must(os::remove_tree(path));
  EXPECT_EQ(error_of(tree, ignore).code(), Code::not_found);
  EXPECT_EQ(error_of(tree, ignore).message(), "reading the content of 'a/b'");

  Entry odd = folder("odd");
  odd.xattrs = {{"user.a=b", ""}};
  const Tree odd_tree = must(Tree::make({odd}));
  EXPECT_EQ(error_of(odd_tree, ignore).code(), Code::unsupported);
  EXPECT_EQ(error_of(odd_tree, ignore).message(),
            "'odd' has the extended attribute 'user.a=b', which tar cannot hold");
}

TEST(LayerTest, SplitCutsInPathOrderAndLosesNothing) {
  std::vector<Entry> entries = {folder("x", 0700), folder("x/empty", 0711), symlink("x/link", "q")};
  for (int i = 0; i < 10; ++i)
    entries.push_back(
        file(fmt::format("x/y/f{}", i), std::string(100, static_cast<char>('0' + i))));
  entries.push_back(file("x/y/large", std::string(1000, 'l')));
  entries.push_back(file("z", "z"));
  const Tree tree = must(Tree::make(entries));
  EXPECT_EQ(split_tree(tree, 1u << 20).size(), 1u);
  const std::vector<Tree> trees = split_tree(tree, 300);
  std::vector<std::string> shown;
  std::vector<Part> parts;
  for (const Tree& part : trees) {
    shown.push_back(fmt::format("{}: {}", part.size_bytes(), paths_of(part)));
    parts.push_back({"part", &part});
  }
  EXPECT_THAT(shown,
              ElementsAre("300: x x/empty x/link x/y x/y/f0 x/y/f1 x/y/f2",
                          "300: x x/y x/y/f3 x/y/f4 x/y/f5", "300: x x/y x/y/f6 x/y/f7 x/y/f8",
                          "100: x x/y x/y/f9", "1000: x x/y x/y/large", "1: z"));
  EXPECT_EQ(must(merge(parts)).digest(), tree.digest());
}

}  // namespace
}  // namespace kist::store
