#include "python/uv_lock.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

const std::string kHash(64, 'a');

std::string registry_package(const std::string& name, const std::string& version,
                             const std::string& more = "") {
  return fmt::format(
      "\n[[package]]\nname = \"{0}\"\nversion = \"{1}\"\nsource = {{ registry = "
      "\"https://u:p@index.example/simple\" }}\n{3}wheels = [\n    {{ url = "
      "\"https://index.example/f/{0}-{1}-py3-none-any.whl\", hash = \"sha256:{2}\", size = 7, "
      "upload-time = \"2026-10-07T12:23:37.892Z\" }},\n]\n",
      name, version, kHash, more);
}

// The forms that uv 0.13.9 writes (revision 5), in small: forks, extras that exclude each other,
// groups, and each kind of source.
std::string sample() {
  return fmt::format(R"(version = 1
revision = 5
requires-python = ">=3.10"
conflicts = [[
    {{ package = "big", extra = "cpu" }},
    {{ package = "big", extra = "gpu" }},
]]

[[package]]
name = "big"
version = "0.1"
source = {{ editable = "." }}
dependencies = [
    {{ name = "colorama" }},
    {{ name = "gitpkg" }},
    {{ name = "http", extra = ["fast"] }},
    {{ name = "my-pkg" }},
    {{ name = "six" }},
    {{ name = "pandas", version = "2.3.3", source = {{ registry = "https://u:p@index.example/simple" }}, marker = "python_full_version < '3.11'" }},
    {{ name = "pandas", version = "3.1.1", source = {{ registry = "https://u:p@index.example/simple" }}, marker = "python_full_version >= '3.11'" }},
    {{ name = "winonly", marker = "sys_platform == 'win32'" }},
]

[package.optional-dependencies]
cpu = [
    {{ name = "idna", version = "2.10", source = {{ registry = "https://u:p@index.example/simple" }} }},
]
gpu = [
    {{ name = "idna", version = "3.20", source = {{ registry = "https://u:p@index.example/simple" }} }},
]

[package.dev-dependencies]
dev = [
    {{ name = "pytest" }},
]

[package.metadata]
provides-extras = ["cpu", "gpu", "empty"]

[package.metadata.requires-dev]
dev = [{{ name = "pytest" }}]
none = []

[[package]]
name = "colorama"
version = "0.4.6"
source = {{ path = "../wheels/colorama-0.4.6-py2.py3-none-any.whl" }}
wheels = [
    {{ filename = "colorama-0.4.6-py2.py3-none-any.whl", hash = "sha256:{0}" }},
]

[[package]]
name = "gitpkg"
version = "0.2"
source = {{ git = "https://u:p@git.example/gitpkg?subdirectory=a%2Fb&branch=master#e8c692f4a7ad14504f02c86a9869661fc5d15aae" }}

[[package]]
name = "my-pkg"
version = "0.1"
source = {{ directory = "../proj" }}

[[package]]
name = "six"
version = "1.16.0"
source = {{ url = "https://index.example/f/six-1.16.0-py2.py3-none-any.whl" }}
wheels = [
    {{ url = "https://index.example/f/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:{0}" }},
]
)",
                     kHash) +
         registry_package(
             "http", "1",
             "dependencies = [\n    { name = \"idna\", version = \"2.10\", source = { "
             "registry = \"https://u:p@index.example/simple\" }, marker = \"extra == "
             "'extra-3-big-cpu'\" },\n    { name = \"idna\", version = \"3.20\", source "
             "= { registry = \"https://u:p@index.example/simple\" }, marker = \"extra "
             "!= 'extra-3-big-cpu'\" },\n    { name = \"http\", extra = [\"fast\"] "
             "},\n]\n") +
         "\n[package.optional-dependencies]\nfast = [\n    { name = \"speed\" },\n]\n" +
         registry_package("idna", "2.10") + registry_package("idna", "3.20") +
         registry_package("pandas", "2.3.3") + registry_package("pandas", "3.1.1") +
         registry_package("pytest", "9") + registry_package("speed", "1") +
         registry_package("winonly", "1");
}

std::string names(const std::string& text, const char* python, const UvLockRoot& root = {}) {
  const auto lock =
      read_uv_lock(text, "uv.lock", make_target("linux/amd64", python, 36).value(), root);
  if (!lock) return lock.error().render();
  std::string out;
  for (const LockedPackage& package : lock->packages) {
    out += fmt::format("{}{}{}{}", out.empty() ? "" : " ", package.name,
                       package.version.empty() ? "" : "=", package.version);
  }
  return out;
}

TEST(UvLockTest, WalksFromTheProject) {
  EXPECT_EQ(
      names(sample(), "3.11"),
      "big colorama=0.4.6 gitpkg=0.2 my-pkg six=1.16.0 http=1 idna=3.20 pandas=3.1.1 speed=1");
  EXPECT_EQ(names(sample(), "3.10", {.extras = {"cpu"}, .groups = {"dev", "none"}}),
            "big colorama=0.4.6 gitpkg=0.2 my-pkg six=1.16.0 http=1 idna=2.10 pandas=2.3.3 "
            "pytest=9 speed=1");
  EXPECT_EQ(names(sample(), "3.11", {.project = "http", .extras = {}}), "http=1 idna=3.20 speed=1");
}

