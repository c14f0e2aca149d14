#include "store/gc.h"

#include <gmock/gmock.h>

#include "store/test_world.h"
#include "store/usage.h"

namespace kist::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(GcTest, KeepsWhatNamesAndEnvironmentsNeed) {
  World world;
  const Tree named = world.put({{"a", "named"}, {"b", "shared"}}, "wheel/a");
  const Tree pinned = world.put({{"a", "pinned"}, {"b", "shared"}});
  const Tree other = world.put({{"a", "other"}});
  const Tree garbage = world.put({{"a", "garbage"}, {"b", "shared"}});
  world.pin("key/default.roots", pinned.digest().string() + "\n");
  world.pin("other/roots", fmt::format("\n{}", other.digest().string()));
  const GcReport report = world.collect();
  EXPECT_THAT(report.names, IsEmpty());
  EXPECT_EQ(report.trees, 1u);
  EXPECT_EQ(report.objects, 1u);
  EXPECT_TRUE(world.has(named) && world.has(pinned) && world.has(other));
  EXPECT_FALSE(world.has(garbage));
  for (const char* const bytes : {"named", "shared", "pinned", "other"})
    EXPECT_TRUE(world.has(bytes)) << bytes;
  EXPECT_FALSE(world.has("garbage"));
  EXPECT_TRUE(world.check().damages.empty());
  EXPECT_EQ(world.collect().objects, 0u);
}

TEST(GcTest, UnusedNamesGoAfterAWhileOrWhenAsked) {
  World world;
  world.put({{"a", "old"}}, "wheel/old");
  world.put({{"a", "new"}}, "wheel/new");
  const Tree needed = world.put({{"a", "needed"}}, "wheel/needed");
  world.pin("key/default.roots", needed.digest().string());
  world.age("wheel/old", 31);
  world.age("wheel/new", 29);
  world.age("wheel/needed", 1000);
  EXPECT_THAT(world.collect().names, ElementsAre("wheel/old"));
  EXPECT_FALSE(world.has("old"));
  EXPECT_TRUE(world.has("new"));
  EXPECT_THAT(world.collect({.keep_unused_s = 0, .on_wait = {}}).names, ElementsAre("wheel/new"));
  EXPECT_THAT(must(world.store.names("")), ElementsAre("wheel/needed"));
}

// Goal: what processes that died left in the cache goes, what can be continued stays for a while.
TEST(GcTest, ScratchFoldersOfTheDeadGo) {
  World world;
  const std::string cache = world.home.path() + "/cache";
  for (const char* path : {"build/tmp.abcdef/first/sources", "resolve/tmp.abcdef", "partial/claims.abcdef",
                           "configure/tmp.abcdef/upper", "probe/tmp.abcdef",
                           "debian/lists"})
    must(os::make_folders(os::join(cache, path)));
  must(os::write_file_atomically(cache + "/partial/aa.part", "half"));
  must(os::write_file_atomically(cache + "/resolve/tmp.abcdef/pylock.toml", "x"));
  world.collect({.is_dry_run = true});
  EXPECT_TRUE(os::exists(cache + "/build/tmp.abcdef"));
  world.collect();
  EXPECT_THAT(must(os::list_folder(cache + "/build")), IsEmpty());
  for (const char* folder : {"/resolve", "/configure", "/probe"})
    EXPECT_THAT(must(os::list_folder(cache + folder)), IsEmpty()) << folder;
  EXPECT_THAT(must(os::list_folder(cache + "/partial")), ElementsAre("aa.part"));
  EXPECT_TRUE(os::exists(cache + "/debian/lists"));
  world.collect({.keep_unused_s = 0});
  EXPECT_THAT(must(os::list_folder(cache + "/partial")), IsEmpty());
}

TEST(GcTest, TornNamesAndNamesWithoutTreesGo) {
  World world;
  const Tree tree = world.put({{"a", "x"}}, "wheel/lost");
  must(os::write_file_atomically(os::join(world.home.path(), "names/torn"), ""));
  must(os::remove_tree(world.path_of(tree)));
  EXPECT_THAT(world.collect().names, ElementsAre("torn", "wheel/lost"));
}

TEST(GcTest, ModesOfOneContentAreSeparate) {
  World world;
  {
    Transaction tx = must(world.store.begin());
    must(tx.put("x", 0644));
    must(tx.put("x", 0755));
    must(std::move(tx).commit());
  }
  world.put({{"a", "x"}}, "wheel/a");
  EXPECT_EQ(world.collect().objects, 1u);
  EXPECT_TRUE(world.has("x", 0644));
  EXPECT_FALSE(world.has("x", 0755));
}

