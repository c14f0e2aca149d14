#include "python/project_file.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

TEST(ProjectFileTest, ReadsAllKeys) {
  const auto file = parse_project_file(R"(
[environment]
python = "3.11"
inputs = ["requirements.txt"]
packages = ["polars>=1"]
system = ["ffmpeg", "libgl1"]
base = "debian:bookworm"
platforms = ["linux/amd64", "linux/arm64"]

[environment.gpu]
packages = ["torch", "polars>=1"]
system = ["ffmpeg", "git"]
gpu-variant = "cu126"
platforms = ["linux/amd64"]
inputs = []
extras = ["Cuda_Extra"]
groups = ["dev"]
default-groups = false

[environment.new]
python = "3.12.4"
interpreter = { url = "https://python.example/cpython-3.12.tar.gz", sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", size = 12 }

[run]
env = { OMP_NUM_THREADS = "4", "A.b" = "" }
mounts = ["~/data:/data:ro", "./x:/x"]
ports = [8888, "8080:80"]
memory = "8g"
network = "host"

[tasks]
train = "python train.py --epochs 3"
test = ["pytest", "-q"]

[image]
entrypoint = ["python", "serve.py"]
include = ["src/", "serve.py"]
user = 10001
)");
  ASSERT_TRUE(file.has_value()) << file.error().render();
  const EnvironmentSettings base = file->environment("default").value();
  EXPECT_EQ(base.python, "3.11");
  EXPECT_EQ(base.inputs, (std::vector<std::string>{"requirements.txt"}));
  EXPECT_EQ(base.platforms.size(), 2u);
  EXPECT_FALSE(base.default_groups.has_value());
  const EnvironmentSettings gpu = file->environment("gpu").value();
  EXPECT_EQ(gpu.name, "gpu");
  EXPECT_EQ(gpu.python, "3.11");
  EXPECT_EQ(gpu.base, "debian:bookworm");
  EXPECT_EQ(gpu.packages, (std::vector<std::string>{"polars>=1", "torch"}));
  EXPECT_EQ(gpu.system, (std::vector<std::string>{"ffmpeg", "libgl1", "git"}));
  EXPECT_EQ(gpu.inputs, std::vector<std::string>{});
  EXPECT_EQ(gpu.platforms, (std::vector<std::string>{"linux/amd64"}));
  EXPECT_EQ(gpu.extras, (std::vector<std::string>{"cuda-extra"}));
  EXPECT_EQ(gpu.default_groups, false);
  EXPECT_EQ(gpu.gpu, "cu126");
  const auto with_interpreter = file->environment("new");
  ASSERT_TRUE(with_interpreter.has_value());
  EXPECT_EQ(with_interpreter->interpreter_for("linux/arm64")->size_bytes, 12u);
  EXPECT_EQ(gpu.interpreter_for("linux/arm64"), nullptr);
  EXPECT_EQ(file->run.env, (std::vector<std::pair<std::string, std::string>>{
                               {"OMP_NUM_THREADS", "4"}, {"A.b", ""}}));
  EXPECT_EQ(file->run.mounts,
            (std::vector<MountSetting>{{.source = "~/data", .target = "/data", .read_only = true},
                                       {.source = "./x", .target = "/x", .read_only = false}}));
  EXPECT_EQ(file->run.ports, (std::vector<PortSetting>{{.host = 8888, .container = 8888},
                                                       {.host = 8080, .container = 80}}));
  EXPECT_EQ(file->run.memory_bytes, 8ull << 30);
  EXPECT_EQ(file->task("train")->shell, "python train.py --epochs 3");
  EXPECT_EQ(file->task("test")->arguments, (std::vector<std::string>{"pytest", "-q"}));
  EXPECT_EQ(file->image.user, "10001");
  const auto missing = file->environment("gpo");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().message(), "there is no environment 'gpo', only: default, gpu, new");
  EXPECT_EQ(missing.error().hint_text(), "`--env gpu`");
}

