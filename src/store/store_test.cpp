#include "store/store.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <thread>

#include "store/layout.h"
#include "store/test_home.h"

namespace kist::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

struct stat stat_of(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}

void write(const std::string& path, std::string_view bytes) {
  must(os::write_file_atomically(path, bytes));
}

TEST(StoreTest, ContentsTreesAndNamesComeBack) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  TreeBuilder builder(tx);
  must(builder.file("bin/x", 0755, "hello"));
  must(builder.file("etc/empty", 0644, ""));
  const Tree tree = must(std::move(builder).finish());
  EXPECT_EQ(must(tx.put_tree(tree)), tree.digest());
  tx.name("wheel/x-1.0", tree.digest());
  EXPECT_EQ(must(store.find("wheel/x-1.0")), std::nullopt) << "not before commit";
  must(std::move(tx).commit());

  const Store again = home.open();
  EXPECT_EQ(must(again.find("wheel/x-1.0")), tree.digest());
  EXPECT_EQ(must(again.find("wheel/y")), std::nullopt);
  EXPECT_EQ(must(again.find("wheel")), std::nullopt);
  EXPECT_EQ(must(again.tree(tree.digest())).entries(), tree.entries());
  EXPECT_EQ(must(again.read_object(*tree.find("bin/x"))), "hello");
  EXPECT_THAT(must(again.names("")), ElementsAre("wheel/x-1.0"));
  EXPECT_THAT(must(again.names("wheel/")), ElementsAre("wheel/x-1.0"));
  EXPECT_THAT(must(again.names("deb/")), ElementsAre());
  must(again.remove_name("wheel/x-1.0"));
  must(again.remove_name("wheel/x-1.0"));
  EXPECT_EQ(must(again.find("wheel/x-1.0")), std::nullopt);
  EXPECT_THAT(must(os::list_folder(os::join(home.path(), "staging"))), ElementsAre());
}

// Goal: what lies on disk depends on the content and the mode alone. Method: a umask that would
// take everything away.
TEST(StoreTest, ModeAndTimeOfObjectsAreExactWhateverTheUmask) {
  const TestHome home;
  const mode_t before = ::umask(0077);
  const Store store = home.open();
  Transaction tx = must(store.begin());
  for (const uint32_t mode : {0644u, 0755u, 0444u, 0600u, 04755u, 0u}) must(tx.put("x", mode));
  auto large = must(tx.begin(0555));
  must(large->write("x"));
  const Object object = must(large->finish());
  large.reset();
  must(std::move(tx).commit());
  ::umask(before);
  const std::string shard = os::join(home.path(), "objects/2d");
  const std::string hex = "711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
  EXPECT_EQ(object.digest.hex(), "2d" + hex);
  EXPECT_THAT(must(os::list_folder(shard)),
              ElementsAre(hex, hex + ".0", hex + ".444", hex + ".555", hex + ".600", hex + ".755"));
  const struct {
    uint32_t mode;
    uint32_t on_disk;
  } cases[] = {{0644, 0644}, {0755, 0755}, {0444, 0444}, {0600, 0600}, {04755, 0755}, {0, 0400}};
  for (const auto& c : cases) {
    const struct stat st = stat_of(store.object_path(object.digest, c.mode));
    EXPECT_EQ(st.st_mode & 07777, c.on_disk);
    EXPECT_EQ(st.st_mtim.tv_sec, kTreeTime);
    EXPECT_EQ(st.st_mtim.tv_nsec, 0);
    EXPECT_EQ(st.st_nlink, 1u);
  }
  EXPECT_EQ(stat_of(home.path()).st_mode & 0777, 0700u);
  EXPECT_EQ(stat_of(shard).st_mode & 0777, 0755u);
}

TEST(StoreTest, ShortObjectsAndTreesAreWrittenAgain) {
  const TestHome home;
  const Store store = home.open();
  const Tree tree = must(Tree::make({file("a", "content")}));
  const std::string object = store.object_path(*tree.find("a")->object, 0644);
  const std::string stored = os::join(home.path(), "trees/" + tree_name(tree.digest()));
  write(object, "con");
  write(stored, "");
  EXPECT_THAT(store.tree(tree.digest()).error().message(), HasSubstr("has the content of"));
  Transaction tx = must(store.begin());
  must(tx.put("content", 0644));
  must(tx.put_tree(tree));
  EXPECT_EQ(must(os::read_file(object)), "content");
  EXPECT_EQ(must(store.tree(tree.digest())).entries(), tree.entries());
  write(object, "con");
  auto writer = must(tx.begin(0644));
  must(writer->write("content"));
  must(writer->finish());
  EXPECT_EQ(must(os::read_file(object)), "content");
}

TEST(StoreTest, PresentObjectsKeepTheirInode) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  const Object object = must(tx.put("content", 0644));
  const ino_t inode = stat_of(store.object_path(object.digest, 0644)).st_ino;
  must(tx.put("content", 0644));
  auto writer = must(tx.begin(0644));
  must(writer->write("content"));
  must(writer->finish());
  EXPECT_EQ(stat_of(store.object_path(object.digest, 0644)).st_ino, inode);
}

