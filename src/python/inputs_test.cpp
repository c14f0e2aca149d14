// Longer than most files: a table of projects for each kind of input, over the same helpers.
#include "python/inputs.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

using Files = std::map<std::string, std::string>;

Result<Inputs> detect_in(const Files& files, const DetectOptions& options = {}) {
  return detect(MemoryFiles(files), options);
}

constexpr const char* kProject = "[project]\nname = \"p\"\nversion = \"1\"\n";

TEST(InputsTest, Precedence) {
  const struct {
    const char* why;
    Files files;
    InputKind kind;
    std::string chosen;
  } cases[] = {
      {"nothing",
       {},
       InputKind::none,
       "nothing: no requirements.txt, pyproject.toml or lock is here"},
      {"requirements", {{"requirements.txt", ""}}, InputKind::requirements, "requirements.txt"},
      {"over pyproject",
       {{"requirements.txt", ""}, {"pyproject.toml", kProject}},
       InputKind::requirements,
       "requirements.txt (pyproject.toml is here too: `--from pyproject.toml`)"},
      {"locks first",
       {{"uv.lock", ""}, {"pylock.toml", ""}, {"requirements.txt", ""}, {"poetry.lock", ""}},
       InputKind::uv_lock,
       "uv.lock (pylock.toml, poetry.lock, requirements.txt are here too: `--from pylock.toml`)"},
      {"one of another name",
       {{"requirements-dev.txt", ""}},
       InputKind::requirements,
       "requirements-dev.txt"},
      {"pyproject before those with other names",
       {{"requirements-dev.txt", ""}, {"requirements-test.txt", ""}, {"pyproject.toml", kProject}},
       InputKind::pyproject,
       "pyproject.toml"},
      {"the only one of another name beside pyproject",
       {{"requirements-dev.txt", ""}, {"pyproject.toml", kProject}},
       InputKind::pyproject,
       "pyproject.toml (requirements-dev.txt is here too: `--from requirements-dev.txt`)"},
      {"in a folder of their own",
       {{"requirements/base.txt", ""}},
       InputKind::requirements,
       "requirements/base.txt"},
      {"a lock with a name",
       {{"pylock.dev.toml", ""}, {"pylock.kist.toml", ""}, {"pylock.kist-gpu.toml", ""}},
       InputKind::pylock,
       "pylock.dev.toml"},
      {"the lock of the environment's name",
       {{"pylock.default.toml", ""}, {"pylock.toml", ""}},
       InputKind::pylock,
       "pylock.default.toml"},
      {"several locks beside requirements",
       {{"pylock.dev.toml", ""}, {"pylock.prod.toml", ""}, {"requirements.txt", ""}},
       InputKind::requirements,
       "requirements.txt"},
      {"setup.cfg of a linter",
       {{"setup.cfg", "[flake8]\n"}},
       InputKind::none,
       "nothing: no requirements.txt, pyproject.toml or lock is here"},
      {"pyproject of a linter",
       {{"pyproject.toml", "[tool.ruff]\n"}},
       InputKind::none,
       "nothing: no requirements.txt, pyproject.toml or lock is here"},
      {"groups alone",
       {{"pyproject.toml", "[dependency-groups]\na = []"}},
       InputKind::pyproject,
       "pyproject.toml"},
      {"binder",
       {{"binder/requirements.txt", ""}, {"README", ""}},
       InputKind::requirements,
       "binder/requirements.txt"},
      {"the folder before binder",
       {{"binder/requirements.txt", ""}, {"setup.py", ""}},
       InputKind::setup_py,
       "setup.py"},
      {"settings",
       {{"kist.toml", "[environment]\npackages = [\"six\"]"}},
       InputKind::settings,
       "kist.toml"},
      {"inputs in settings",
       {{"kist.toml", "[environment]\ninputs = [\"a.txt\", \"b.txt\"]"},
        {"a.txt", ""},
        {"b.txt", ""},
        {"uv.lock", ""}},
       InputKind::requirements,
       "a.txt, b.txt (as kist.toml says)"},
      {"none by settings",
       {{"pyproject.toml", "[tool.kist.environment]\ninputs = []"}, {"uv.lock", ""}},
       InputKind::settings,
       "[tool.kist]"},
      {"own lock alone", {{"pylock.kist.toml", ""}}, InputKind::lock, "pylock.kist.toml"},
      {"own lock is no input",
       {{"pylock.kist.toml", ""}, {"requirements.txt", ""}},
       InputKind::requirements,
       "requirements.txt"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = detect_in(c.files);
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(got->kind, c.kind);
    EXPECT_EQ(got->chosen, c.chosen);
  }
}

TEST(InputsTest, RefusesWithPreciseMessage) {
  const struct {
    const char* why;
    Files files;
    DetectOptions options;
    Code code;
    std::string message;
    std::string hint;
  } cases[] = {
      {"several",
       {{"requirements-a.txt", ""}, {"requirements-b.txt", ""}},
       {},
       Code::invalid,
       "there are several requirements files and no requirements.txt: requirements-a.txt, "
       "requirements-b.txt",
       "choose one: `kist run --from requirements-a.txt …`, or for good `inputs = "
       "[\"requirements-a.txt\"]` under [environment] in kist.toml"},
      {"several in a folder",
       {{"requirements/base.txt", ""}, {"requirements/dev.txt", ""}, {"requirements/README", ""}},
       {},
       Code::invalid,
       "there are several requirements files and no requirements.txt: requirements/base.txt, "
       "requirements/dev.txt",
       "choose one: `kist run --from requirements/base.txt …`, or for good `inputs = "
       "[\"requirements/base.txt\"]` under [environment] in kist.toml"},
      {"several locks",
       {{"pylock.dev.toml", ""}, {"pylock.prod.toml", ""}, {"pylock.kist.toml", ""}},
       {},
       Code::invalid,
       "there are several locks and no pylock.toml: pylock.dev.toml, pylock.prod.toml",
       "choose one: `kist run --from pylock.dev.toml …`, or for good `inputs = "
       "[\"pylock.dev.toml\"]` under [environment] in kist.toml"},
      {"setup.cfg alone",
       {{"setup.cfg", "[metadata]\nname = x\n[options]\n"}},
       {},
       Code::unsupported,
       "setup.cfg describes a package, but there is neither setup.py nor pyproject.toml",
       "`printf 'from setuptools import setup\\nsetup()\\n' > setup.py`"},
      {"foreign",
       {{"environment.yml", ""}},
       {},
       Code::unsupported,
       "environment.yml cannot be read, and nothing else says what is needed",
       "write a requirements.txt, or export one from the environment"},
      {"from missing",
       {},
       {.from = "x.txt"},
       Code::not_found,
       "'x.txt', asked for by --from, does not exist",
       ""},
      {"from what is none",
       {{"x.yml", ""}},
       {.from = "x.yml"},
       Code::unsupported,
       "'x.yml' is no file that tells what a project needs",
       "requirements.txt, pyproject.toml, uv.lock, pylock.toml, poetry.lock and Pipfile.lock are"},
      {"combined",
       {{"kist.toml", "[environment]\ninputs = [\"a.txt\", \"uv.lock\"]"},
        {"a.txt", ""},
        {"uv.lock", ""}},
       {},
       Code::invalid,
       "'a.txt' and 'uv.lock' cannot be combined, only requirements files can",
       ""},
      {"both settings",
       {{"kist.toml", ""}, {"pyproject.toml", "[tool.kist]"}},
       {},
       Code::invalid,
       "kist.toml and [tool.kist] in pyproject.toml are both here",
       "keep one of them"},
      {"environment",
       {},
       {.environment = "defalt"},
       Code::not_found,
       "there is no environment 'defalt', only: default",
       "`--env default`"},
      {"local path",
       {{"requirements.txt", "\n./lib"}},
       {},
       Code::not_found,
       "requirements.txt:2: 'lib' does not exist",
       "paths in requirements are relative to the project's folder"},
      {"group",
       {{"pyproject.toml",
         "[dependency-groups]\ntest = []\n[tool.kist.environment]\n"
         "groups = [\"tests\"]"}},
       {},
       Code::invalid,
       "pyproject.toml has no group 'tests', only: test",
       "write `test`"},
      {"python",
       {{".python-version", "pypy3.10\n"}},
       {},
       Code::invalid,
       ".python-version: 'pypy3.10'",
       "write it as `3.11`"},
      {"apt",
       {{"apt.txt", "git\n\nFFmpeg\n"}},
       {},
       Code::invalid,
       "apt.txt:3: 'FFmpeg' is not the name of a Debian package",
       ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = detect_in(c.files, c.options);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), c.code);
    EXPECT_EQ(got.error().message(), c.message);
    EXPECT_EQ(got.error().hint_text(), c.hint);
  }
}

