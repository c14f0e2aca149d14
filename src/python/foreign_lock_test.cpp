#include "python/foreign_lock.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "python/pylock_complete.h"

namespace kist::python {
namespace {

const std::string kHashA(64, 'a');
const std::string kHashB(64, 'b');

using Pages = std::map<std::string, std::string>;

class FakeClient final : public http::Client {
 public:
  explicit FakeClient(Pages pages) : pages_(std::move(pages)) {}
  Result<http::Response> get(const std::string& url, const http::GetOptions&) override {
    asked.push_back(url);
    const auto page = pages_.find(url);
    if (page == pages_.end()) return Error(Code::not_found, "get '{}': 404", url);
    http::Response response;
    response.status = 200;
    response.body = page->second;
    return response;
  }
  Result<void> download_all(std::span<const http::Download>, const http::OnFile&, size_t, Progress&,
                            std::string_view) override {
    return Error(Code::unsupported, "not here");
  }
  std::vector<std::string> asked;

 private:
  Pages pages_;
};

std::string names(const Result<ForeignLock>& lock) {
  if (!lock) return lock.error().render();
  std::string out;
  for (const LockedPackage& package : lock->lock.packages)
    out += (out.empty() ? "" : " ") + package.name + "=" + package.version;
  return out;
}

std::string poetry_sample() {
  return fmt::format(R"([[package]]
name = "Six_Name"
version = "1.0"
optional = false
groups = ["main"]
files = [
    {{file = "six_name-1.0-py3-none-any.whl", hash = "sha256:{0}"}},
    {{file = "six_name-1.0.tar.gz", hash = "sha256:{1}"}},
]

[[package]]
name = "winonly"
version = "1"
optional = false
groups = ["main", "docs"]
markers = {{main = "sys_platform == 'win32'", docs = "python_version >= '3.9'"}}
files = []

[[package]]
name = "plotter"
version = "2"
optional = true
groups = ["main"]
markers = "extra == 'plot'"
files = [{{file = "plotter-2-py3-none-any.whl", hash = "sha256:{0}"}}]

[[package]]
name = "pytest"
version = "9"
optional = false
groups = ["dev"]
files = [{{file = "pytest-9-py3-none-any.whl", hash = "sha256:{0}"}}]

[[package]]
name = "gitpkg"
version = "0.2"
optional = false
groups = ["main"]
files = []
[package.source]
type = "git"
url = "https://u:p@git.example/gitpkg"
reference = "main"
resolved_reference = "e8c692f4"

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
content-hash = "x"
)",
                     kHashA, kHashB);
}

TEST(PoetryLockTest, ChoosesGroupsExtrasAndMarkers) {
  const auto read = [](const ForeignLockOptions& options) {
    return names(read_poetry_lock(poetry_sample(), "poetry.lock", options));
  };
  EXPECT_EQ(read({}), "six-name=1.0 pytest=9 gitpkg=0.2");
  EXPECT_EQ(read({.default_groups = false}), "six-name=1.0 gitpkg=0.2");
  EXPECT_EQ(read({.groups = {"docs"}, .extras = {"plot"}, .default_groups = false}),
            "six-name=1.0 winonly=1 plotter=2 gitpkg=0.2");
  EXPECT_EQ(
      read_poetry_lock("[metadata]\nlock-version = \"3.0\"", "poetry.lock", {}).error().message(),
      "poetry.lock:2:16: lock-version 3.0 of poetry.lock, this kist reads 1 and 2");
}

// Version 1.1 keeps the files apart, and groups are called categories.
TEST(PoetryLockTest, OldForm) {
  const auto lock = read_poetry_lock(
      fmt::format("[[package]]\nname = \"six\"\nversion = \"1\"\ncategory = \"main\"\noptional = "
                  "false\n[metadata]\nlock-version = \"1.1\"\n[metadata.files]\nsix = [{{file = "
                  "\"six-1-py3-none-any.whl\", hash = \"sha256:{}\"}}]\n",
                  kHashA),
      "poetry.lock", {});
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  EXPECT_EQ(lock->hashes.at("six"), (std::vector<std::string>{"sha256:" + kHashA}));
}

TEST(PoetryLockTest, TakesOnlyFilesWithAHashOfTheLock) {
  const auto lock = read_poetry_lock(poetry_sample(), "poetry.lock", {.default_groups = false});
  ASSERT_TRUE(lock.has_value());
  const std::string page = fmt::format(
      "<a href=\"six_name-1.0-py3-none-any.whl#sha256={0}\"></a>"
      "<a href=\"six_name-1.0-cp311-cp311-linux_x86_64.whl#sha256={2}\"></a>"
      "<a href=\"six_name-1.0.tar.gz#sha256={1}\"></a>",
      kHashA, kHashB, std::string(64, 'e'));
  FakeClient client(Pages{{"https://index.example/simple/six-name/", page}});
  const auto found = find_addresses(*lock, &client, "https://index.example/simple");
  ASSERT_TRUE(found.has_value()) << found.error().render();
  EXPECT_EQ(client.asked, (std::vector<std::string>{"https://index.example/simple/six-name/"}));
  const LockedPackage& six = found->packages[0];
  ASSERT_EQ(six.wheels.size(), 1u);
  EXPECT_EQ(six.wheels[0].url,
            "https://index.example/simple/six-name/six_name-1.0-py3-none-any.whl");
  EXPECT_EQ(six.sdist->name, "six_name-1.0.tar.gz");
  EXPECT_EQ(found->packages[1].vcs->url, "https://git.example/gitpkg");

  FakeClient other(Pages{{"https://index.example/simple/six-name/",
                          fmt::format("<a href=\"x.whl#sha256={}\"></a>", std::string(64, 'e'))}});
  EXPECT_EQ(find_addresses(*lock, &other, "https://index.example/simple").error().message(),
            "the index has no file of six-name 1.0 with a hash of the lock");
  EXPECT_EQ(find_addresses(*lock, nullptr, "").error().message(),
            "the lock does not say where six-name 1.0 is, and no index is known");
}

TEST(PipfileLockTest, Reads) {
  const std::string text = fmt::format(
      R"({{"_meta": {{"pipfile-spec": 6, "sources": []}},
      "default": {{"six": {{"hashes": ["sha256:{0}"], "version": "==1.0", "index": "main"}},
                  "pywin32": {{"version": "==1", "hashes": ["sha256:{0}"], "markers": "sys_platform == 'win32'"}},
                  "lib": {{"path": "./lib", "editable": true}},
                  "vc": {{"git": "https://u:p@git.example/vc", "ref": "abc"}}}},
      "develop": {{"six": {{"version": "==1.0", "hashes": []}}, "pytest": {{"version": "==9", "hashes": ["sha256:{0}"]}}}}}})",
      kHashA);
  const auto lock = read_pipfile_lock(text, "Pipfile.lock", {});
  EXPECT_EQ(names(lock), "six=1.0 lib= vc= pytest=9");
  EXPECT_EQ(names(read_pipfile_lock(text, "Pipfile.lock", {.default_groups = false})),
            "six=1.0 lib= vc=");
  EXPECT_EQ(lock->lock.packages[1].directory,
            (LockedDirectory{.path = "lib", .editable = true, .subdirectory = ""}));
  EXPECT_EQ(lock->lock.packages[2].vcs->url, "https://git.example/vc");
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"[]", "Pipfile.lock: not valid JSON: no object"},
      {"{}", "Pipfile.lock: has no '_meta'"},
      {R"({"_meta": {}, "default": {"a": {"version": "*"}}})",
       "Pipfile.lock: a has version '*', want '==…'"},
      {R"({"_meta": {}, "default": {"../a": {"version": "==1"}}})",
       "Pipfile.lock: '../a' is not a package name"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(read_pipfile_lock(c.text, "Pipfile.lock", {}).error().message(), c.message) << c.text;
}