TEST(StoreTest, DroppedWriterAndTransactionLeaveNoName) {
  const TestHome home;
  const Store store = home.open();
  {
    Transaction tx = must(store.begin());
    auto writer = must(tx.begin(0644));
    must(writer->write("half"));
    tx.name("wheel/x", must(tx.put_tree(Tree())));
  }
  EXPECT_EQ(must(store.find("wheel/x")), std::nullopt);
  // What it wrote is not durable; the folder that says so stays until the next sync.
  EXPECT_EQ(must(os::list_folder(os::join(home.path(), "staging"))).size(), 1u);
  Transaction tx = must(store.begin());
  tx.name("wheel/y", must(tx.put_tree(Tree())));
  must(std::move(tx).commit());
  EXPECT_THAT(must(os::list_folder(os::join(home.path(), "staging"))), ElementsAre());
}

TEST(StoreTest, BadNamesAreRefused) {
  const TestHome home;
  const Store store = home.open();
  const struct {
    std::string name;
    std::string message;
  } cases[] = {
      {"", "name '' has an empty component"},
      {"a//b", "name 'a//b' has an empty component"},
      {"/a", "name '/a' has an empty component"},
      {"../a", "name '../a' has a component that starts with '.'"},
      {"a/.hidden", "name 'a/.hidden' has a component that starts with '.'"},
      {"a b", "name 'a b' has ' ', want letters, digits and . - _ + /"},
      {"a\n", "name 'a\\x0a' has '\\x0a', want letters, digits and . - _ + /"},
      {std::string(201, 'a'),
       "name '" + std::string(60, 'a') + "…' has a component of 201 bytes, more than 200"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    EXPECT_EQ(store.find(c.name).error().message(), c.message);
    EXPECT_EQ(store.remove_name(c.name).error().message(), c.message);
    Transaction tx = must(store.begin());
    tx.name(c.name, Tree().digest());
    EXPECT_EQ(std::move(tx).commit().error().message(), c.message);
  }
}

TEST(StoreTest, TornNamesCountAsMissing) {
  const TestHome home;
  const Store store = home.open();
  write(os::join(home.path(), "names/x"), "");
  EXPECT_EQ(must(store.find("x")), std::nullopt);
  write(os::join(home.path(), "names/x"), "sha256:abc");
  EXPECT_EQ(must(store.find("x")), std::nullopt);
}

TEST(StoreTest, FindMarksOldNamesAsUsed) {
  const TestHome home;
  const Store store = home.open();
  Transaction tx = must(store.begin());
  tx.name("x", must(tx.put_tree(Tree())));
  must(std::move(tx).commit());
  const std::string path = os::join(home.path(), "names/x");
  const time_t now = ::time(nullptr);
  const auto set = [&](time_t age) {
    const timespec times[2] = {{now - age, 0}, {now - age, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    must(store.find("x"));
  };
  set(3600);
  EXPECT_EQ(stat_of(path).st_mtim.tv_sec, now - 3600);
  set(3 * 86400);
  EXPECT_GE(stat_of(path).st_mtim.tv_sec, now);
}

TEST(StoreTest, LaterAndBrokenStoresAreRefused) {
  const TestHome home;
  home.open();
  write(os::join(home.path(), "version"), "kist store 2\n");
  const auto later = Store::open(home.path());
  EXPECT_EQ(later.error().code(), Code::unsupported);
  EXPECT_EQ(later.error().frames().front(),
            fmt::format("store '{}' has the version 2, this kist knows 1", home.path()));
  write(os::join(home.path(), "version"), "what\n");
  EXPECT_EQ(Store::open(home.path()).error().frames().front(),
            fmt::format("'{}/version' is 'what', want 'kist store 1'", home.path()));
}

TEST(StoreTest, ReadOnlyReadsAndDoesNotMake) {
  const TestHome home;
  EXPECT_EQ(Store::open(home.path(), true).error().code(), Code::not_found);
  EXPECT_FALSE(os::exists(home.path()));
  home.open();
  const Store store = must(Store::open(home.path(), true));
  EXPECT_EQ(must(store.find("x")), std::nullopt);
  EXPECT_EQ(store.begin().error().code(), Code::denied);
  EXPECT_EQ(store.begin().error().message(),
            fmt::format("store '{}' cannot be written", home.path()));
  EXPECT_EQ(store.remove_name("x").error().code(), Code::denied);
}

TEST(StoreTest, DamagedObjectIsToldWithItsPath) {
  const TestHome home;
  const Store store = home.open();
  const Tree tree = must(Tree::make({file("a/b", "good")}));
  write(store.object_path(*tree.find("a/b")->object, 0644), "evil");
  const auto read = store.read_object(*tree.find("a/b"));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code(), Code::corrupt);
  EXPECT_THAT(read.error().message(),
              StartsWith("object sha256:770e607624d689265ca6c44884d0807d9b05"
                         "4d23c473c106c72be9de08b7376c of 'a/b' has"));
  EXPECT_EQ(read.error().hint_text(), "`kist fsck`");
}

// Goal: after a power cut no damaged object is believed. Method: pretend that a staging folder was
// left by another run of the kernel, and give an object of it the right length and the wrong bytes.
TEST(StoreTest, AfterAPowerCutChangedObjectsAreVerified) {
  const TestHome home;
  const Store store = home.open();
  const Tree tree = must(Tree::make({file("a", "content")}));
  std::string torn;
  std::string whole;
  {
    Transaction tx = must(store.begin());
    torn = store.object_path(must(tx.put("content", 0644)).digest, 0644);
    whole = store.object_path(must(tx.put("other", 0755)).digest, 0755);
    must(tx.put_tree(tree));
  }
  const std::string stored = os::join(home.path(), "trees/" + tree_name(tree.digest()));
  const std::string staging = os::join(home.path(), "staging");
  const std::string own = os::join(staging, must(os::list_folder(staging)).at(0) + "/own");
  write(torn, std::string(7, '\0'));
  write(stored, std::string(tree.encode().size(), '\0'));
  {
    const Transaction tx = must(store.begin());
    EXPECT_TRUE(os::exists(torn)) << "same boot: nothing is torn, nothing is checked";
  }
  for (const char* const boot : {"boot 00000000-0000-0000-0000-000000000000\npid 1\n", ""}) {
    write(torn, std::string(7, '\0'));
    write(stored, std::string(tree.encode().size(), '\0'));
    must(os::make_folders(os::parent_of(own)));
    write(own, boot);
    const Transaction tx = must(store.begin());
    EXPECT_FALSE(os::exists(torn));
    EXPECT_FALSE(os::exists(stored));
    EXPECT_TRUE(os::exists(whole));
    EXPECT_FALSE(os::exists(own));
  }
}

TEST(StoreTest, LockedStagingOfAnotherMachineIsLeftAlone) {
  const TestHome home;
  const Store store = home.open();
  const std::string other = os::join(home.path(), "staging/1.other");
  must(os::make_folders(other));
  write(os::join(other, "own"), "boot elsewhere\npid 1\n");
  const auto lock =
      must(os::FileLock::acquire(os::join(other, "own"), os::FileLock::Mode::exclusive));
  Transaction tx = must(store.begin());
  tx.name("x", must(tx.put_tree(Tree())));
  must(std::move(tx).commit());
  EXPECT_TRUE(os::exists(os::join(other, "own")));
}

TEST(StoreTest, ThreadsAndProcessesWriteTheSameStoreAtOnce) {
  const TestHome home;
  const auto work = [&](int who) {
    const Store store = must(Store::open(home.path()));
    Transaction tx = must(store.begin());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) must(tx.put(fmt::format("content {}", i), 0644));
      });
    }
    for (std::thread& thread : threads) thread.join();
    tx.name(fmt::format("by/{}", who), must(tx.put_tree(Tree())));
    must(std::move(tx).commit());
  };
  std::vector<pid_t> children;
  for (int who = 0; who < 4; ++who) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      work(who);
      ::_exit(testing::Test::HasFailure() ? 1 : 0);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const Store store = home.open();
  EXPECT_EQ(must(store.names("by/")).size(), 4u);
  size_t objects = 0;
  for (const auto& shard : must(os::list_folder(os::join(home.path(), "objects")))) {
    for (const auto& name : must(os::list_folder(os::join(home.path(), "objects/" + shard)))) {
      const auto object = parse_object_name(shard, name);
      ASSERT_TRUE(object.has_value()) << name;
      const auto path = store.object_path(object->digest, object->mode);
      EXPECT_EQ(oci::Sha256::of(must(os::read_file(path))), object->digest);
      ++objects;
    }
  }
  EXPECT_EQ(objects, 200u);
  EXPECT_THAT(must(os::list_folder(os::join(home.path(), "staging"))), ElementsAre());
}

TEST(StoreTest, FullDiskSaysHowMuchIsFreeAndWhatToDo) {
  const TestHome home;
  home.open();
  const Error error = disk_error(ENOSPC, home.path(), "write an object");
  EXPECT_EQ(error.code(), Code::unavailable);
  EXPECT_THAT(error.message(), StartsWith("write an object: the disk is full, "));
  EXPECT_THAT(error.message(), HasSubstr(fmt::format(" free in '{}'", home.path())));
  EXPECT_EQ(error.hint_text(), "`kist gc`");
  EXPECT_EQ(disk_error(EDQUOT, home.path(), "x").message(),
            "x: the disk quota of this user is used up");
  EXPECT_EQ(disk_error(EIO, home.path(), "x").message(), "x: Input/output error");
}

}  // namespace
}  // namespace kist::store
