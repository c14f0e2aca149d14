// A crash leaves garbage, never a lie. Each test lets a child die at every single change that it
// makes to the disk, or makes that one change fail as on a full disk, and looks at the store.

#include <gmock/gmock.h>

#include "store/erofs_writer.h"
#include "store/memory_sink.h"
#include "store/test_faults.h"
#include "store/test_world.h"

namespace kist::store {
namespace {

using testing::IsEmpty;

constexpr int kDone = 0;
constexpr int kFullDisk = 1;
constexpr int kOtherError = 2;

int status_of(const Result<void>& result) {
  if (result) return kDone;
  return result.error().code() == Code::unavailable ? kFullDisk : kOtherError;
}

// What an assembly does: small and large objects, a tree, both roots, two names. `number` makes its
// contents new.
Result<Tree> fill(ObjectSink& sink, int number) {
  TreeBuilder builder(sink);
  TRY(builder.file("bin/run", 0755, fmt::format("#! {}", number)));
  TRY(builder.file("lib/empty", 0644, ""));
  TRY(builder.file("lib/common", 0444, "always the same"));
  builder.symlink("lib/link", "common");
  const std::unique_ptr<ObjectWriter> writer = TRY(sink.begin(0644));
  const std::string large = fmt::format("{:0100000}", number);
  TRY(writer->write(large));
  const Object object = TRY(writer->finish());
  Entry entry = file("share/large", large);
  EXPECT_EQ(object.digest, *entry.object);
  entry.xattrs = {{"user.number", fmt::format("{}", number)}};
  builder.add(entry);
  return TRY(std::move(builder).finish());
}

Result<void> assemble(const Store& store, int number) {
  Transaction tx = TRY(store.begin());
  const Tree tree = TRY(fill(tx, number));
  const oci::Digest digest = TRY(tx.put_tree(tree));
  (void)TRY(make_root(store, tx, tree, digest, Variant::links));
  (void)TRY(make_root(store, tx, tree, digest, Variant::erofs));
  tx.name("env/current", digest);
  tx.name(fmt::format("env/{}", number), digest);
  return std::move(tx).commit();
}

Tree expected_tree(int number) {
  MemorySink sink(false);
  return must(fill(sink, number));
}

// A root that is found is whole, whatever happened to who made it.
void check_roots(const World& world, const Tree& tree) {
  if (const auto links = find_root(world.store, tree.digest(), Variant::links)) {
    for (const Entry& entry : tree.entries()) {
      struct stat st = {};
      bool is_there = false;
      for (const std::string& lower : links->lowers)
        is_there = is_there || ::lstat(os::join(lower, entry.path).c_str(), &st) == 0;
      EXPECT_TRUE(is_there) << entry.path;
      if (entry.kind != Kind::file) continue;
      EXPECT_EQ(static_cast<uint64_t>(st.st_size), entry.size_bytes) << entry.path;
    }
  }
  if (const auto erofs = find_root(world.store, tree.digest(), Variant::erofs)) {
    const std::string path = world.home.beside("image");
    must(write_erofs(tree, tree.digest(), must(os::open_file(path, O_RDWR | O_CREAT | O_TRUNC))));
    EXPECT_EQ(must(os::read_file(erofs->erofs_image)), must(os::read_file(path)));
  }
}

void check_world(World& world, int number) {
  const FsckReport report = world.check();
  for (const Damage& damage : report.damages) ADD_FAILURE() << damage.path << ": " << damage.reason;
  for (const std::string& name : must(world.store.names(""))) {
    const auto digest = must(world.store.find(name));
    ASSERT_TRUE(digest.has_value()) << name;
    must(world.store.tree(*digest));
  }
  check_roots(world, expected_tree(number));
}

TEST(CrashTest, KilledAtAnyChangeWhileAssembling) {
  World world;
  int deaths = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    const FaultRun run =
        run_with_fault(Fault::kill, at, [&] { return status_of(assemble(world.store, at)); });
    check_world(world, at);
    if (!run.is_killed) {
      EXPECT_EQ(run.exit_status, kDone);
      break;
    }
    ++deaths;
    // The next one is not disturbed by what is lying about, and cleans it up.
    must(assemble(world.store, at));
    EXPECT_TRUE(must(world.store.find(fmt::format("env/{}", at))).has_value());
    // What was killed before it had a name stays for gc: an empty folder.
    for (const auto& name : must(os::list_folder(os::join(world.home.path(), "staging"))))
      EXPECT_TRUE(name.starts_with('.')) << name;
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_GT(deaths, 60);
}

TEST(CrashTest, FullDiskAtAnyChangeWhileAssembling) {
  World world;
  int failures = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    const FaultRun run =
        run_with_fault(Fault::full_disk, at, [&] { return status_of(assemble(world.store, at)); });
    ASSERT_FALSE(run.is_killed);
    EXPECT_NE(run.exit_status, kOtherError);
    // Said to be done is done; a failure names nothing but what is whole.
    const bool is_named = must(world.store.find(fmt::format("env/{}", at))).has_value();
    EXPECT_TRUE(is_named || run.exit_status != kDone);
    check_world(world, at);
    if (run.changes < at) {
      EXPECT_EQ(run.exit_status, kDone);
      break;
    }
    failures += run.exit_status == kFullDisk ? 1 : 0;
    must(assemble(world.store, at));
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_GT(failures, 40);
}

// Goal: an inode that has all the links it can have does not stop a root. Method: say so at each
// call in turn; where that call is a link, a spare inode must take over.
TEST(CrashTest, InodeWithoutRoomForLinksGetsASpare) {
  World world;
  const Tree tree = world.put({{"a", "content of a"}, {"b", "content of b"}});
  const std::string spare = world.store.object_path(*tree.find("a")->object, 0644) + ".~1";
  int spares = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    const FaultRun run = run_with_fault(Fault::too_many_links, at, [&] {
      Result<Transaction> tx = world.store.begin();
      if (!tx) return kOtherError;
      return make_root(world.store, *tx, tree, tree.digest(), Variant::links) ? kDone : kOtherError;
    });
    if (os::exists(spare)) {
      ++spares;
      EXPECT_EQ(run.exit_status, kDone);
      struct stat st = {};
      EXPECT_EQ(::stat(spare.c_str(), &st), 0);
      EXPECT_EQ(st.st_nlink, 2u);
      EXPECT_EQ(st.st_mode & 07777, 0644u);
      EXPECT_EQ(st.st_mtim.tv_sec, kTreeTime);
      EXPECT_EQ(must(os::read_file(spare)), "content of a");
      const auto root = find_root(world.store, tree.digest(), Variant::links);
      ASSERT_TRUE(root.has_value());
      EXPECT_EQ(must(os::read_file(os::join(root->lowers[0], "a"))), "content of a");
      EXPECT_TRUE(world.check().is_clean());
    }
    world.pin("key/default.roots", tree.digest().string());
    if (const auto root = find_root(world.store, tree.digest(), Variant::links))
      must(os::remove_tree(root->folder));
    world.collect();
    EXPECT_FALSE(os::exists(spare)) << "nothing links it any more";
    if (run.changes < at) break;
  }
  EXPECT_EQ(spares, 1);
}

TEST(CrashTest, KilledAtAnyChangeWhileCollecting) {
  World world;
  const Tree kept = world.put({{"a", "kept"}, {"b", "also"}});
  world.pin("key/default.roots", kept.digest().string());
  world.root(kept, Variant::links);
  int deaths = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    must(assemble(world.store, at));
    const GcOptions all{.keep_unused_s = 0, .on_wait = {}};
    const FaultRun run = run_with_fault(Fault::kill, at, [&] {
      return collect_garbage(world.store, all).has_value() ? kDone : kOtherError;
    });
    check_world(world, at);
    EXPECT_TRUE(world.has("kept") && world.has("also") && world.has(kept));
    EXPECT_TRUE(find_root(world.store, kept.digest(), Variant::links).has_value());
    if (!run.is_killed) {
      EXPECT_EQ(run.exit_status, kDone);
      break;
    }
    ++deaths;
    world.collect(all);
    EXPECT_THAT(must(world.store.names("")), IsEmpty());
    EXPECT_FALSE(world.has("always the same", 0444));
    EXPECT_THAT(must(os::list_folder(os::join(world.home.path(), "staging"))), IsEmpty());
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_GT(deaths, 25);
}

// A store is made of a thousand small steps, which differ little: every 50th is enough.
TEST(CrashTest, KilledWhileMakingTheStore) {
  int deaths = 0;
  for (int at = 1;; at += at < 4 ? 1 : 50) {
    SCOPED_TRACE(at);
    const TestHome home;
    const FaultRun run = run_with_fault(Fault::kill, at, [&] {
      return Store::open(home.path()).has_value() ? kDone : kOtherError;
    });
    const Store store = home.open();
    must(assemble(store, at));
    EXPECT_TRUE(must(store.find("env/current")).has_value());
    if (!run.is_killed) break;
    ++deaths;
  }
  EXPECT_GT(deaths, 15);
}

TEST(CrashTest, TwentyProcessesAtOnceAndSomeDie) {
  World world;
  std::vector<pid_t> children;
  for (int i = 0; i < 20; ++i) {
    const pid_t pid = ::fork();
    // All want the same.
    if (pid == 0) ::_exit(status_of(assemble(world.store, 7)));
    children.push_back(pid);
    if (i % 3 == 0) ::kill(pid, SIGKILL);
  }
  int done = 0;
  for (const pid_t pid : children) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) continue;
    EXPECT_EQ(WEXITSTATUS(status), kDone);
    ++done;
  }
  EXPECT_GE(done, 13);
  check_world(world, 7);
}

}  // namespace
}  // namespace kist::store