TEST(InputsTest, TakesTheRestFromTheFolder) {
  const auto got = detect_in({{"requirements.txt", "-r sub/a.txt\n-e ./lib\n"},
                              {"sub/a.txt", "six"},
                              {"lib/pyproject.toml", kProject},
                              {"lib/code.py", ""},
                              {".python-version", "# comment\n3.11.4\n"},
                              {"apt.txt", "ffmpeg # video\n\ngit git\n"},
                              {"environment.yml", ""},
                              {"kist.toml", "[environment]\nsystem = [\"git\", \"curl\"]"}});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->python, "3.11.4");
  EXPECT_EQ(got->python_from, ".python-version");
  EXPECT_EQ(got->system, (std::vector<std::string>{"git", "curl", "ffmpeg"}));
  EXPECT_EQ(got->warnings,
            (std::vector<std::string>{"environment.yml is not read; took requirements.txt"}));
  std::vector<std::string> files;
  for (const InputFile& file : got->files) files.push_back(file.role + " " + file.path);
  EXPECT_EQ(files, (std::vector<std::string>{"requirements requirements.txt",
                                             "requirements sub/a.txt", "source lib/pyproject.toml",
                                             "python .python-version", "system apt.txt"}));
}

TEST(InputsTest, PythonComesFromTheNearestWord) {
  const auto python = [](const Files& files) {
    const Inputs got = detect_in(files).value();
    return got.python + " " + got.python_from;
  };
  EXPECT_EQ(
      python({{"kist.toml", "[environment]\npython = \"3.12\""}, {".python-version", "3.11"}}),
      "3.12 kist.toml");
  EXPECT_EQ(python({{".python-version", "cpython-3.10\n"}, {"runtime.txt", "python-3.9"}}),
            "3.10 .python-version");
  EXPECT_EQ(python({{"runtime.txt", "python-3.9.13\n"}}), "3.9.13 runtime.txt");
  EXPECT_EQ(python({{"runtime.txt", "r-4.1-2022-01-01"}}), " ");
  EXPECT_EQ(detect_in({{"pyproject.toml", "[project]\nname='p'\nrequires-python='>=3.10'"}})
                ->requires_python,
            ">=3.10");
}

