#include "python/bytecode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "os/child.h"
#include "os/files.h"
#include "store/memory_sink.h"

namespace kist::python {
namespace {

store::Entry file_at(std::string path) {
  store::Entry entry;
  entry.path = std::move(path);
  entry.object = oci::Sha256::of("");
  return entry;
}

TEST(BytecodeTest, PathsAreThoseOfPython) {
  EXPECT_EQ(bytecode_path("a/b.py", {}), "a/__pycache__/b.cpython-311.pyc");
  EXPECT_EQ(bytecode_path("b.py", {.python_minor = "3.9", .level = 2}),
            "__pycache__/b.cpython-39.opt-2.pyc");
}

TEST(BytecodeTest, SourcesAreThoseWithoutByteCode) {
  const auto tree = store::Tree::make({file_at("p/a.py"), file_at("p/b.py"), file_at("p/.py"),
                                       file_at("p/__pycache__/b.cpython-311.pyc"),
                                       file_at("p/__pycache__/a.cpython-310.pyc"),
                                       file_at("bin/tool"), file_at("p/c.pyi")});
  ASSERT_TRUE(tree.has_value());
  EXPECT_THAT(bytecode_sources(*tree, {}), testing::ElementsAre("p/a.py"));
}

TEST(BytecodeTest, KeysDiffer) {
  const std::string key = bytecode_key("p", "cpython 3.11.2 3495", {});
  EXPECT_NE(bytecode_key("q", "cpython 3.11.2 3495", {}), key);
  EXPECT_NE(bytecode_key("p", "cpython 3.11.3 3495", {}), key);
  EXPECT_NE(bytecode_key("p", "cpython 3.11.2 3495", {.level = 1}), key);
  EXPECT_EQ(bytecode_key("p", "cpython 3.11.2 3495", {}), key);
}

// Runs the real program with an interpreter of this machine, without a container.
class BytecodeRunTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = os::TempDir::make(testing::TempDir()).value();
    for (const char* name : {"/usr/bin/python3", "/usr/local/bin/python3"})
      if (python_.empty() && os::exists(name)) python_ = name;
    if (python_.empty()) python_ = "python3";
    const auto version = os::run(
        {.args = {python_, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"},
         .env = os::current_env()});
    if (!version || version->status != 0) GTEST_SKIP() << "no python3 on this machine";
    target_.python_minor = version->out.substr(0, version->out.find('\n'));
  }

  void write(const std::string& path, std::string_view text) {
    const std::string full = os::join(dir_.path(), path);
    ASSERT_TRUE(os::make_folders(os::parent_of(full)).has_value());
    ASSERT_TRUE(os::write_file_atomically(full, text).has_value());
  }

  // Compiles the sources below `root` and returns the tree of what was made.
  Result<store::Tree> compile(const std::string& root, std::vector<std::string> sources,
                              unsigned workers, const std::vector<std::string>& more_env = {}) {
    const std::string output = os::join(dir_.path(), fmt::format("out{}", ++runs_));
    TRY(os::make_folders(output));
    write(fmt::format("list{}", runs_), bytecode_list(sources));
    const BytecodeRun run{.python = python_,
                          .root = os::join(dir_.path(), root),
                          .list = os::join(dir_.path(), fmt::format("list{}", runs_)),
                          .output = output,
                          .workers = workers};
    std::vector<std::string> env = bytecode_environment();
    for (const std::string& more : more_env) {
      const std::string start = more.substr(0, more.find('=') + 1);
      std::erase_if(env, [&](const std::string& old) { return old.starts_with(start); });
      env.push_back(more);
    }
    // "python3" may be found on our PATH only.
    for (const std::string& variable : os::current_env())
      if (python_ == "python3" && variable.starts_with("PATH=")) env.push_back(variable);
    const os::Output done =
        TRY(os::run({.args = bytecode_command(run, target_), .env = std::move(env)}));
    if (done.status != 0) return Error(Code::internal, "status {}: {}", done.status, done.err);
    last_output_ = done.out;
    std::sort(sources.begin(), sources.end());
    return collect_bytecode(output, sources, target_, sink_);
  }

