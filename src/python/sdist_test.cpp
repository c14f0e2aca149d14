#include "python/sdist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "archive/zip.h"
#include "archive/zip_forge.h"
#include "os/files.h"
#include "store/tree.h"

namespace kist::python {
namespace {

struct TarFile {
  std::string name;
  std::string content = {};
  char type = '0';  // '0' file, '1' hard link, '2' symlink, '3' device, '5' folder.
  std::string target = {};
  uint32_t mode = 0644;
};

// POSIX ustar.
std::string forge_tar(const std::vector<TarFile>& files) {
  std::string out;
  for (const TarFile& file : files) {
    std::string header(512, '\0');
    const auto put = [&](size_t at, const std::string& text) {
      std::memcpy(header.data() + at, text.data(), text.size());
    };
    put(0, file.name);
    put(100, fmt::format("{:07o}", file.mode));
    put(108, "0001750");
    put(116, "0001750");
    put(124, fmt::format("{:011o}", file.content.size()));
    put(136, fmt::format("{:011o}", 1'600'000'000));
    put(148, "        ");
    header[156] = file.type;
    put(157, file.target);
    put(257, std::string("ustar\0", 6));
    put(263, "00");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum));
    header[154] = '\0';
    out += header + file.content;
    out.resize((out.size() + 511) / 512 * 512);
  }
  return out + std::string(1024, '\0');
}

class SdistTest : public testing::Test {
 protected:
  void SetUp() override { dir_ = os::TempDir::make(testing::TempDir()).value(); }

  std::string path(const std::string& name) const { return os::join(dir_.path(), name); }
  std::string folder(const std::string& name) const {
    EXPECT_TRUE(os::make_folders(path(name)).has_value());
    return path(name);
  }
  void write(const std::string& name, std::string_view text) const {
    folder(os::parent_of(name));
    ASSERT_TRUE(os::write_file_atomically(path(name), text).has_value());
  }
  Result<std::string> unpack(const std::string& bytes, const std::string& file_name) {
    write("archive", bytes);
    return unpack_sdist(path("archive"), file_name, folder(fmt::format("unpacked{}", ++count_)));
  }
  std::string complaint(const std::vector<TarFile>& files) {
    const auto got = unpack(forge_tar(files), "x-1.tar");
    return got ? "" : got.error().frames().front();
  }