TEST(InputsTest, Scripts) {
  const std::string script =
      "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = "
      "[\"six\"]\n# ///\nprint(1)\n";
  const auto got = detect_in({{"s.py", script}, {"requirements.txt", "numpy"}, {"apt.txt", "git"}},
                             {.script = "s.py"});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->kind, InputKind::script);
  EXPECT_EQ(got->packages, (std::vector<std::string>{"six"}));
  EXPECT_EQ(got->requires_python, ">=3.11");
  EXPECT_TRUE(got->system.empty());
  EXPECT_EQ(got->chosen, "the metadata in s.py");
  const auto without =
      detect_in({{"s.py", "print(1)"}, {"requirements.txt", "numpy"}}, {.script = "s.py"});
  EXPECT_EQ(without->kind, InputKind::requirements);
}

TEST(InputsTest, GroupsOfAProject) {
  const std::string groups =
      std::string(kProject) +
      "[dependency-groups]\ndev = [\"pytest\"]\ndocs = [\"mkdocs\", {include-group = \"dev\"}]\n";
  EXPECT_EQ(detect_in({{"pyproject.toml", groups}})->groups, (std::vector<std::string>{"dev"}));
  EXPECT_EQ(detect_in({{"pyproject.toml",
                        groups + "[tool.kist.environment]\ngroups = [\"docs\"]\ndefault-groups = "
                                 "false"}})
                ->groups,
            (std::vector<std::string>{"docs"}));
}