Inputs inputs_of(const std::map<std::string, std::string>& files) {
  auto inputs = detect(MemoryFiles(files), {});
  EXPECT_TRUE(inputs.has_value()) << (inputs ? "" : inputs.error().render());
  return inputs ? *inputs : Inputs();
}

LockedPackage wheel_of(const std::string& name) {
  LockedPackage package;
  package.name = name;
  package.version = "1";
  LockedFile wheel;
  wheel.name = name + "-1-py3-none-any.whl";
  wheel.url = "https://index.example/" + wheel.name;
  wheel.hashes = {{"sha256", kHashA}};
  package.wheels = {wheel};
  return package;
}

TEST(CompleteLockTest, AddsTheProjectAndWhatWasAskedFor) {
  const Inputs inputs = inputs_of(
      {{"pyproject.toml",
        "[project]\nname='My.Proj'\nversion='1'\ndependencies=['six', 'win; sys_platform == "
        "\"win32\"']\n[build-system]\nrequires=[]\n[dependency-groups]\ndev=['pytest']\n"
        "[tool.kist.environment]\npackages=['idna>1']\nsystem=['git']\n"}});
  Lock resolved;
  resolved.packages = {wheel_of("six"), wheel_of("pytest"), wheel_of("idna"), wheel_of("other")};
  const auto lock = complete_lock(resolved, inputs, Target{});
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  ASSERT_EQ(lock->packages.size(), 5u);
  const auto project = std::find_if(lock->packages.begin(), lock->packages.end(),
                                    [](const LockedPackage& p) { return p.name == "my-proj"; });
  ASSERT_NE(project, lock->packages.end());
  EXPECT_EQ(project->directory,
            (LockedDirectory{.path = ".", .editable = true, .subdirectory = ""}));
  EXPECT_EQ(lock->kist->requested, (std::vector<std::string>{"idna", "pytest", "six"}));
  EXPECT_EQ(lock->kist->system, (std::vector<std::string>{"git"}));
  EXPECT_EQ(lock->kist->source, "pyproject.toml");
  EXPECT_EQ(lock->kist->inputs, inputs.fingerprint);
  EXPECT_EQ(why_stale(*lock, inputs, Target{}), "");
}

TEST(CompleteLockTest, SaysWhyALockIsStale) {
  const Inputs inputs = inputs_of({{"requirements.txt", "six\n"}});
  const Lock lock = complete_lock(Lock(), inputs, Target{}).value();
  Target arm;
  arm.platform = "linux/arm64";
  EXPECT_EQ(why_stale(lock, inputs_of({{"requirements.txt", "six>1\n"}}), Target{}),
            "requirements.txt or what it uses has changed");
  EXPECT_EQ(why_stale(lock, inputs_of({{"requirements.txt", "six\n"}, {"uv.lock", ""}}), Target{}),
            "it was made from requirements.txt, now uv.lock counts");
  EXPECT_EQ(why_stale(lock, inputs, arm), "it is for linux/amd64");
  EXPECT_EQ(why_stale(Lock(), inputs, Target{}), "it was not written by kist");
}

TEST(CompleteLockTest, ObeysHashes) {
  const Inputs inputs = inputs_of({{"requirements.txt", "six==1 --hash=sha256:" + kHashB + "\n"}});
  Lock resolved;
  resolved.packages = {wheel_of("six")};
  EXPECT_EQ(complete_lock(resolved, inputs, Target{}).error().message(),
            "no file of six 1 that the index has fits the hashes in the requirements");
}

}  // namespace
}  // namespace kist::python