  os::TempDir dir_;
  std::string python_;
  BytecodeTarget target_;
  store::MemorySink sink_;
  int runs_ = 0;
  std::string last_output_;
};

// Goal: the bytes are a function of path and source alone. Method: the same sources in another
// order, with other company, other folders, one worker and three, and a disturbing environment.
TEST_F(BytecodeRunTest, IsDeterministic) {
  std::vector<std::string> names;
  for (int i = 0; i < 12; ++i) {
    const std::string text = fmt::format(
        "import os\nNAMES = {{'a', 'b', 'shared{}', None}}\n"
        "def f{}(x, shared='shared'):\n    if x in {{'u', 'v', 'w', 'x{}'}}: return 'shared'\n"
        "class C{}:\n    shared = ('shared', 'a', {}, 1.5)\n    def g(self): return f'{{self}}'\n",
        i % 3, i, i, i, i);
    names.push_back(fmt::format("opt/kist/p/m{}.py", i));
    write("one/" + names.back(), text);
    write("two words/" + names.back(), text);
  }
  const auto first = compile("one", names, 2);
  ASSERT_TRUE(first.has_value()) << first.error().render();
  EXPECT_EQ(last_output_, "12 0\n");
  std::reverse(names.begin(), names.end());
  const auto second = compile("two words", names, 3,
                              {"TZ=Asia/Tokyo", "SOURCE_DATE_EPOCH=1", "HOME=/nowhere"});
  ASSERT_TRUE(second.has_value()) << second.error().render();
  EXPECT_EQ(first->digest(), second->digest());
  const auto alone = compile("one", {names[5]}, 1);
  ASSERT_TRUE(alone.has_value()) << alone.error().render();
  const std::string path = bytecode_path(names[5], target_);
  ASSERT_NE(alone->find(path), nullptr);
  EXPECT_EQ(alone->find(path)->object, first->find(path)->object);
}

TEST_F(BytecodeRunTest, PassesOverWhatDoesNotCompile) {
  write("r/good.py", "x = 1\n");
  write("r/python2.py", "print 'old'\n");
  write("r/nul.py", std::string_view("x = 1\0\n", 7));
  write("r/latin.py", "x = '\xe9'\n");
  write("r/deep.py", "x = " + std::string(200'000, '(') + "\n");
  const auto tree =
      compile("r", {"good.py", "python2.py", "nul.py", "latin.py", "deep.py", "missing.py"}, 2);
  ASSERT_TRUE(tree.has_value()) << tree.error().render();
  EXPECT_EQ(last_output_, "1 5\n");
  ASSERT_EQ(tree->entries().size(), 2u);
  EXPECT_EQ(tree->entries()[1].path, bytecode_path("good.py", target_));
  // The final path, not that of this test's folder, is what tracebacks will show.
  const std::string bytes = sink_.content(*tree->entries()[1].object).value();
  EXPECT_THAT(bytes, testing::HasSubstr("/good.py"));
  EXPECT_THAT(bytes, testing::Not(testing::HasSubstr(dir_.path())));
}

TEST_F(BytecodeRunTest, RefusesAHashSeedThatIsNotZero) {
  write("r/good.py", "x = 1\n");
  const auto tree = compile("r", {"good.py"}, 1, {"PYTHONHASHSEED=1"});
  ASSERT_FALSE(tree.has_value());
  EXPECT_THAT(tree.error().message(), testing::HasSubstr("PYTHONHASHSEED must be 0"));
}

TEST(CollectBytecodeTest, RefusesWhatIsNoByteCode) {
  const os::TempDir dir = os::TempDir::make(testing::TempDir()).value();
  const BytecodeTarget target;
  const std::vector<std::string> sources = {"a.py", "b.py"};
  store::MemorySink sink;
  const std::string cache = os::join(dir.path(), "__pycache__");
  const std::string a = os::join(cache, "a.cpython-311.pyc");
  const std::string b = os::join(cache, "b.cpython-311.pyc");
  ASSERT_TRUE(os::make_folders(cache).has_value());
  const auto complaint = [&] {
    const auto tree = collect_bytecode(dir.path(), sources, target, sink);
    return tree ? fmt::format("{} entries", tree->entries().size())
                : tree.error().frames().front();
  };
  const auto header = [](char magic, char flags) {
    return std::string{magic, '\x0d', '\r', '\n', flags, 0, 0, 0} + "12345678code";
  };
  const auto put = [](const std::string& path, const std::string& bytes) {
    ASSERT_TRUE(os::write_file_atomically(path, bytes).has_value());
  };
  EXPECT_EQ(complaint(), "0 entries");
  put(a, header('\xa7', 1));
  EXPECT_EQ(complaint(), "2 entries");
  put(b, "short");
  EXPECT_EQ(complaint(), "'__pycache__/b.cpython-311.pyc' is no byte-code");
  put(b, header('\xa7', 0));
  EXPECT_EQ(complaint(), "'__pycache__/b.cpython-311.pyc' has flags 0x0, want an unchecked hash");
  put(b, header('\xa8', 1));
  EXPECT_EQ(complaint(),
            "'__pycache__/b.cpython-311.pyc' has magic number 3496, the others 3495");
  // A link that the container left must not make us read a file of the host.
  ASSERT_TRUE(os::remove_tree(b).has_value());
  ASSERT_EQ(::symlink(a.c_str(), b.c_str()), 0);
  EXPECT_THAT(complaint(), testing::StartsWith("open '__pycache__/b.cpython-311.pyc' in the root"));
  ASSERT_TRUE(os::remove_tree(b).has_value());
  ASSERT_TRUE(os::make_folders(b).has_value());
  EXPECT_EQ(complaint(), "not a regular file");
}

}  // namespace
}  // namespace kist::python
