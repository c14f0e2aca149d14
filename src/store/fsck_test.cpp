#include "store/fsck.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "store/test_world.h"

namespace kist::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FsckTest : public testing::Test {
 protected:
  FsckReport check(FsckOptions options) {
    os::Workers workers(2);
    NoProgress progress;
    return must(check_store(world_.store, options, workers, progress));
  }
  static std::string shown(const FsckReport& report) {
    std::string out;
    for (const Damage& damage : report.damages) {
      out += fmt::format("{}: {} [{}] [{}]{}\n", damage.path, damage.reason,
                         fmt::join(damage.names, " "), fmt::join(damage.environments, " "),
                         damage.is_repaired ? " repaired" : "");
    }
    return out;
  }
  std::string object(std::string_view bytes) {
    return fmt::format("objects/{}", object_name(oci::Sha256::of(bytes), 0644));
  }
  std::string full(const std::string& path) { return os::join(world_.home.path(), path); }
  void damage(const std::string& path, std::string_view bytes) {
    must(os::write_file_atomically(full(path), bytes));
  }

  World world_;
};

TEST_F(FsckTest, CleanStoreIsClean) {
  world_.put({{"a", "x"}, {"b", "yy"}}, "wheel/a");
  const FsckReport quick = check({.refetch = {}});
  EXPECT_TRUE(quick.is_clean());
  EXPECT_EQ(quick.objects, 2u);
  EXPECT_EQ(quick.trees, 1u);
  EXPECT_EQ(quick.hashed_bytes, 0u);
  const FsckReport all = check({.level = FsckLevel::full, .refetch = {}});
  EXPECT_TRUE(all.is_clean());
  EXPECT_EQ(all.hashed_bytes, 3u);
}

TEST_F(FsckTest, QuickSeesWhatIsMissingAndFullWhatIsWrong) {
  const Tree a = world_.put({{"1", "missing"}, {"2", "short"}, {"3", "wrong"}}, "wheel/a");
  const Tree b = world_.put({{"1", "wrong"}}, "wheel/b");
  world_.put({{"1", "unneeded"}}, "wheel/c");
  const Tree lost = world_.put({{"1", "fine"}}, "wheel/lost");
  world_.pin("key/default.roots", b.digest().string());
  must(os::remove_tree(full(object("missing"))));
  damage(object("short"), "sho");
  damage(object("wrong"), "wronG");
  must(os::remove_tree(world_.path_of(lost)));
  const std::string missing = fmt::format("{}: missing [wheel/a] []\n", object("missing"));
  const std::string torn = fmt::format("{}: 3 bytes, want 5 [wheel/a] []\n", object("short"));
  const std::string wrong =
      fmt::format("{}: has the content of {} [wheel/a wheel/b] [key/default]\n", object("wrong"),
                  oci::Sha256::of("wronG").string());
  const std::string name = fmt::format("names/wheel/lost: its tree {} is missing [wheel/lost] []\n",
                                       lost.digest().string());
  const auto sorted = [](std::vector<std::string> lines) {
    std::sort(lines.begin(), lines.end());
    return fmt::format("{}", fmt::join(lines, ""));
  };
  EXPECT_EQ(shown(check({.refetch = {}})), sorted({missing, torn, name}));
  EXPECT_EQ(shown(check({.level = FsckLevel::full, .refetch = {}})),
            sorted({missing, torn, wrong, name}));
  EXPECT_TRUE(os::exists(full(object("wrong")))) << "without repair nothing is touched";
  EXPECT_EQ(must(world_.store.names("")).size(), 4u);
}

TEST_F(FsckTest, RepairPutsAsideForgetsAndFetchesAgain) {
  const Tree a = world_.put({{"1", "good"}, {"2", "bad"}}, "wheel/a");
  world_.put({{"1", "good"}}, "wheel/b");
  world_.pin("key/default.roots", a.digest().string());
  const Root links = world_.root(a, Variant::links);
  const Root erofs = world_.root(a, Variant::erofs);
  damage(object("bad"), "BAD");
  std::vector<std::string> asked;
  FsckOptions options{.level = FsckLevel::full, .is_repair = true, .refetch = {}};
  options.refetch = [&](const std::vector<std::string>& names) -> Result<void> {
    asked = names;
    world_.put({{"1", "good"}, {"2", "bad"}}, "wheel/a");
    return {};
  };
  const FsckReport report = check(options);
  EXPECT_THAT(asked, ElementsAre("wheel/a"));
  EXPECT_THAT(report.removed_names, ElementsAre("wheel/a"));
  EXPECT_EQ(report.removed_roots, 2u);
  EXPECT_THAT(shown(report), HasSubstr("[wheel/a] [key/default] repaired\n"));
  EXPECT_TRUE(report.is_clean());
  EXPECT_FALSE(os::exists(links.folder) || os::exists(erofs.folder));
  EXPECT_EQ(must(world_.store.names("")).size(), 2u);
  EXPECT_THAT(must(os::list_folder(full("quarantine"))).size(), 3u);
  EXPECT_TRUE(check({.level = FsckLevel::full, .refetch = {}}).damages.empty());
}

TEST_F(FsckTest, RepairWithoutFetchingSaysThatEnvironmentsAreStillHit) {
  const Tree a = world_.put({{"1", "bad"}}, "wheel/a");
  const Root root = world_.root(a, Variant::links);
  world_.pin("key/default.roots", a.digest().string());
  damage(object("bad"), "");
  const auto lease = must(Lease::hold(root));
  FsckOptions options{.is_repair = true, .refetch = {}};
  options.refetch = [](const std::vector<std::string>&) -> Result<void> {
    return Error(Code::unavailable, "no network");
  };
  const FsckReport report = check(options);
  EXPECT_FALSE(report.is_clean());
  EXPECT_EQ(report.refetch_error, "error: no network\n");
  EXPECT_EQ(report.damaged_roots_in_use, 1u);
  EXPECT_TRUE(os::exists(root.folder));
  EXPECT_THAT(must(world_.store.names("")), IsEmpty());
}

TEST_F(FsckTest, DamagedTreeIsTold) {
  const Tree a = world_.put({{"1", "x"}}, "wheel/a");
  const std::string path = fmt::format("trees/{}", tree_name(a.digest()));
  damage(path, "nonsense");
  EXPECT_EQ(shown(check({.refetch = {}})),
            fmt::format("{}: tree {} has the content of {} [wheel/a] []\n", path,
                        a.digest().string(), oci::Sha256::of("nonsense").string()));
  const FsckReport report = check({.is_repair = true, .refetch = {}});
  EXPECT_TRUE(report.is_clean());
  EXPECT_FALSE(os::exists(full(path)));
  EXPECT_THAT(must(world_.store.names("")), IsEmpty());
}

// Full checks also what nobody needs at the moment: the next writer would believe it.
TEST_F(FsckTest, UnneededDamageIsFoundToo) {
  world_.put({{"1", "x"}});
  {
    Transaction tx = must(world_.store.begin());
    must(tx.put("nobody's", 0644));
    must(std::move(tx).commit());
  }
  damage(object("nobody's"), "evil");
  EXPECT_TRUE(check({.refetch = {}}).is_clean());
  EXPECT_FALSE(check({.level = FsckLevel::full, .refetch = {}}).is_clean());
  EXPECT_TRUE(check({.level = FsckLevel::full, .is_repair = true, .refetch = {}}).is_clean());
  EXPECT_FALSE(os::exists(full(object("nobody's"))));
}

}  // namespace
}  // namespace kist::store
