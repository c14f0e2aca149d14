#include "store/layer_plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

namespace kist::store {
namespace {

using testing::ElementsAre;

constexpr uint64_t kMB = 1'000'000;

LayerPackage python(std::string name, uint64_t compressed, uint64_t installed = 0) {
  return {std::move(name), LayerKind::python, compressed, installed};
}

std::vector<std::string> shown(const std::vector<LayerPackage>& packages) {
  std::vector<std::string> lines;
  for (const LayerSlot& slot : plan_layers(packages)) {
    std::string line = slot.name + (slot.is_split ? " (split):" : ":");
    for (const size_t i : slot.packages) line += " " + packages[i].name;
    lines.push_back(line);
  }
  return lines;
}

TEST(LayerPlanTest, EachKindHasItsPlaceFromBottomToTop) {
  EXPECT_THAT(
      shown({{"lock", LayerKind::metadata, 1, 1},
             {"app", LayerKind::application, 1, 1},
             {"pyc", LayerKind::bytecode, 1, 1},
             python("six", 11'000),
             python("numpy", 18 * kMB),
             python("torch", 900 * kMB, 1700 * kMB),
             {"python3.11", LayerKind::interpreter, 1, 1},
             {"ffmpeg", LayerKind::debian, 1, 1},
             {"curl", LayerKind::debian, 1, 1},
             {"bookworm", LayerKind::base, 1, 1}}),
      ElementsAre("base: bookworm", "debian: curl ffmpeg", "interpreter: python3.11",
                  "python/torch (split): torch", "python/numpy: numpy", "python/tail-04: six",
                  "bytecode: pyc", "application: app", "metadata: lock"));
  EXPECT_THAT(shown({}), ElementsAre());
}

TEST(LayerPlanTest, LimitsAreExact) {
  EXPECT_THAT(shown({python("a", kMinSoloBytes, kSplitAboveBytes)}), ElementsAre("python/a: a"));
  EXPECT_THAT(shown({python("a", kMinSoloBytes, kSplitAboveBytes + 1)}),
              ElementsAre("python/a (split): a"));
  EXPECT_THAT(shown({python("a", kMinSoloBytes - 1)}), ElementsAre("python/tail-10: a"));
}

// Goal: changing one small package touches one layer. Method: the plan with and without it.
TEST(LayerPlanTest, OnePackageMoreChangesOneSlotOnly) {
  std::vector<LayerPackage> packages;
  for (int i = 0; i < 200; ++i) packages.push_back(python(fmt::format("small-{}", i), 50'000));
  for (int i = 0; i < 30; ++i) packages.push_back(python(fmt::format("large-{}", i), 5 * kMB));
  const std::vector<std::string> before = shown(packages);
  EXPECT_EQ(before.size(), 30u + kTailBuckets);
  packages.insert(packages.begin(), python("newcomer", 50'000));
  const std::vector<std::string> after = shown(packages);
  ASSERT_EQ(after.size(), before.size());
  size_t changed = 0;
  for (size_t i = 0; i < after.size(); ++i) changed += before[i] != after[i] ? 1 : 0;
  EXPECT_EQ(changed, 1u);
}

TEST(LayerPlanTest, OrderOfTheInputDoesNotMatter) {
  std::vector<LayerPackage> packages;
  for (int i = 0; i < 150; ++i)
    packages.push_back(python(fmt::format("p{}", i), static_cast<uint64_t>(i % 40) * kMB));
  const std::vector<std::string> forwards = shown(packages);
  std::reverse(packages.begin(), packages.end());
  EXPECT_EQ(shown(packages), forwards);
}

TEST(LayerPlanTest, TooManyLargeOnesSendTheSmallestToTheTail) {
  std::vector<LayerPackage> packages;
  for (uint64_t i = 0; i < 120; ++i)
    packages.push_back(python(fmt::format("p{:03}", i), (10 + i) * kMB));
  const std::vector<LayerSlot> slots = plan_layers(packages);
  std::map<bool, size_t> solos;
  for (const LayerSlot& slot : slots) ++solos[slot.name.starts_with("python/p")];
  // 100 without the 6 fixed ones and 16 buckets, whether those are in use or not.
  EXPECT_EQ(solos[true], 78u);
  EXPECT_LE(slots.size(), kMaxLayers);
  EXPECT_EQ(slots.front().name, "python/p119");
  EXPECT_EQ(slots[77].name, "python/p042");
}

TEST(LayerPlanTest, PartsOfSplitPackagesCountAgainstTheLimit) {
  std::vector<LayerPackage> packages;
  for (uint64_t i = 0; i < 60; ++i)
    packages.push_back(python(fmt::format("p{:03}", i), (500 + i) * kMB, 2ull << 30));
  // Each may become 9, so that 8 of them fit beside the 22.
  size_t split = 0;
  for (const LayerSlot& slot : plan_layers(packages)) split += slot.is_split ? 1 : 0;
  EXPECT_EQ(split, 8u);
}

}  // namespace
}  // namespace kist::store