TEST(ProjectFileTest, InterpreterOfEachPlatform) {
  const std::string sha256(64, 'a');
  const auto file = parse_project_file(
      "[environment.interpreter]\n'linux/amd64' = { url = 'https://e/a.tar.gz', sha256 = '" + sha256 +
      "' }\n'linux/arm64' = { url = 'parts/b.tar.zst', sha256 = '" + sha256 +
      "' }\n[environment.own]\ninterpreter = { url = 'file:///c.tar', sha256 = '" + sha256 + "' }\n");
  ASSERT_TRUE(file.has_value()) << file.error().render();
  const auto both = file->environment("default").value();
  EXPECT_EQ(both.interpreter_for("linux/amd64")->url, "https://e/a.tar.gz");
  EXPECT_EQ(both.interpreter_for("linux/arm64")->url, "");
  EXPECT_EQ(both.interpreter_for("linux/arm64")->path, "parts/b.tar.zst");
  // A further environment's own replaces all of it.
  const auto own = file->environment("own").value();
  EXPECT_EQ(own.interpreter_for("linux/amd64")->url, "file:///c.tar");
  EXPECT_EQ(own.interpreter_for("linux/arm64")->url, "file:///c.tar");
}

TEST(ProjectFileTest, EmptyIsFine) { EXPECT_EQ(parse_project_file("")->environments.size(), 1u); }

