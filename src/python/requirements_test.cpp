#include "python/requirements.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

using Kind = Requirement::Kind;

TEST(RequirementTest, TakesApart) {
  const struct {
    const char* text;
    Kind kind;
    const char* name;
    const char* extras;
    const char* specifiers;
    const char* address;
    const char* marker;
  } cases[] = {
      {"numpy", Kind::index, "numpy", "", "", "", ""},
      {"Flask_SQLAlchemy", Kind::index, "flask-sqlalchemy", "", "", "", ""},
      {"requests[socks, Use.Chardet] >=2.8.1, ==2.8.* ; python_version < '4'", Kind::index,
       "requests", "socks use-chardet", ">=2.8.1, ==2.8.*", "", "python_version < '4'"},
      {"a(>=1)", Kind::index, "a", "", ">=1", "", ""},
      {"a;os_name=='posix'", Kind::index, "a", "", "", "", "os_name=='posix'"},
      {"a[]==1", Kind::index, "a", "", "==1", "", ""},
      {"pip @ https://e.example/pip-1.zip#sha1=da9 ; os_name == 'nt'", Kind::url, "pip", "", "",
       "https://e.example/pip-1.zip#sha1=da9", "os_name == 'nt'"},
      {"a@file:///x/a%20b.whl", Kind::path, "a", "", "", "/x/a b.whl", ""},
      {"https://e.example/Six_a-1.0-py3-none-any.whl", Kind::url, "six-a", "", "",
       "https://e.example/Six_a-1.0-py3-none-any.whl", ""},
      {"git+https://e.example/x.git@main#egg=My_X[dev]&subdirectory=a", Kind::vcs, "my-x", "", "",
       "git+https://e.example/x.git@main#egg=My_X[dev]&subdirectory=a", ""},
      {"git+ssh://git@e.example/x.git", Kind::vcs, "", "", "", "git+ssh://git@e.example/x.git", ""},
      {".", Kind::path, "", "", "", ".", ""},
      {"./a b", Kind::path, "", "", "", "./a b", ""},
      {".[dev,test]", Kind::path, "", "dev test", "", ".", ""},
      {"../lib ; python_version > '3'", Kind::path, "", "", "", "../lib", "python_version > '3'"},
      {"wheels/six-1.0-py3-none-any.whl", Kind::path, "six", "", "",
       "wheels/six-1.0-py3-none-any.whl", ""},
      {"six-1.0-py3-none-any.whl", Kind::path, "six", "", "", "six-1.0-py3-none-any.whl", ""},
      {"/abs/lib", Kind::path, "", "", "", "/abs/lib", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = parse_requirement(c.text);
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(got->kind, c.kind);
    EXPECT_EQ(got->name, c.name);
    EXPECT_EQ(fmt::format("{}", fmt::join(got->extras, " ")), c.extras);
    EXPECT_EQ(got->specifiers, c.specifiers);
    EXPECT_EQ(got->address, c.address);
    EXPECT_EQ(got->marker, c.marker);
  }
}

TEST(RequirementTest, RefusesWithPreciseMessage) {
  const struct {
    const char* text;
    const char* message;
    const char* hint;
  } cases[] = {
      {"", "'' has the end at offset 0, want a package name", ""},
      {"-x", "'-x' has '-x' at offset 0, want a package name", ""},
      {"numpy=1.0", "'numpy=1.0': '=1.0' is not a version specifier (PEP 440)", "write `numpy==…`"},
      {"numpy=>1.0", "'numpy=>1.0': '=>1.0' is not a version specifier (PEP 440)",
       "write `numpy==…`"},
      {"numpy 1.0",
       "'numpy 1.0' has '1.0' at offset 6, want a version comparison such as '==', or ';' and a "
       "marker",
       ""},
      {"numpy>=1.x", "'numpy>=1.x': '1.x' is not a version (PEP 440)", ""},
      {"a[b", "'a[b' has 'b' at offset 2, want ']'", ""},
      {"a[b c]", "'a[b c]' has the extra 'b c', want letters, digits, '-', '_', '.'", ""},
      {"a @ ", "'a @' has the end at offset 3, want an address", ""},
      {"a(>=1", "'a(>=1' has '>=1' at offset 2, want ')'", ""},
      {"a(>=1) b", "'a(>=1) b' has 'b' at offset 7, want ';' and a marker, or the end", ""},
      {"a;", "'a;' has the end at offset 2, want a marker", ""},
      {"a; b == c",
       "marker 'b == c' has 'b == c' at offset 0, want a variable such as python_version, or a "
       "quoted text",
       "PEP 508 says how markers are written"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = parse_requirement(c.text);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
    EXPECT_EQ(got.error().hint_text(), c.hint);
  }
}

Result<Requirements> read(const std::map<std::string, std::string>& files,
                          const std::string& path = "requirements.txt") {
  return read_requirements(path, MemoryFiles(files), {{"ROOT", "libs"}, {"TOKEN", "secret"}});
}

std::string texts(const std::vector<Requirement>& requirements) {
  std::string out;
  for (const Requirement& requirement : requirements) {
    out += fmt::format("{}{}:{}{} {}", out.empty() ? "" : " | ", requirement.file, requirement.line,
                       requirement.editable ? " -e" : "", requirement.text);
  }
  return out;
}

// Goal: every rule of pip's format in one file.
TEST(RequirementsFileTest, ReadsAllOfPipsSyntax) {
  const std::string hash(64, 'A');
  const auto got = read({{"requirements.txt",
                          "\xEF\xBB\xBF# comment\r\n"
                          "numpy >= 1 # why\r\n"
                          "six ; \\\n"
                          "  python_version > '3'\n"
                          "\n"
                          "pip@https://e.example/p-1.zip#frag\n"
                          "-i https://u:p@index.example/simple --pre\n"
                          "--extra-index-url=https://index.example/${TOKEN}/simple\n"
                          "-rsub/more.txt\n"
                          "-c sub/../constraints.txt\n"
                          "-e ./${ROOT}/a[x]\n"
                          "--editable src\n"
                          "-e git+https://e.example/r.git#egg=r ; os_name == 'posix'\n"
                          "idna==3.7 --hash=sha256:" +
                              hash + " \\\n  --hash sha512:" + hash + hash +
                              " # last\n"
                              "./w/${UNSET}/x.whl\n"
                              "-f wheels\n"
                              "-r https://e.example/remote.txt\n"
                              "a \\\n# comment ends the continuation\n"
                              "last\\"},
                         {"sub/more.txt", "sub-a\n-r ../again.txt\n./rel\n"},
                         {"again.txt", "again"},
                         {"constraints.txt", "numpy<3\n"},
                         {"wheels/x", ""}});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(texts(got->requirements),
            "requirements.txt:2 numpy >= 1 | "
            "requirements.txt:3 six ;   python_version > '3' | "
            "requirements.txt:6 pip@https://e.example/p-1.zip#frag | "
            "sub/more.txt:1 sub-a | again.txt:1 again | sub/more.txt:3 ./rel | "
            "requirements.txt:11 -e ./libs/a[x] | "
            "requirements.txt:12 -e ./src | "
            "requirements.txt:13 -e git+https://e.example/r.git#egg=r ; os_name == 'posix' | "
            "requirements.txt:14 idna==3.7 | "
            "requirements.txt:16 ./w/${UNSET}/x.whl | "
            "requirements.txt:19 a | requirements.txt:21 last");
  EXPECT_EQ(texts(got->constraints), "constraints.txt:1 numpy<3");
  EXPECT_EQ(got->requirements[6].address, "libs/a");
  EXPECT_EQ(got->requirements[9].hashes,
            (std::vector<std::string>{"sha256:" + std::string(64, 'a'),
                                      "sha512:" + std::string(128, 'a')}));
  EXPECT_TRUE(got->require_hashes);
  EXPECT_EQ(got->files, (std::vector<std::string>{"requirements.txt", "sub/more.txt", "again.txt",
                                                  "constraints.txt"}));
  EXPECT_EQ(got->remote_files, (std::vector<std::string>{"https://e.example/remote.txt"}));
  EXPECT_EQ(got->find_links, (std::vector<std::string>{"wheels"}));
}

TEST(RequirementsFileTest, ReadsUtf16) {
  std::string bytes = "\xFF\xFE";
  for (const char c : std::string("six # ")) bytes += {c, '\0'};
  bytes += std::string("\x3D\xD8\x00\xDE", 4);  // U+1F600, as a pair of surrogates.
  const auto got = read({{"requirements.txt", bytes}});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(texts(got->requirements), "requirements.txt:1 six");
}

TEST(RequirementsFileTest, RefusesWithPreciseMessage) {
  std::map<std::string, std::string> deep;
  for (int i = 0; i < 40; ++i) deep[fmt::format("{}.txt", i)] = fmt::format("-r {}.txt", i + 1);
  deep["requirements.txt"] = "-r 0.txt";
  const struct {
    const char* why;
    std::map<std::string, std::string> files;
    Code code;
    std::string innermost;
    std::string outermost;
  } cases[] = {
      {"missing",
       {},
       Code::not_found,
       "open 'requirements.txt': No such file or directory",
       "open 'requirements.txt': No such file or directory"},
      {"missing nested",
       {{"requirements.txt", "\n-r a/b.txt"}},
       Code::not_found,
       "open 'a/b.txt': No such file or directory",
       "requirements.txt:2: -r a/b.txt"},
      {"cycle",
       {{"requirements.txt", "-r a.txt"}, {"a.txt", "-c ./requirements.txt"}},
       Code::invalid,
       "'requirements.txt' includes itself: requirements.txt → a.txt → requirements.txt",
       "requirements.txt:1: -r a.txt"},
      {"deep", deep, Code::invalid, "'31.txt': more than 1000 files included, or more than 32 deep",
       "requirements.txt:1: -r 0.txt"},
      {"bad line",
       {{"requirements.txt", "six\nnumpy=1"}},
       Code::invalid,
       "'numpy=1': '=1' is not a version specifier (PEP 440)",
       "requirements.txt:2"},
      {"unknown option",
       {{"requirements.txt", "--requiremnt a.txt"}},
       Code::invalid,
       "requirements.txt:1: unknown option '--requiremnt'",
       ""},
      {"no value",
       {{"requirements.txt", "-r"}},
       Code::invalid,
       "requirements.txt:1: '-r' has no value",
       ""},
      {"option behind",
       {{"requirements.txt", "six --hsh=1"}},
       Code::invalid,
       "requirements.txt:1: unknown option '--hsh'",
       ""},
      {"hash",
       {{"requirements.txt", "six --hash=md5:1"}},
       Code::invalid,
       "requirements.txt:1: hash 'md5:1', want sha256:…, sha384:… or sha512:…",
       ""},
      {"short hash",
       {{"requirements.txt", "six --hash=sha256:12"}},
       Code::invalid,
       "requirements.txt:1: hash 'sha256:12' has 2 characters after 'sha256:', want 64 hex digits",
       ""},
      {"encoding",
       {{"requirements.txt", "# \xE4\n"}},
       Code::invalid,
       "requirements.txt: is neither UTF-8 nor UTF-16",
       ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = read(c.files);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), c.code);
    EXPECT_EQ(got.error().frames().front(), c.innermost);
    if (!c.outermost.empty()) {
      EXPECT_EQ(got.error().message(), c.outermost);
    }
  }
}

// Goal: a secret that stands in an address does not reach a message.
TEST(RequirementsFileTest, ErrorsHideCredentials) {
  const auto got = parse_requirement("https://user:hunter2@e.example/a.zip ; nonsense");
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().render().find("hunter2"), std::string::npos);
  EXPECT_EQ(requested_names({parse_requirement("https://user:hunter2@e.example/a.zip").value()}, {})
                .value()
                .front(),
            "https://e.example/a.zip");
}

