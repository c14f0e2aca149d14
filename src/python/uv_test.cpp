#include "python/uv.h"

#include <gtest/gtest.h>

#include "python/uv_program.h"

namespace kist::python {
namespace {

using Files = std::map<std::string, std::string>;

Inputs inputs_of(const Files& files, const DetectOptions& options = {}) {
  auto inputs = detect(MemoryFiles(files), options);
  EXPECT_TRUE(inputs.has_value()) << (inputs ? "" : inputs.error().render());
  return inputs ? *inputs : Inputs();
}

Target target_of(const char* platform, const char* python, uint32_t glibc_minor) {
  return make_target(platform, python, glibc_minor).value();
}

constexpr const char* kStart =
    "uv pip compile --format pylock.toml --quiet --no-header --output-file /t/pylock.toml ";

TEST(UvCommandTest, SaysWhatTheInputsSay) {
  const std::string project =
      "[project]\nname='p'\nversion='1'\n[project.optional-dependencies]\nplot=[]\n"
      "[dependency-groups]\ndev=[]\ndocs=[]\n[tool.kist.environment]\nextras=['plot']\n"
      "groups=['docs']\npackages=['six>1']\ngpu-variant='cu126'\n";
  const struct {
    const char* why;
    Files files;
    Target target;
    std::string arguments;
    std::string input;
  } cases[] = {
      {"requirements",
       {{"requirements.txt", "six"}},
       target_of("linux/amd64", "3.11", 36),
       "--python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-build -- "
       "requirements.txt",
       ""},
      // uv knows no platform above 2.40, and none between 2.17 and 2.28.
      {"newer glibc",
       {{"requirements.txt", "six"}},
       target_of("linux/arm64", "3.13.5", 41),
       "--python-version 3.13.5 --python-platform aarch64-manylinux_2_40 --no-build -- "
       "requirements.txt",
       ""},
      {"older glibc",
       {{"requirements.txt", "six"}},
       target_of("linux/amd64", "3.9", 27),
       "--python-version 3.9 --python-platform x86_64-manylinux_2_17 --no-build -- "
       "requirements.txt",
       ""},
      {"musl",
       {{"requirements.txt", "six"}},
       [] {
         Target target = target_of("linux/arm64", "3.12.7", 36);
         target.musl_minor = 2;
         return target;
       }(),
       "--python-version 3.12.7 --python-platform aarch64-unknown-linux-musl --no-build -- "
       "requirements.txt",
       ""},
      {"project",
       {{"pyproject.toml", project}},
       target_of("linux/amd64", "3.11", 36),
       "--python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-build --torch-backend "
       "cu126 --extra plot --group pyproject.toml:dev --group pyproject.toml:docs -- "
       "pyproject.toml -",
       "six>1\n"},
      {"groups alone",
       {{"pyproject.toml", "[dependency-groups]\ndev=[]"}},
       target_of("linux/amd64", "3.11", 36),
       "--python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-build --group "
       "pyproject.toml:dev",
       ""},
      {"setup.py",
       {{"setup.py", ""}},
       target_of("linux/amd64", "3.11", 36),
       "--python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-build -- -",
       "-e .\n"},
      {"nothing",
       {},
       target_of("linux/amd64", "3.11", 36),
       "--python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-build -- -",
       ""},
      {"a file like an option",
       {{"kist.toml", "[environment]\ninputs=['--evil.txt']"}, {"--evil.txt", ""}},
       target_of("linux/amd64", "3.11", 36),
       "--python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-build -- --evil.txt",
       ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    auto request = uv_request(inputs_of(c.files), c.target);
    ASSERT_TRUE(request.has_value()) << request.error().render();
    request->output = "/t/pylock.toml";
    const UvCommand command = uv_command(*request);
    EXPECT_EQ(fmt::format("{}", fmt::join(command.arguments, " ")), kStart + c.arguments);
    EXPECT_EQ(command.input, c.input);
  }
}

TEST(UvCommandTest, Options) {
  UvRequest request;
  request.uv = "/store/uv";
  request.interpreter = "/usr/bin/python3";
  request.files = {"a.txt", "b.txt"};
  request.output = "/t/pylock.toml";
  request.upgrade_packages = {"six"};
  request.allow_build = true;
  request.offline = true;
  request.cache_folder = "/c";
  EXPECT_EQ(fmt::format("{}", fmt::join(uv_command(request).arguments, " ")),
            "/store/uv pip compile --format pylock.toml --quiet --no-header --output-file "
            "/t/pylock.toml --python-version 3.11 --python-platform x86_64-manylinux_2_36 --python "
            "/usr/bin/python3 --offline --upgrade-package six --cache-dir /c -- a.txt b.txt");
}

TEST(UvCommandTest, RefusesWhatIsNotToBeResolved) {
  EXPECT_EQ(uv_request(inputs_of({{"uv.lock", ""}}), {}).error().message(),
            "uv.lock is locked already and is not resolved again");
  const Inputs project =
      inputs_of({{"pyproject.toml", "[project]\nname='p'\nrequires-python='>=3.11.4,<3.13'"}});
  EXPECT_TRUE(uv_request(project, target_of("linux/amd64", "3.11", 36)).has_value());
  EXPECT_EQ(uv_request(project, target_of("linux/amd64", "3.11.2", 36)).error().message(),
            "pyproject.toml needs Python >=3.11.4,<3.13, not 3.11.2");
  EXPECT_EQ(uv_request(project, target_of("linux/amd64", "3.13", 41)).error().message(),
            "pyproject.toml needs Python >=3.11.4,<3.13, not 3.13");
}

TEST(UvCommandTest, Environment) {
  const auto got = uv_environment({{"PATH", "/bin"},
                                   {"VIRTUAL_ENV", "/v"},
                                   {"UV_CONSTRAINT", "x"},
                                   {"UV_INDEX", "https://mine.example"}},
                                  {{"UV_INDEX", "https://pip.example"}, {"UV_FIND_LINKS", "/w"}});
  EXPECT_EQ(got.count("VIRTUAL_ENV"), 0u);
  EXPECT_EQ(got.count("UV_CONSTRAINT"), 0u);
  EXPECT_EQ(got.at("UV_INDEX"), "https://mine.example");
  EXPECT_EQ(got.at("UV_FIND_LINKS"), "/w");
  EXPECT_EQ(got.at("UV_PYTHON_DOWNLOADS"), "never");
}

TEST(UvCommandTest, Version) {
  EXPECT_EQ(check_uv_version("uv 0.13.9 (x86_64-unknown-linux-gnu)\n").value(), "0.13.9");
  EXPECT_EQ(check_uv_version("uv 0.6.15").value(), "0.6.15");
  EXPECT_EQ(check_uv_version("uv 0.6.14").error().message(),
            "uv 0.6.14 is too old, want 0.6.15 or later");
  EXPECT_EQ(check_uv_version("bash: uv\x1b[31m").error().message(),
            "'uv --version' says 'bash: uv\\x1b[31m', want 'uv X.Y.Z'");
}

UvRequest of_requirements() {
  UvRequest request;
  request.files = {"requirements.txt"};
  return request;
}

// What uv 0.13.9 and (the boxes) 0.6.15 to 0.9.5 really said.
TEST(UvFailureTest, KeepsTheExplanation) {
  const struct {
    const char* why;
    const char* said;
    Code code;
    const char* rendered;  // Below the first line.
    bool needs_build;
  } cases[] = {
      {"conflict",
       "error: No solution found when resolving dependencies\n  cause: Because you require numpy<2 "
       "and numpy>=2, we can conclude that your requirements are unsatisfiable.\n",
       Code::invalid,
       "  cause: No solution found when resolving dependencies\n    Because you require numpy<2 "
       "and "
       "numpy>=2, we can conclude that your requirements are unsatisfiable.\n\nhint: loosen or leave "
       "out one that does not fit, for example: `kist remove numpy`\n",
       false},
      {"unknown",
       "error: No solution found\n  cause: Because x7 was not found in the package registry and "
       "you require x7, we can conclude that your requirements are unsatisfiable.\n",
       Code::not_found,
       "  cause: No solution found\n    Because x7 was not found in the package registry and you "
       "require x7, we can conclude that your requirements are unsatisfiable.\n\nhint: check the "
       "name; `kist doctor` says which index is asked\n",
       false},
      {"no credentials",
       "error: No solution found\n  cause: Because x7 was not found in the package registry.\n\n"
       "hint: An index URL (https://index.example/simple) could not be queried due to a lack of "
       "valid authentication credentials (401 Unauthorized)\n",
       Code::denied,
       "  cause: No solution found\n    Because x7 was not found in the package registry.\n    An "
       "index URL (https://index.example/simple) could not be queried due to a lack of valid "
       "authentication credentials (401 Unauthorized)\n\nhint: put the credentials into ~/.netrc: "
       "`machine index.example login USER password SECRET`\n",
       false},
      {"conflict, box",
       "  × No solution found when resolving dependencies:\n  ╰─▶ Because you require numpy<2 and "
       "numpy>=2, we can conclude that your\n      requirements are unsatisfiable.\n",
       Code::invalid,
       "  cause: No solution found when resolving dependencies\n    Because you require numpy<2 "
       "and "
       "numpy>=2, we can conclude that your\n    requirements are unsatisfiable.\n\nhint: loosen or "
       "leave out one that does not fit, for example: `kist remove numpy`\n",
       false},
      {"typing error",
       "error: No solution found when resolving dependencies\n  cause: Because scikit-lern was not "
       "found in the package registry and you require scikit-lern, we can conclude that your "
       "requirements are unsatisfiable.\n",
       Code::not_found,
       "  cause: No solution found when resolving dependencies\n    Because scikit-lern was not "
       "found in the package registry and you require scikit-lern, we can conclude that your "
       "requirements are unsatisfiable.\n\nhint: did you mean `scikit-learn`?\n",
       false},
      {"import name",
       "error: No solution found\n  cause: Because cv2 was not found in the package registry\n",
       Code::not_found,
       "  cause: No solution found\n    Because cv2 was not found in the package registry\n\nhint: "
       "did you mean `opencv-python`?\n",
       false},
      {"no wheel, box",
       "  × No solution found when resolving dependencies:\n  ╰─▶ Because docopt==0.6.2 has no "
       "usable wheels and you require\n      docopt==0.6.2, we can conclude that your requirements "
       "are unsatisfiable.\n\n      hint: Wheels are required for `docopt` because building from "
       "source is\n      disabled for all packages (i.e., with `--no-build`)\n",
       Code::invalid,
       "  cause: No solution found when resolving dependencies\n    Because docopt==0.6.2 has no "
       "usable wheels and you require\n    docopt==0.6.2, we can conclude that your requirements "
       "are unsatisfiable.\n    Wheels are required for `docopt` because building from source is "
       "disabled for all packages (i.e., with `--no-build`)\n\nhint: loosen or leave out one that "
       "does not fit, for example: `kist remove docopt`\n",
       true},
      {"dynamic metadata", "error: Building source distributions is disabled\n", Code::invalid,
       "  cause: Building source distributions is disabled\n", true},
      {"a local archive",
       "  × Failed to build `other @ file:///srv/other-1.0.tar.gz`\n  ╰─▶ Building source "
       "distributions for `other` is\n      disabled\n",
       Code::invalid,
       "  cause: Failed to build `other @ file:///srv/other-1.0.tar.gz`\n    Building source "
       "distributions for `other` is\n    disabled\n",
       true},
      {"network",
       "error: Request failed after 3 retries in 10.1s\n  cause: Failed to fetch: "
       "https://u:hunter2@index.example/simple/six/\n  cause: tcp connect error\n  cause: "
       "Connection refused (os error 111)\n",
       Code::unavailable,
       "  cause: Request failed after 3 retries in 10.1s\n    Failed to fetch: "
       "https://index.example/simple/six/\n    tcp connect error\n    Connection refused (os error "
       "111)\n\nhint: check the connection and the index: `kist doctor`\n",
       false},
      {"network, before 0.10",
       "error: Failed to fetch: `https://u:hunter2@index.example/simple/six/`\n  Caused by: "
       "Request "
       "failed after 3 retries\n",
       Code::unavailable,
       "  cause: Failed to fetch: `https://index.example/simple/six/`\n    Request failed after 3 "
       "retries\n\nhint: check the connection and the index: `kist doctor`\n",
       false},
      {"credentials",
       "error: Failed to fetch: `https://index.example/simple/six/`\n  Caused by: HTTP status "
       "client error (401 Unauthorized) for url (https://index.example/simple/six/)\n",
       Code::denied,
       "  cause: Failed to fetch: `https://index.example/simple/six/`\n    HTTP status client "
       "error "
       "(401 Unauthorized) for url (https://index.example/simple/six/)\n\nhint: put the credentials "
       "into ~/.netrc: `machine index.example login USER password SECRET`\n",
       false},
      {"old uv",
       "error: unexpected argument '--format' found\n\n  tip: to pass '--format' as a value\n",
       Code::unsupported,
       "  cause: unexpected argument '--format' found\n    tip: to pass '--format' as a "
       "value\n\nhint: kist needs uv 0.6.15 or later: `uv self update`\n",
       false},
      {"silence", "", Code::invalid, "  cause: uv failed without a word\n", false},
      {"terminal control", "error: \x1b[31mred\n", Code::invalid, "  cause: \\x1b[31mred\n", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const Error error = uv_failure(c.said, of_requirements());
    EXPECT_EQ(error.code(), c.code);
    EXPECT_EQ(error.render(),
              fmt::format("error: cannot resolve requirements.txt for Python 3.11 on linux/amd64 "
                          "(glibc 2.36)\n{}",
                          c.rendered));
    EXPECT_EQ(uv_needs_build(c.said), c.needs_build);
  }
}

TEST(UvFailureTest, BoundsWhatItTakes) {
  std::string many = "error: x\n";
  for (int i = 0; i < 100000; ++i) many += "cause: " + std::string(100, 'y') + "\n";
  EXPECT_LT(uv_failure(many, of_requirements()).render().size(), 100000u);
  EXPECT_LT(uv_failure(std::string(1 << 20, 'z'), of_requirements()).render().size(), 10000u);
}

TEST(UvOutputTest, PathsAreSeenFromTheProject) {
  const UvFolders folders{.output = "/tmp/x", .project = "/home/u/p"};
  const struct {
    const char* path;
    const char* want;
  } cases[] = {{"../../home/u/p/proj", "proj"}, {"../../home/u/p", "."},
               {"../../home/u/lib", "../lib"},  {"../../home/u/pp/x", "../pp/x"},
               {"../../srv/lib", "/srv/lib"},   {"/home/u/p/a.whl", "a.whl"},
               {"local", "/tmp/x/local"}};
  for (const auto& c : cases) EXPECT_EQ(relocate(c.path, folders), c.want) << c.path;
  std::vector<std::string> warnings;
  const auto lock = read_uv_output(
      "lock-version = \"1.0\"\ncreated-by = \"uv\"\n[[packages]]\nname = \"my-pkg\"\ndirectory = { "
      "path = \"../../home/u/p/proj\", editable = true }\n",
      folders, warnings);
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  EXPECT_EQ(lock->packages[0].directory->path, "proj");
}

// A page of an index, and nothing else.
using Pages = std::map<std::string, std::string>;

class FakeClient final : public http::Client {
 public:
  explicit FakeClient(Pages pages) : pages_(std::move(pages)) {}
  Result<http::Response> get(const std::string& url, const http::GetOptions&) override {
    const auto page = pages_.find(url);
    if (page == pages_.end()) return Error(Code::not_found, "get '{}': 404", http::redact(url));
    http::Response response;
    response.status = 200;
    response.body = page->second;
    return response;
  }
  Result<void> download_all(std::span<const http::Download>, const http::OnFile&, size_t, Progress&,
                            std::string_view) override {
    return Error(Code::unsupported, "not here");
  }

 private:
  Pages pages_;
};

TEST(UvProgramTest, FindsTheReleaseByItsHash) {
  const UvRelease release = pinned_uv("linux/amd64").value();
  const std::string page = fmt::format(
      "<a href=\"../../files/other.whl#sha256={}\">x</a><a "
      "href=\"../../files/{}#sha256={}\">y</a>",
      std::string(64, '0'), release.file_name, release.sha256);
  FakeClient client(Pages{{"https://u:p@index.example/simple/uv/", page}});
  const auto found = find_uv(client, "https://u:p@index.example/simple/", release);
  ASSERT_TRUE(found.has_value()) << found.error().render();
  EXPECT_EQ(found->urls, (std::vector<std::string>{fmt::format("https://u:p@index.example/files/{}",
                                                               release.file_name)}));
  EXPECT_EQ(found->sha256->hex(), release.sha256);
  FakeClient empty(Pages{{"https://index.example/simple/uv/", ""}});
  EXPECT_EQ(find_uv(empty, "https://index.example/simple", release).error().message(),
            fmt::format("the package index has no {}", release.file_name));
  EXPECT_EQ(pinned_uv("linux/s390x").error().message(), "there is no uv for linux/s390x");
  for (const char* platform : {"linux/amd64", "linux/arm64"})
    EXPECT_TRUE(oci::Digest::parse_hex(pinned_uv(platform)->sha256).has_value());
}

}  // namespace
}  // namespace kist::python