TEST(ProjectFileTest, RefusesWithPreciseMessage) {
  const struct {
    const char* text;
    const char* message;
    const char* cause;
    const char* hint;
  } cases[] = {
      {"[enviroment]\npython = '3.11'", "kist.toml:1:1: unknown key 'enviroment'", "",
       "write `environment`"},
      {"[environment]\npyton = '3.11'", "kist.toml:2:9: unknown key 'environment.pyton'", "",
       "write `python`"},
      {"[environment.gpu]\nsistem = []", "kist.toml:2:10: unknown key 'environment.gpu.sistem'", "",
       "write `system`"},
      {"[environment]\npython = 3.11",
       "kist.toml:2:10: 'environment.python' is a float, want a string", "", ""},
      {"[environment]\npython = '2.7'", "kist.toml:2:10: 'environment.python'",
       "Python 2.7 is not supported, only 3.8 and later", ""},
      {"[environment]\npackages = ['a b']", "kist.toml:2:12: 'environment.packages'",
       "'a b' has 'b' at offset 2, want a version comparison such as '==', or ';' and a marker",
       ""},
      {"[environment]\nsystem = ['ff mpeg']", "kist.toml:2:10: 'environment.system'",
       "'ff mpeg' is not the name of a Debian package", ""},
      {"[environment]\nbase = ''",
       "kist.toml:2:8: 'environment.base' is '', want \"debian:SUITE\" or an image reference", "",
       ""},
      {"[environment]\nplatforms = ['linux/386']", "kist.toml:2:13: 'environment.platforms'",
       "platform 'linux/386' is not supported, only linux/amd64 and linux/arm64", ""},
      {"[environment.'a.b']",
       "kist.toml:1:1: 'a.b' is not a name for a further environment, want "
       "lower-case letters, digits, '-', '_', and not 'default'",
       "", ""},
      {"[environment]\nbase = 'registry.example/Team/x'",
       "kist.toml:2:8: 'environment.base'", "image name 'registry.example/Team/x' has upper-case letters",
       "write it as `[REGISTRY/]NAME[:TAG]`, the name in lower case"},
      {"[environment]\nbase = 'x@sha256:12'", "kist.toml:2:8: 'environment.base'",
       "digest '12' has 2 hex digits, want 64", ""},
      {"[environment]\nbase = 'x:1'\ninterpreter = 'bin/python'",
       "kist.toml:3:15: 'environment.interpreter' is 'bin/python', want { url = …, sha256 = … }, or the path of a "
       "Python in the image that `base` names, as \"/opt/conda/bin/python\"", "", ""},
      {"[environment]\nbase = 'debian:trixie'\ninterpreter = '/usr/bin/python3'",
       "kist.toml:3:15: 'environment.interpreter' is '/usr/bin/python3', a path in an image, and `base` names no "
       "image", "", ""},
      {"[environment.x]\ninterpreter = {url='https://u:p@e/x', sha256=''}",
       "kist.toml:2:20: 'environment.x.interpreter.url' holds credentials; keep them in netrc", "",
       ""},
      {"[environment]\ninterpreter = {url='ftp://e/x', sha256=''}",
       "kist.toml:2:20: 'environment.interpreter.url' is 'ftp://e/x', want an address of https, http or "
       "file, or a path", "", ""},
      {"[environment.interpreter]\n'linux/amd64' = {url='x', sha256='00'}",
       "kist.toml:2:34: 'environment.interpreter.linux/amd64.sha256'",
       "digest '00' has 2 hex digits, want 64", ""},
      {"[environment.interpreter]\n'linux/riscv64' = {url='x', sha256=''}",
       "kist.toml:2:19: unknown key 'environment.interpreter.linux/riscv64'", "", ""},
      {"[run]\nmemory = '8 apples'", "kist.toml:2:10: 'run.memory'",
       "'8 apples' is not an amount of memory, want a number and k, m, g or t", "write it as `8g`"},
      {"[run]\nmounts = ['a:b']", "kist.toml:2:10: 'run.mounts'",
       "'a:b': the target is not absolute", "write it as `SOURCE:/TARGET`, or `SOURCE:/TARGET:ro`"},
      {"[run]\nports = [0]", "kist.toml:2:9: 'run.ports'",
       "'0' is not a port, want 1 to 65535, or HOST:CONTAINER", ""},
      {"[run]\nenv = {A = 4}", "kist.toml:2:12: 'run.env.A' is an integer, want a string", "", ""},
      {"[tasks]\na = ' '", "kist.toml:2:5: 'tasks.a' is empty, want a command", "", ""},
      {"[image]\nuser = 'root'",
       "kist.toml:2:8: 'image.user' is not an id, want \"UID\" or \"UID:GID\" in numbers", "", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = parse_project_file(c.text);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
    EXPECT_EQ(got.error().hint_text(), c.hint);
    if (*c.cause != '\0') {
      EXPECT_EQ(got.error().frames().front(), c.cause);
    }
  }
}

TEST(ProjectFileTest, Memory) {
  const struct {
    const char* text;
    uint64_t bytes;
  } cases[] = {{"0", 0},           {"1000", 1000},       {"1b", 1},
               {"2k", 2048},       {"1.5g", 3ull << 29}, {"512M", 512 << 20},
               {"1GiB", 1u << 30}, {"1 TB", 1ull << 40}};
  for (const auto& c : cases) EXPECT_EQ(parse_memory(c.text).value(), c.bytes) << c.text;
  for (const char* text : {"", "g", "-1", "1.2.3g", "1x", "99999999999999t", "1e3"})
    EXPECT_FALSE(parse_memory(text).has_value()) << text;
}

TEST(ProjectFileTest, AnImageAsTheBase) {
  const auto file = parse_project_file(
      "[environment]\nbase = 'registry.example:5000/team/python:3.12'\ninterpreter = '/opt/conda/bin/python'\n"
      "[environment.own]\ninterpreter = { url = 'a.tar.gz', sha256 = '" + std::string(64, 'a') + "' }\n");
  ASSERT_TRUE(file.has_value()) << file.error().render();
  const auto first = file->environment("default");
  EXPECT_EQ(first->base, "registry.example:5000/team/python:3.12");
  EXPECT_EQ(first->image_python, "/opt/conda/bin/python");
  const auto own = file->environment("own");
  EXPECT_EQ(own->image_python, "");
  EXPECT_NE(own->interpreter_for("linux/amd64"), nullptr);
}

TEST(ProjectFileTest, WhichBasesAreImages) {
  for (const char* image :
       {"python", "localhost/x:1", "registry.example/debian:trixie", "debian", "debian:12@sha256:0"})
    EXPECT_TRUE(is_image_base(image)) << image;
  for (const char* other : {"", "debian:trixie", "debian:12"}) EXPECT_FALSE(is_image_base(other)) << other;
}

}  // namespace
}  // namespace kist::python