// Goal: nothing vanishes under a running program. Method: leases on roots of both variants whose
// trees nobody else needs.
TEST(GcTest, RootsInUseKeepAllTheyNeed) {
  World world;
  std::vector<std::pair<std::string, std::string>> files;
  for (int i = 0; i < 50; ++i) files.emplace_back(fmt::format("f{}", i), "same");
  const Tree base = world.put(files);
  files.emplace_back("g", "delta");
  const Tree delta = world.put(files);
  const Tree image = world.put({{"a", "image"}});
  world.root(base, Variant::links);
  const Root over = world.root(delta, Variant::links);
  ASSERT_EQ(over.lowers.size(), 2u);
  const Root erofs = world.root(image, Variant::erofs);
  const Root idle = world.root(image, Variant::links);
  {
    const auto lease = must(Lease::hold(over));
    const auto other = must(Lease::hold(erofs));
    const GcReport report = world.collect({.keep_unused_s = 0, .on_wait = {}});
    EXPECT_EQ(report.roots_in_use, 2u);
    EXPECT_EQ(report.roots, 1u);
    EXPECT_EQ(report.objects, 0u);
    EXPECT_FALSE(os::exists(idle.folder));
    for (const std::string& lower : over.lowers) EXPECT_TRUE(os::exists(lower));
    EXPECT_TRUE(world.has("image") && world.has(image) && world.has(delta));
    EXPECT_TRUE(find_root(world.store, delta.digest(), Variant::links).has_value());
  }
  const GcReport report = world.collect();
  EXPECT_EQ(report.roots, 3u);
  EXPECT_EQ(report.trees, 3u);
  EXPECT_EQ(report.objects, 3u);
  EXPECT_FALSE(must(Lease::hold(over)).has_value());
  EXPECT_THAT(must(os::list_folder(os::join(world.home.path(), "roots/links"))), IsEmpty());
}

TEST(GcTest, DryRunTellsTheSameAndRemovesNothing) {
  World world;
  std::vector<std::pair<std::string, std::string>> files;
  for (int i = 0; i < 40; ++i) files.emplace_back(fmt::format("d/f{}", i), std::string(5000, 'x'));
  files.emplace_back("large", std::string(1'000'000, 'y'));
  const Tree tree = world.put(files, "wheel/old");
  world.put({{"keep", "keep"}}, "wheel/keep");
  world.root(tree, Variant::links);
  world.root(tree, Variant::erofs);
  world.age("wheel/old", 100);
  const uint64_t before = must(measure_store(world.store)).object_bytes;
  const GcReport told = world.collect({.is_dry_run = true, .on_wait = {}});
  EXPECT_TRUE(world.has(tree));
  EXPECT_EQ(must(measure_store(world.store)).object_bytes, before);
  const GcReport done = world.collect();
  EXPECT_EQ(told.names, done.names);
  EXPECT_EQ(told.roots, done.roots);
  EXPECT_EQ(told.trees, done.trees);
  EXPECT_EQ(told.objects, done.objects);
  EXPECT_EQ(told.freed_bytes, done.freed_bytes);
  EXPECT_GT(done.freed_bytes, 1'000'000u);
  EXPECT_EQ(done.roots, 2u);
}

TEST(GcTest, LeftoversOfDeadWritersGo) {
  World world;
  const std::string shard = os::join(world.home.path(), "objects/ab");
  must(os::write_file_atomically(os::join(shard, ".1.x.7"), "half"));
  must(os::write_file_atomically(os::join(shard, "somebody else's"), "stays"));
  must(os::make_folders(os::join(world.home.path(), "staging/1.dead/root.1")));
  must(os::write_file_atomically(os::join(world.home.path(), "staging/1.dead/own"), "boot x\n"));
  must(os::make_folders(os::join(world.home.path(), "staging/.making")));
  world.collect();
  EXPECT_THAT(must(os::list_folder(shard)), ElementsAre("somebody else's"));
  EXPECT_THAT(must(os::list_folder(os::join(world.home.path(), "staging"))), IsEmpty());
}

TEST(GcTest, WaitsForWritersAndTellsWhoTheyAre) {
  World world;
  std::optional<Transaction> tx = must(world.store.begin());
  must(tx->put("being written", 0644));
  std::vector<std::string> told;
  GcOptions options;
  options.on_wait = [&](const std::vector<std::string>& writers) -> Result<void> {
    told = writers;
    return Error(Code::unavailable, "would wait");
  };
  EXPECT_EQ(collect_garbage(world.store, options).error().message(), "would wait");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], HasSubstr(fmt::format("(pid {})", ::getpid())));
  EXPECT_THAT(told[0], HasSubstr("store_test"));
  EXPECT_TRUE(world.has("being written"));
  options.on_wait = [&](const std::vector<std::string>&) -> Result<void> {
    tx.reset();
    return {};
  };
  EXPECT_EQ(must(collect_garbage(world.store, options)).objects, 1u);
}

TEST(GcTest, DamageStopsItBeforeAnythingIsRemoved) {
  World world;
  world.put({{"a", "garbage"}});
  const Tree tree = world.put({{"a", "x"}}, "wheel/a");
  const std::string path = world.path_of(tree);
  must(os::write_file_atomically(path, "kist tree\n"));
  const auto report = collect_garbage(world.store, {});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code(), Code::corrupt);
  EXPECT_EQ(report.error().message(), "finding what is needed");
  EXPECT_EQ(report.error().hint_text(), "`kist fsck`");
  EXPECT_TRUE(world.has("garbage"));
  must(os::remove_tree(path));
  world.pin("key/default.roots", "what is this\n");
  EXPECT_EQ(collect_garbage(world.store, {}).error().message(),
            fmt::format("'{}/projects/key/default.roots' has the line 'what is this', which is not "
                        "a digest",
                        world.home.path()));
  EXPECT_TRUE(world.has("garbage"));
}

}  // namespace
}  // namespace kist::store