  os::TempDir dir_;
  int count_ = 0;
};

TEST_F(SdistTest, UnpacksATar) {
  const auto project = unpack(
      forge_tar({{.name = "x-1/", .type = '5', .mode = 0700},
                 {.name = "x-1/setup.py", .content = "one"},
                 {.name = "x-1/setup.py", .content = "two"},
                 {.name = "x-1/deep/er/run.sh", .content = "#!", .mode = 0100},
                 {.name = "x-1/link", .type = '2', .target = "deep/../setup.py"},
                 {.name = "x-1/copy", .type = '1', .target = "x-1/setup.py"}}),
      "x-1.TAR");
  ASSERT_TRUE(project.has_value()) << project.error().render();
  EXPECT_EQ(*project, path("unpacked1/x-1"));
  EXPECT_EQ(os::read_file(*project + "/setup.py").value(), "two");
  EXPECT_EQ(os::read_file(*project + "/copy").value(), "two");
  EXPECT_EQ(os::read_link(*project + "/link").value(), "deep/../setup.py");
  struct stat st = {};
  ASSERT_EQ(::stat((*project + "/deep/er/run.sh").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0755u);
  EXPECT_EQ(st.st_mtime, store::kTreeTime);
  ASSERT_EQ(::stat((*project + "/copy").c_str(), &st), 0);
  EXPECT_EQ(st.st_nlink, 1u);
}

TEST_F(SdistTest, UnpacksAZipWithoutAFolder) {
  const auto project = unpack(archive::forge_zip({{.name = "setup.py", .content = "s"},
                                                  {.name = "src/", .content = ""},
                                                  {.name = "src/x.py", .content = "x"}}),
                              "x-1.zip");
  ASSERT_TRUE(project.has_value()) << project.error().render();
  EXPECT_EQ(*project, path("unpacked1"));
  EXPECT_EQ(os::read_file(*project + "/src/x.py").value(), "x");
}

TEST_F(SdistTest, RefusesHostileTars) {
  const struct {
    const char* why;
    std::vector<TarFile> files;
    testing::Matcher<std::string> message;
  } cases[] = {
      {"escape", {{.name = "../x", .content = "1"}}, testing::HasSubstr("..")},
      {"absolute", {{.name = "/x", .content = "1"}}, testing::HasSubstr("/x")},
      {"device", {{.name = "null", .type = '3'}},
       testing::Eq("'null' is a device or the like, which sources have not")},
      {"absolute link", {{.name = "l", .type = '2', .target = "/etc"}},
       testing::Eq("'l' is a link to '/etc', outside the archive")},
      {"link outside", {{.name = "a/l", .type = '2', .target = "b/../../../x"}},
       testing::Eq("'a/l' is a link to 'b/../../../x', outside the archive")},
      {"hard link outside", {{.name = "l", .type = '1', .target = "../../etc/passwd"}},
       testing::HasSubstr("..")},
      {"hard link to a link",
       {{.name = "l", .type = '2', .target = "x"}, {.name = "h", .type = '1', .target = "l"}},
       testing::StartsWith("open 'l' in the root")},
      {"file for a folder",
       {{.name = "a", .content = "1"}, {.name = "a/b", .content = "1"}},
       testing::Eq("'a' is a folder and something else")},
      {"folder for a file",
       {{.name = "a/b", .content = "1"}, {.name = "a", .content = "1"}},
       testing::Eq("'a' is a folder and something else")},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_THAT(complaint(c.files), c.message);
  }
}

// A link chain that is innocent link by link, and the write through it: it must stay inside.
TEST_F(SdistTest, WritesThroughLinksStayInside) {
  const auto got = unpack(forge_tar({{.name = "p/a/", .type = '5'},
                                     {.name = "p/a/up", .type = '2', .target = "../.."},
                                     {.name = "p/out", .type = '2', .target = "a/up"},
                                     {.name = "p/out/evil", .content = "1"}}),
                          "x-1.tar");
  EXPECT_FALSE(os::exists(path("evil")));
  // "a/up" is the unpacked folder itself, as far up as links get.
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_TRUE(os::exists(path("unpacked1/evil")));
}

TEST_F(SdistTest, RefusesOtherArchives) {
  const auto got = unpack("", "x-1.rar");
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().frames().front(),
            "'x-1.rar' is no archive of a known kind, want .tar.gz or .zip");
  EXPECT_NE(complaint({{.name = "a", .content = "1"}}).substr(0, 1), "x");
  const auto cut = unpack(forge_tar({{.name = "a", .content = "1234"}}).substr(0, 514), "x-1.tar");
  EXPECT_FALSE(cut.has_value());
}

TEST_F(SdistTest, BuildSystems) {
  const BuildSystem legacy{.requirements = {"setuptools>=40.8.0"},
                           .backend = "setuptools.build_meta:__legacy__",
                           .backend_paths = {}};
  EXPECT_EQ(read_build_system(folder("none")).value(), legacy);
  write("p/pyproject.toml", "[project]\nname = 'x'\n");
  EXPECT_EQ(read_build_system(path("p")).value(), legacy);
  write("p/pyproject.toml", "[build-system]\nrequires = ['a', 'b>1']\n");
  EXPECT_EQ(read_build_system(path("p"))->requirements,
            (std::vector<std::string>{"a", "b>1"}));
  EXPECT_EQ(read_build_system(path("p"))->backend, legacy.backend);
  write("p/pyproject.toml",
        "[build-system]\nrequires = []\nbuild-backend = 'own.api:main'\nbackend-path = ['tools']\n");
  EXPECT_EQ(read_build_system(path("p")).value(),
            (BuildSystem{.requirements = {}, .backend = "own.api:main", .backend_paths = {"tools"}}));
}

TEST_F(SdistTest, BadBuildSystemsAreExplained) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"[build-system]\n", "lacks 'requires' (PEP 518)"},
      {"[build-system]\nrequires = []\nbuild-backend = \"x; import os\"\n",
       "'x; import os' is no name of a module or of an object in one"},
      {"[build-system]\nrequires = []\nbackend-path = ['../up']\n",
       "'../up' is not inside the project"},
      {"[build-system]\nrequires = []\nbackend-path = ['/abs']\n",
       "'/abs' is not inside the project"},
      {"[build-system\n", "pyproject.toml:1:"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    write("p/pyproject.toml", c.text);
    const auto got = read_build_system(path("p"));
    ASSERT_FALSE(got.has_value());
    EXPECT_THAT(got.error().frames().front(), testing::HasSubstr(c.message));
  }
  // A link would have us read a file of the host and show it in the message.
  ASSERT_TRUE(os::remove_tree(path("p/pyproject.toml")).has_value());
  ASSERT_EQ(::symlink("/etc/passwd", path("p/pyproject.toml").c_str()), 0);
  EXPECT_FALSE(read_build_system(path("p")).has_value());
}