// Goal: the fingerprint changes with all that matters and with nothing else.
TEST(InputsTest, Fingerprint) {
  const Files base = {{"requirements.txt", "six\n-r b.txt"},
                      {"b.txt", "idna"},
                      {"pyproject.toml", "[project]\nname='p'\nversion='1'\n[tool.ruff]\nx=1\n"},
                      {"kist.toml", "[environment]\npackages=['a']\n[tasks]\nt='x'\n"},
                      {"apt.txt", "git\n"}};
  const auto fingerprint = [](Files files, const char* path, const char* content) {
    if (path != nullptr) files[path] = content;
    return detect_in(files)->fingerprint;
  };
  const std::string before = fingerprint(base, nullptr, "");
  const struct {
    const char* path;
    const char* content;
    bool changes;
  } cases[] = {
      {"requirements.txt", "six\n-r b.txt\n", true},
      {"b.txt", "idna>3", true},
      {"kist.toml", "[environment]\npackages=['b']\n[tasks]\nt='x'\n", true},
      {"kist.toml", "[environment]\npackages=['a']\nbase='debian:trixie'", true},
      {"kist.toml", "[environment]\npackages=['a']\n[tasks]\nt='other'\n[run]\nports=[1]", false},
      {"pyproject.toml", "[project]\nname='p'\nversion='2'\n[tool.ruff]\nx=2\n", false},
      {"pyproject.toml", "[project]\nname='p'\nversion='1'\ndependencies=['x']", true},
      {"apt.txt", "git # for cloning\n", false},
      {"apt.txt", "git\ncurl\n", true},
      {".python-version", "3.11", true},
      {"uv.lock", "", true},
      {"README.md", "x", false},
      {"pylock.kist.toml", "x", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(fmt::format("{}: {}", c.path, c.content));
    EXPECT_EQ(fingerprint(base, c.path, c.content) != before, c.changes);
    // A cache that looks at `watched` alone must not miss a change.
    const std::vector<std::string> watched = detect_in(base)->watched;
    if (c.changes) {
      EXPECT_NE(std::find(watched.begin(), watched.end(), c.path), watched.end());
    }
  }
}

TEST(PyprojectTest, RefusesWithPreciseMessage) {
  const struct {
    const char* text;
    const char* message;
    const char* cause;
  } cases[] = {
      {"[project]", "pyproject.toml:1:1: 'project.name' is missing", ""},
      {"[project]\nname='a b'", "pyproject.toml:2:6: 'project.name' is 'a b', not a package name",
       ""},
      {"[project]\nname='a'\ndependencies=['b c']", "pyproject.toml:3:14: 'project.dependencies'",
       "'b c' has 'c' at offset 2, want a version comparison such as '==', or ';' and a marker"},
      {"[project]\nname='a'\nrequires-python='3'", "pyproject.toml:3:17: 'project.requires-python'",
       "'3' is not a version specifier (PEP 440)"},
      {"[dependency-groups]\na=[{include-group='b'}]\nb=[{include-group='A'}]",
       "pyproject.toml:2:3: group 'a' includes itself: a → b → a", ""},
      {"[dependency-groups]\na=[{include-group='aa'}]\nab=[]",
       "pyproject.toml:2:3: 'dependency-groups.a' includes 'aa', which is no group", ""},
      {"[dependency-groups]\na=[1]",
       "pyproject.toml:2:3: 'dependency-groups.a' has an integer, want requirements and "
       "{include-group = \"NAME\"}",
       ""},
      {"[dependency-groups]\na=[]\nA=[]", "pyproject.toml:3:3: group 'a' is given twice", ""},
      {"[tool.kist.environment]\npyton='3'",
       "pyproject.toml:2:7: unknown key 'tool.kist.environment.pyton'", ""},
      {"[tool.uv]\ndefault-groups=['x']",
       "pyproject.toml:2:16: 'tool.uv.default-groups' has 'x', which is no group", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = parse_pyproject(c.text);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
    if (*c.cause != '\0') {
      EXPECT_EQ(got.error().frames().front(), c.cause);
    }
  }
}

TEST(PyprojectTest, KnowsWhatAProjectIs) {
  const struct {
    const char* text;
    bool is_package, is_static;
  } cases[] = {
      {"[project]\nname='a'", false, true},
      {"[project]\nname='a'\n[build-system]\nrequires=[]", true, true},
      {"[project]\nname='a'\n[build-system]\nrequires=[]\n[tool.uv]\npackage=false", false, true},
      {"[project]\nname='a'\n[tool.uv]\npackage=true", true, true},
      {"[project]\nname='a'\ndynamic=['version']", false, true},
      {"[project]\nname='a'\ndynamic=['dependencies']", false, false},
      {"[tool.poetry.dependencies]\npython='^3'", false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = parse_pyproject(c.text);
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(got->is_package, c.is_package);
    EXPECT_EQ(got->is_static(), c.is_static);
  }
}

TEST(ScriptMetadataTest, FindsTheBlock) {
  const struct {
    const char* script;
    bool found;
    const char* dependencies;
    const char* error;
  } cases[] = {
      {"print(1)\n", false, "", ""},
      {"# /// script\n# dependencies = [\n#   \"a\",\n#\n#   \"b\"]\n# ///\n", true, "a b", ""},
      {"# /// pyproject\n# x = 1\n# ///\n", false, "", ""},
      {"# /// script\r\n# dependencies = [\"a\"]\r\n# ///\r\n", true, "a", ""},
      // The last end before the comment stops counts.
      {"# /// script\n# dependencies = [\"a\"]\n# x = '''\n# ///\n# '''\n# ///\n", true, "a", ""},
      {"# /// script\n# dependencies = []\n\n# ///\n", false, "",
       "s.py:1: the block '# /// script' has no end"},
      {"# /// script\n# ///\n# x\n\n# /// script\n# ///\n", false, "",
       "s.py:5: a second block '# /// script'"},
      {"x = 1\n# /// script\n# dependencies = 1\n# ///\n", false, "",
       "s.py:3:16: 'dependencies' is an integer, want an array of strings"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.script);
    const auto got = read_script_metadata(c.script, "s.py");
    ASSERT_EQ(got.has_value(), *c.error == '\0');
    if (!got) {
      EXPECT_EQ(got.error().message(), c.error);
      continue;
    }
    ASSERT_EQ(got->has_value(), c.found);
    if (c.found) {
      EXPECT_EQ(fmt::format("{}", fmt::join((*got)->dependencies, " ")), c.dependencies);
    }
  }
}

}  // namespace
}  // namespace kist::python
