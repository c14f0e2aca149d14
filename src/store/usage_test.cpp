#include "store/usage.h"

#include <gmock/gmock.h>

#include "store/test_world.h"

namespace kist::store {
namespace {

TEST(UsageTest, TellsWhatIsSharedAndWhatRemovingWouldFree) {
  World world;
  const Tree a = world.put({{"1", "aaaa"}, {"2", "ss"}, {"3", "ss"}}, "wheel/a");
  const Tree b = world.put({{"1", "b"}, {"2", "ss"}}, "wheel/b");
  world.put({{"x", "unrelated"}}, "deb/c");
  const Part parts[] = {{"a", &a}};
  const Tree environment = must(merge(parts));
  world.pin("key/default.roots", environment.digest().string());
  world.pin("key/lost.roots", oci::Sha256::of("lost").string());
  std::string shown;
  for (const auto& items :
       {must(named_items(world.store, "wheel/")), must(environment_items(world.store))}) {
    for (const Usage& usage : must(measure_usage(world.store, items))) {
      shown +=
          fmt::format("{}: {} files, {} apparent, {} unique, {} shared\n", usage.name, usage.files,
                      usage.apparent_bytes, usage.unique_bytes, usage.shared_bytes);
    }
  }
  EXPECT_EQ(shown,
            "wheel/a: 3 files, 8 apparent, 4 unique, 2 shared\n"
            "wheel/b: 2 files, 3 apparent, 1 unique, 2 shared\n"
            "key/default: 3 files, 8 apparent, 6 unique, 0 shared\n"
            "key/lost: 0 files, 0 apparent, 0 unique, 0 shared\n");
  world.root(a, Variant::links);
  const StoreSize size = must(measure_store(world.store));
  EXPECT_EQ(size.objects, 4u);
  EXPECT_EQ(size.trees, 3u);
  EXPECT_EQ(size.roots, 1u);
  EXPECT_GE(size.object_bytes, 4u * 512);
}

}  // namespace
}  // namespace kist::store