TEST(UvLockTest, Sources) {
  const auto lock = read_uv_lock(sample(), "uv.lock", Target{}, {});
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  const auto& packages = lock->packages;
  EXPECT_EQ(packages[0].directory,
            (LockedDirectory{.path = ".", .editable = true, .subdirectory = ""}));
  EXPECT_EQ(packages[1].archive->path, "../wheels/colorama-0.4.6-py2.py3-none-any.whl");
  EXPECT_EQ(packages[2].vcs->url, "https://git.example/gitpkg");
  EXPECT_EQ(packages[2].vcs->subdirectory, "a/b");
  EXPECT_EQ(packages[2].vcs->requested_revision, "master");
  EXPECT_EQ(packages[2].vcs->commit_id, "e8c692f4a7ad14504f02c86a9869661fc5d15aae");
  EXPECT_EQ(packages[3].directory,
            (LockedDirectory{.path = "../proj", .editable = false, .subdirectory = ""}));
  EXPECT_EQ(packages[4].archive->name, "six-1.16.0-py2.py3-none-any.whl");
  EXPECT_EQ(packages[5].wheels[0].url, "https://index.example/f/http-1-py3-none-any.whl");
  EXPECT_EQ(packages[5].wheels[0].size_bytes, 7u);
  EXPECT_EQ(packages[5].index, "https://index.example/simple");
  EXPECT_TRUE(select(*lock, Target{}).has_value());
}

// A script's lock has no project; its requirements stand in the manifest.
TEST(UvLockTest, LockOfAScript) {
  EXPECT_EQ(names("version = 1\n[manifest]\nrequirements = [{ name = \"pytest\", specifier = "
                  "\">=9\" }]\n" +
                      registry_package("pytest", "9") + registry_package("speed", "1"),
                  "3.11"),
            "pytest=9");
}

TEST(UvLockTest, RefusesWithPreciseMessage) {
  const std::string root =
      "version = 1\n[[package]]\nname = \"p\"\nversion = \"1\"\nsource = { virtual = \".\" }\n";
  const std::string needs_a = root + "dependencies = [{ name = \"a\" }]\n";
  const struct {
    const char* why;
    std::string text;
    UvLockRoot options;
    Code code;
    std::string message;
  } cases[] = {
      {"version",
       "version = 2",
       {},
       Code::unsupported,
       "uv.lock:1:11: uv.lock has version 2, this kist reads version 1"},
      {"no version", "", {}, Code::invalid, "uv.lock:1:1: 'version' is missing"},
      {"no project", "version = 1", {}, Code::invalid, "uv.lock: has no project at '.'"},
      {"other project", root, {.project = "q"}, Code::invalid, "uv.lock: has no project q"},
      {"missing dependency",
       needs_a,
       {},
       Code::invalid,
       "uv.lock: has 0 packages for the dependency a , want one"},
      {"ambiguous dependency",
       needs_a + registry_package("a", "1") + registry_package("a", "2"),
       {},
       Code::invalid,
       "uv.lock: has 2 packages for the dependency a , want one"},
      {"extra",
       root,
       {.extras = {"x"}},
       Code::invalid,
       "uv.lock: the project has no extra 'x', only: none"},
      {"no hash",
       needs_a + "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"../w\" "
                 "}\nwheels = [{ path = \"a-1-py3-none-any.whl\" }]\n",
       {},
       Code::corrupt,
       "uv.lock:11:11: 'package[1].wheels[0].hash' is '', want \"sha256:<64 hex digits>\""},
      {"unknown source",
       needs_a + "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { moon = \"x\" }\n",
       {},
       Code::invalid,
       "uv.lock:10:10: 'package[1].source' is of no kind that we know"},
      {"git outside",
       needs_a + "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { git = "
                 "\"https://e/a?subdirectory=..%2Fx#c\" }\n",
       {},
       Code::invalid,
       "uv.lock:10:18: 'package[1].source.git' leads out of the repository"},
      {"not for us",
       "version = 1\nsupported-markers = [\"sys_platform == 'darwin'\"]\n",
       {},
       Code::unsupported,
       "uv.lock:2:21: uv.lock is not for Python 3.11 on linux/amd64 (glibc 2.36)"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = read_uv_lock(c.text, "uv.lock", Target{}, c.options);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), c.code);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

// Goal: a graph in which all depend on all is walked once, not exponentially often.
TEST(UvLockTest, DenseGraphs) {
  std::string text =
      "version = 1\n[[package]]\nname = \"p\"\nversion = \"1\"\nsource = { virtual = "
      "\".\" }\ndependencies = [{ name = \"a0\" }]\n";
  std::string all = "dependencies = [";
  for (int i = 0; i < 200; ++i) all += fmt::format("{{ name = \"a{}\" }}, ", i);
  for (int i = 0; i < 200; ++i) text += registry_package(fmt::format("a{}", i), "1", all + "]\n");
  const auto lock = read_uv_lock(text, "uv.lock", Target{}, {});
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  EXPECT_EQ(lock->packages.size(), 200u);
}

}  // namespace
}  // namespace kist::python