LockedFile file_of(const std::string& name, char digit) {
  LockedFile file;
  file.name = name;
  file.url = "https://index.example/" + name;
  file.hashes = {{"sha256", std::string(64, digit)}};
  return file;
}

TEST(RequirementsFileTest, AppliesHashes) {
  const std::string with = "six==1 --hash=sha256:" + std::string(64, 'a') + "\n";
  Lock lock;
  lock.packages.resize(1);
  lock.packages[0].name = "six";
  lock.packages[0].version = "1";
  lock.packages[0].wheels = {file_of("six-1-py3-none-any.whl", 'a'),
                             file_of("six-1-py2-none-any.whl", 'b')};
  lock.packages[0].sdist = file_of("six-1.tar.gz", 'c');
  const auto apply = [](const std::string& text, Lock& to) {
    return apply_hashes(read({{"requirements.txt", text}}).value(), Target{}, to);
  };
  Lock filtered = lock;
  ASSERT_TRUE(apply(with + "pywin32; sys_platform == 'win32'\n", filtered).has_value());
  EXPECT_EQ(filtered.packages[0].wheels.size(), 1u);
  EXPECT_FALSE(filtered.packages[0].sdist.has_value());

  Lock untouched = lock;
  ASSERT_TRUE(apply("six==1\n", untouched).has_value());
  EXPECT_EQ(untouched, lock);

  EXPECT_EQ(apply(with + "idna==1\n", filtered).error().message(),
            "requirements.txt:2: idna has no hash; where one requirement has hashes, all must have "
            "them");
  Lock other = lock;
  EXPECT_EQ(apply("six==1 --hash=sha256:" + std::string(64, 'f'), other).error().message(),
            "no file of six 1 that the index has fits the hashes in the requirements");
  Lock more = lock;
  more.packages.push_back(lock.packages[0]);
  more.packages[1].name = "idna";
  EXPECT_EQ(apply(with, more).error().message(),
            "idna 1 is needed but has no hash in the requirements; where one requirement has "
            "hashes, all must have them");
}

