#include "images/stack.h"

#include <gtest/gtest.h>

#include "images/layer_entries.h"
#include "store/memory_sink.h"

namespace kist::images {
namespace {

using archive::TarEntry;
using archive::TarKind;

// One layer from a short text: "d/" a folder, "f=text" a file, "l>target" a symlink, "h~target" a
// hard link, "p|" a FIFO.
Result<store::Tree> layer(const std::vector<std::string>& lines) {
  store::MemorySink sink;
  const store::Object empty = TRY(sink.put("", 0644));
  LayerEntries entries(empty);
  for (const std::string& line : lines) {
    TarEntry entry;
    entry.mode = 0700;
    const size_t at = line.find_first_of("=>~|");
    entry.path = line.substr(0, at);
    const std::string rest = at == std::string::npos ? "" : line.substr(at + 1);
    const char kind = at == std::string::npos ? '/' : line[at];
    entry.kind = kind == '/'   ? TarKind::folder
                 : kind == '=' ? TarKind::file
                 : kind == '>' ? TarKind::symlink
                 : kind == '~' ? TarKind::hardlink
                               : TarKind::fifo;
    if (kind == '>' || kind == '~') entry.target = rest;
    const store::Object content = TRY(sink.put(rest, 0700));
    entry.size_bytes = content.size_bytes;
    TRY(entries.add(entry, kind == '=' ? &content : nullptr));
  }
  return std::move(entries).finish();
}

// What is in a tree: "d/ f=4 l>target" with sizes for files, and implicit folders as "(d/)".
std::string shown(const store::Tree& tree) {
  std::string out;
  for (const store::Entry& entry : tree.entries()) {
    if (!out.empty()) out += ' ';
    if (entry.kind == store::Kind::folder) out += entry.mode == 0755 ? "(" + entry.path + "/)" : entry.path + "/";
    if (entry.kind == store::Kind::file) out += fmt::format("{}={}", entry.path, entry.size_bytes);
    if (entry.kind == store::Kind::symlink) out += entry.path + ">" + entry.target;
    for (const auto& xattr : entry.xattrs) EXPECT_FALSE(xattr.first.starts_with("kist."));
  }
  return out;
}

std::string stacked(const std::vector<std::vector<std::string>>& layers) {
  store::Tree tree;
  for (const auto& lines : layers) {
    const auto one = layer(lines);
    if (!one) return one.error().message();
    auto over = lay_over(tree, *one);
    if (!over) return over.error().message();
    tree = std::move(*over);
  }
  return shown(tree);
}

TEST(StackTest, LayersChangeWhatIsBelow) {
  const struct {
    const char* why;
    std::vector<std::vector<std::string>> layers;
    std::string want;
  } cases[] = {
      {"nothing", {}, ""},
      {"a file over a file", {{"f=a"}, {"f=bb"}}, "f=2"},
      {"whiteout of a file", {{"d", "d/f=a", "d/g=a"}, {"d/.wh.f="}}, "d/ d/g=1"},
      {"whiteout of a folder", {{"d", "d/e", "d/e/f=a", "d-x=a"}, {".wh.d="}}, "d-x=1"},
      {"whiteout of nothing", {{"f=a"}, {".wh.g="}}, "f=1"},
      {"a whiteout spares its own layer", {{"f=a"}, {".wh.f=", "f=bb"}}, "f=2"},
      {"in either order", {{"f=a"}, {"f=bb", ".wh.f="}}, "f=2"},
      {"a folder reborn", {{"d", "d/old=a"}, {".wh.d=", "d", "d/new=a"}}, "d/ d/new=1"},
      {"opaque", {{"d", "d/e", "d/e/f=a", "d/g=a", "x=a"}, {"d", "d/.wh..wh..opq=", "d/h=a"}},
       "d/ d/h=1 x=1"},
      {"opaque within opaque",
       {{"d", "d/e", "d/e/f=a", "d/z=a"},
        {"d", "d/.wh..wh..opq=", "d/e", "d/e/.wh..wh..opq=", "d/e/n=a"}},
       "d/ d/e/ d/e/n=1"},
      {"opaque root", {{"d", "d/f=a", "x=a"}, {".wh..wh..opq=", "y=a"}}, "y=1"},
      {"a file over a folder", {{"d", "d/e", "d/e/f=a", "d2=a"}, {"d=x"}}, "d=1 d2=1"},
      {"a folder over a file", {{"f=a"}, {"f", "f/g=a"}}, "f/ f/g=1"},
      {"a folder over a link", {{"d", "d/x=a", "l>d"}, {"l", "l/y=a"}}, "d/ d/x=1 l/ l/y=1"},
      {"an implicit folder keeps what is below", {{"d", "d/f=a"}, {"d/g=a"}}, "d/ d/f=1 d/g=1"},
      {"an implicit folder of its own", {{"d/g=a"}}, "(d/) d/g=1"},
      {"an implicit folder over a file", {{"d=a"}, {"d/g=a"}}, "(d/) d/g=1"},
      {"a hard link in its layer", {{"f=abc", "g~f"}}, "f=3 g=3"},
      {"a hard link to below", {{"f=abc"}, {"g~f"}}, "f=3 g=3"},
      {"a hard link to what is changed after", {{"f=abc"}, {"g~f", "f=d"}}, "f=1 g=3"},
      {"a hard link to what is hidden", {{"f=abc"}, {"g~f", ".wh.f="}}, "g=3"},
      {"a hard link to nothing", {{"g~f"}}, "hard link 'g' leads to 'f', which is in no layer"},
      {"a hard link to a folder", {{"d"}, {"g~d"}}, "hard link 'g' leads to 'd', which is a folder"},
      {"a FIFO hides", {{"f=a"}, {"f|"}}, ""},
      {"links of the layer are followed", {{"l>/d", "l/f=a"}}, "(d/) d/f=1 l>/d"},
      {"up from the root is the root", {{"d", "d/l>../../..", "d/l/f=a"}}, "d/ d/l>../../.. f=1"},
      {"absolute paths are inside", {{"/a/b=x"}}, "(a/) a/b=1"},
      {"dots", {{"./a/../b=x"}}, "b=1"},
      {"the root itself", {{"./", "f=a"}}, "f=1"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(stacked(c.layers), c.want);
  }
}

TEST(StackTest, LaterEntriesOfALayerReplaceEarlierOnes) {
  EXPECT_EQ(stacked({{"f=a", "f=bb"}}), "f=2");
  EXPECT_EQ(stacked({{"f=a", "f", "f/g=a"}}), "f/ f/g=1");
  EXPECT_EQ(stacked({{"d", "d/e", "d/e/f=a", "d=a"}}), "d=1");
  EXPECT_EQ(stacked({{"l>a", "l/f=x", "l>b", "l/g=x"}}), "(a/) a/f=1 (b/) b/g=1 l>b");
}

TEST(LayerEntriesTest, HostilePathsAreRefused) {
  const struct {
    std::vector<std::string> lines;
    std::string message;
  } cases[] = {
      {{"../f=a"}, "path '../f' leads out of the image"},
      {{"a/../../f=a"}, "path 'a/../../f' leads out of the image"},
      {{".=a"}, "'.' is the root and no folder"},
      {{"h~../x"}, "hard link 'h'"},
      {{"d/.wh...="}, "whiteout 'd/.wh...' would hide a folder that it lies in"},
      {{"d/.wh..="}, "whiteout 'd/.wh..' would hide a folder that it lies in"},
      {{"d/.wh.="}, "whiteout 'd/.wh.' would hide a folder that it lies in"},
      {{"a>b", "b>a", "a/f=x"}, "'a' goes through more than 40 symlinks"},
      {{"a>a/a", "a/f=x"}, "'a' goes through more than 40 symlinks"},
  };
  for (const auto& c : cases) EXPECT_EQ(stacked({c.lines}), c.message);
}

TEST(LayerEntriesTest, AttributesOfOursCannotComeFromOutside) {
  store::MemorySink sink;
  const store::Object empty = sink.put("", 0644).value();
  LayerEntries entries(empty);
  TarEntry entry;
  entry.path = "f";
  entry.xattrs = {{"kist.link", "etc/shadow"}, {"user.a", "b"}};
  ASSERT_TRUE(entries.add(entry, &empty).has_value());
  const store::Tree tree = std::move(entries).finish().value();
  const std::vector<std::pair<std::string, std::string>> want = {{"user.a", "b"}};
  EXPECT_EQ(tree.entries().at(0).xattrs, want);
}

TEST(LayerEntriesTest, AnOwnerThatNobodyCanBeIsRefused) {
  store::MemorySink sink;
  const store::Object empty = sink.put("", 0644).value();
  LayerEntries entries(empty);
  TarEntry entry;
  entry.path = "f";
  entry.uid = 0xffffffff;
  EXPECT_EQ(entries.add(entry, &empty).error().message(),
            "'f' belongs to 4294967295, which is no user or group");
}

}  // namespace
}  // namespace kist::images