TEST_F(SdistTest, NormalizedWheelsDependOnTheirFilesAlone) {
  const std::string a = archive::forge_zip(
      {{.name = "b.py", .content = "b", .unix_mode = 0100640},
       {.name = "a/", .content = ""},
       {.name = "a/run", .content = std::string(5000, 'r'), .unix_mode = 0100711}});
  const std::string b = archive::forge_zip(
      {{.name = "a/run", .content = std::string(5000, 'r'), .unix_mode = 0755, .deflate = false},
       {.name = "b.py", .content = "b", .unix_mode = 0, .descriptor = true}},
      {.comment = "made elsewhere"});
  write("a.whl", a);
  write("b.whl", b);
  ASSERT_TRUE(normalize_wheel(path("a.whl"), path("a2.whl")).has_value());
  ASSERT_TRUE(normalize_wheel(path("b.whl"), path("b2.whl")).has_value());
  EXPECT_EQ(os::read_file(path("a2.whl")).value(), os::read_file(path("b2.whl")).value());
  write("c.whl", archive::forge_zip({{.name = "a", .content = ""}, {.name = "a", .content = ""}}));
  const auto twice = normalize_wheel(path("c.whl"), path("c2.whl"));
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().message(), "two entries have the name 'a'");
}

// A backend in the project itself, so that nothing needs to be installed. It writes the time and
// the seed into the order and dates of the zip, as careless backends do.
constexpr const char* kBackend = R"py(
import os, sys, zipfile
def get_requires_for_build_wheel(config_settings=None):
    return ['more>=1']
def build_wheel(folder, config_settings=None, metadata_directory=None):
    assert os.environ['SOURCE_DATE_EPOCH'] == '315532800' and '' not in sys.path
    print('building')
    if os.path.exists('fail'): raise RuntimeError('no compiler')
    name = 'demo-1.0-py3-none-any.whl'
    files = {'demo.py': 'x = 1', 'demo-1.0.dist-info/WHEEL': 'Wheel-Version: 1.0\n',
             'demo-1.0.dist-info/METADATA': 'Name: demo\nVersion: 1.0\n',
             'demo-1.0.dist-info/RECORD': ''}
    names = list(files)
    if os.path.exists('backwards'): names.reverse()
    with zipfile.ZipFile(os.path.join(folder, name), 'w') as zip:
        for file in names: zip.writestr(file, files[file])
    return name
)py";