TEST(RequirementsTest, PlainForm) {
  const std::string plain = "a ; python_version >= '3'\n-r x.txt\nb==1 --hash=sha256:00\n";
  EXPECT_EQ(plain_requirements("\xEF\xBB\xBF# c\r\na ; \\\r\npython_version >= '3'  # c\r\n\r\n-r x.txt\r\n"
                               "b==1 \\\n--hash=sha256:00",
                               "r.txt")
                .value(),
            plain);
  EXPECT_EQ(plain_requirements(plain, "r.txt").value(), plain);
  EXPECT_EQ(plain_requirements(std::string("\xFF\xFE" "s\0i\0x\0", 8), "r.txt").value(), "six\n");
  EXPECT_EQ(plain_requirements("\xC3(", "r.txt").error().message(), "r.txt: is neither UTF-8 nor UTF-16");
}

TEST(RequirementsTest, NamesTheVariablesThatWereSet) {
  const std::map<std::string, std::string> variables = {{"PACKAGE", "six"}, {"SIX", "1.16"}, {"U", "u"}};
  const std::string text = "${PACKAGE}==${SIX}\nx @ https://${U}@h/x.whl\n";
  const auto got = read_requirements("r.txt", MemoryFiles(std::map<std::string, std::string>{{"r.txt", text}}), variables);
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->requirements[0].name + got->requirements[0].specifiers, "six==1.16");
  EXPECT_EQ(got->requirements[1].address, "https://${U}@h/x.whl");
  EXPECT_EQ(got->variables, (std::vector<std::string>{"PACKAGE", "SIX", "U"}));
  EXPECT_EQ(plain_requirements(text, "r.txt", variables).value(),
            "six==1.16\nx @ https://${U}@h/x.whl\n");
  const MemoryFiles good(std::map<std::string, std::string>{{"r.txt", "-i https://${TOKEN}@h/${lower}/${UNSET}\n"
                                    "x @ https://${TOKEN}@h/x.whl\ny @ https://${HOST_1}/y.whl\n"}});
  const auto read = read_requirements("r.txt", good, {{"TOKEN", "t"}, {"lower", "l"}, {"HOST_1", "h"}});
  ASSERT_TRUE(read.has_value()) << read.error().render();
  EXPECT_EQ(read->variables, (std::vector<std::string>{"TOKEN", "HOST_1"}));
}

TEST(ProjectFilesTest, Paths) {
  const struct {
    const char* folder;
    const char* path;
    const char* want;
  } cases[] = {{".", "a.txt", "a.txt"},  {"", "./a/../b", "b"},
               {"sub", "../x", "x"},     {"sub", "../../x", "../x"},
               {"sub", "/x/../y", "/y"}, {"/abs/sub", "../x", "/abs/x"},
               {".", "", "."},           {".", "a//b/.", "a/b"},
               {"sub", "..", "."},       {"/", "../..", "/"}};
  for (const auto& c : cases) EXPECT_EQ(path_from(c.folder, c.path), c.want) << c.path;
  const MemoryFiles files({{"a/b", ""}, {"a/c/d", ""}, {"e", ""}});
  EXPECT_EQ(files.list("."), (std::vector<std::string>{"a", "e"}));
  EXPECT_EQ(files.list("a"), (std::vector<std::string>{"b", "c"}));
  EXPECT_TRUE(files.is_folder("./a"));
  EXPECT_FALSE(files.is_folder("e"));
}

}  // namespace
}  // namespace kist::python