class BuildTest : public SdistTest {
 protected:
  void SetUp() override {
    SdistTest::SetUp();
    write("p/pyproject.toml",
          "[build-system]\nrequires = ['one']\nbuild-backend = 'own'\nbackend-path = ['tools']\n");
    write("p/tools/own.py", kBackend);
    request_ = {.project_folder = path("p"),
                .scratch_folder = folder("scratch"),
                .wheel_folder = folder("wheels"),
                .name = "demo",
                .version = "1.0",
                // The system's own: what PATH has may be a slow wrapper.
                .python = os::exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3"};
    // Stands in for the container: runs here, with the paths of here.
    runner_ = [this](const BuildStep& step) -> Result<os::Output> {
      steps_.push_back(step);
      std::vector<std::string> args = step.args;
      std::replace(args.begin(), args.end(), request_.inside_project, step.project_folder);
      std::replace(args.begin(), args.end(), request_.inside_output, step.output_folder);
      std::vector<std::string> env = step.env;
      for (const std::string& variable : os::current_env())
        if (variable.starts_with("PATH=")) env.push_back(variable);
      return os::run({.args = std::move(args), .env = std::move(env)});
    };
    const auto python = os::run({.args = {request_.python, "--version"}, .env = os::current_env()});
    if (!python || python->status != 0) GTEST_SKIP() << "no python3 on this machine";
  }

  BuildRequest request_;
  BuildRunner runner_;
  std::vector<BuildStep> steps_;
};

TEST_F(BuildTest, BuildsTheSameWheelTwice) {
  const auto first = build_wheel(request_, runner_);
  ASSERT_TRUE(first.has_value()) << first.error().render();
  EXPECT_EQ(*first, path("wheels/demo-1.0-py3-none-any.whl"));
  ASSERT_EQ(steps_.size(), 2u);
  EXPECT_THAT(steps_[0].requirements, testing::ElementsAre("one"));
  EXPECT_THAT(steps_[1].requirements, testing::ElementsAre("one", "more>=1"));
  const std::string bytes = os::read_file(*first).value();
  write("p/backwards", "");
  request_.scratch_folder = folder("scratch2");
  const auto second = build_wheel(request_, runner_);
  ASSERT_TRUE(second.has_value()) << second.error().render();
  EXPECT_EQ(os::read_file(*second).value(), bytes);
}

TEST_F(BuildTest, ShowsWhyTheBackendFailed) {
  write("p/fail", "");
  const auto got = build_wheel(request_, runner_);
  ASSERT_FALSE(got.has_value());
  EXPECT_THAT(got.error().message(),
              testing::StartsWith("build_wheel of 'own' failed with status 1:\n    Traceback"));
  EXPECT_THAT(got.error().message(), testing::EndsWith("RuntimeError: no compiler"));
}

TEST_F(BuildTest, RefusesAnotherPackage) {
  request_.version = "2.0";
  const auto got = build_wheel(request_, runner_);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().frames().front(), "METADATA has version '1.0', the lock '2.0'");
}

TEST_F(BuildTest, RefusesABackendFromElsewhere) {
  write("p/pyproject.toml",
        "[build-system]\nrequires = []\nbuild-backend = 'json'\nbackend-path = ['tools']\n");
  const auto got = build_wheel(request_, runner_);
  ASSERT_FALSE(got.has_value());
  EXPECT_THAT(got.error().message(), testing::HasSubstr("backend 'json' is not in backend-path"));
}

// What a hostile build leaves behind is looked at, not followed.
TEST_F(BuildTest, RefusesHostileOutputs) {
  const struct {
    const char* result;
    const char* message;
  } cases[] = {
      {"../x.whl", "the backend named '../x.whl', which is no file name"},
      {"none-1-py3-none-any.whl", "open 'none-1-py3-none-any.whl' in the root"},
      {"link-1-py3-none-any.whl", "open 'link-1-py3-none-any.whl' in the root"},
      {"fifo-1-py3-none-any.whl", "is not a regular file"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.result);
    request_.scratch_folder = folder(fmt::format("scratch-{}", ++count_));
    const auto got = build_wheel(request_, [&](const BuildStep& step) -> Result<os::Output> {
      const std::string text = steps_.size() % 2 == 0 ? std::string() : c.result + std::string(1, 0);
      steps_.push_back(step);
      EXPECT_TRUE(os::write_file_atomically(step.output_folder + "/result", text).has_value());
      EXPECT_EQ(::symlink("/etc/passwd", (step.output_folder + "/link-1-py3-none-any.whl").c_str()),
                0);
      EXPECT_EQ(::mkfifo((step.output_folder + "/fifo-1-py3-none-any.whl").c_str(), 0600), 0);
      return os::Output{};
    });
    ASSERT_FALSE(got.has_value());
    EXPECT_THAT(got.error().frames().front(), testing::HasSubstr(c.message));
  }
}

TEST(SdistKeyTest, Differs) {
  const oci::Digest sdist = oci::Sha256::of("s");
  const std::string key = sdist_key(sdist, "cpython 3.11 amd64", BuildKind::wheel);
  EXPECT_NE(sdist_key(oci::Sha256::of("t"), "cpython 3.11 amd64", BuildKind::wheel), key);
  EXPECT_NE(sdist_key(sdist, "cpython 3.12 amd64", BuildKind::wheel), key);
  EXPECT_NE(sdist_key(sdist, "cpython 3.11 amd64", BuildKind::editable), key);
}

}  // namespace
}  // namespace kist::python
