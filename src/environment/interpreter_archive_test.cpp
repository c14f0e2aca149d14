#include "environment/interpreter_archive.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "debian/deb_fixture.h"
#include "environment/interpreter.h"
#include "environment/interpreter_layout.h"
#include "store/memory_sink.h"

namespace kist::environment {
namespace {

using debian::FixtureItem;
using debian::fixture_tar;
using debian::folder_item;
using debian::link_item;
using testing::ElementsAre;
using testing::HasSubstr;

// As little of an ELF file as tells machine, needed libraries and what else is in it.
std::string elf(uint16_t machine, const std::vector<std::string>& needed, const std::string& rest = "") {
  std::string strings(1, '\0');
  std::vector<Elf64_Dyn> dynamic;
  for (const std::string& name : needed) {
    dynamic.push_back({DT_NEEDED, {strings.size()}});
    strings += name + '\0';
  }
  Elf64_Phdr programs[2] = {};
  const size_t strings_at = sizeof(Elf64_Ehdr) + sizeof programs;
  dynamic.push_back({DT_STRTAB, {strings_at}});
  dynamic.push_back({DT_NULL, {0}});
  const size_t dynamic_at = strings_at + strings.size();
  const size_t size = dynamic_at + dynamic.size() * sizeof(Elf64_Dyn);
  programs[0].p_type = PT_LOAD;
  programs[0].p_filesz = size;
  programs[1].p_type = PT_DYNAMIC;
  programs[1].p_offset = dynamic_at;
  programs[1].p_filesz = dynamic.size() * sizeof(Elf64_Dyn);
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = machine;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof programs[0];
  header.e_phnum = 2;
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  out.append(reinterpret_cast<const char*>(programs), sizeof programs);
  out += strings;
  out.append(reinterpret_cast<const char*>(dynamic.data()), dynamic.size() * sizeof(Elf64_Dyn));
  return out + rest;
}

FixtureItem file(const std::string& path, const std::string& bytes, unsigned mode = 0644) {
  return {.path = path, .bytes = bytes, .mode = mode, .hardlink = "", .uid = 1000, .gid = 1000};
}

constexpr const char* kHeader = "/* … */\n#define PY_VERSION      \t\"3.12.7\"\n#define PY_VERSION_HEX 1\n";

// A standalone Python in `top` ("python/"), as small as can be.
std::vector<FixtureItem> python_in(const std::string& top) {
  return {
      folder_item(top + "bin"),
      link_item(top + "bin/python3", "python3.12"),
      file(top + "bin/python3.12", elf(EM_X86_64, {"libc.so.6", "libz.so.1", "libpython3.12.so.1.0"}), 0775),
      file(top + "bin/pydoc3", "#!/install/bin/python3.12\nimport pydoc\n", 0700),
      file(top + "bin/pip3", "#!/install/bin/python3.12\n", 0755),
      file(top + "include/python3.12/patchlevel.h", kHeader),
      file(top + "lib/libpython3.12.so.1.0", elf(EM_X86_64, {"libc.so.6"}), 0755),
      file(top + "lib/libpython3.12.a", "!<arch>\n"),
      file(top + "lib/python3.12/os.py", "# os\n", 0600),
      file(top + "lib/python3.12/__pycache__/os.cpython-312.pyc", "stale"),
      file(top + "lib/python3.12/_sysconfigdata__linux.py",
           "build_time_vars = {'CC': 'clang -pthread',\n 'INCLUDEPY': '/install/include/python3.12',\n"
           " 'prefix': '/install'}\n"),
      file(top + "lib/python3.12/site-packages/pip/__init__.py", ""),
  };
}

std::string packed(const std::vector<FixtureItem>& items, int filter = ARCHIVE_FILTER_GZIP) {
  return fixture_tar(items, filter);
}

std::vector<std::string> paths_of(const store::Tree& tree) {
  std::vector<std::string> out;
  for (const store::Entry& entry : tree.entries())
    if (entry.kind != store::Kind::folder) out.push_back(entry.path);
  return out;
}

std::string error_of(const std::vector<FixtureItem>& items) {
  store::MemorySink sink;
  const auto got = unpack_interpreter(packed(items), sink);
  return got ? "no error" : got.error().render();
}

TEST(InterpreterArchiveTest, BecomesATreeAtItsPlace) {
  store::MemorySink sink;
  const auto got = unpack_interpreter(packed(python_in("python/")), sink);
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->facts.python, "3.12.7");
  EXPECT_EQ(got->facts.machine, EM_X86_64);
  EXPECT_THAT(got->facts.needed, ElementsAre("libc.so.6", "libz.so.1"));
  EXPECT_THAT(paths_of(got->files),
              ElementsAre("opt/python/bin/pydoc3", "opt/python/bin/python3", "opt/python/bin/python3.12",
                          "opt/python/include/python3.12/patchlevel.h", "opt/python/lib/libpython3.12.so.1.0",
                          "opt/python/lib/python3.12/_sysconfigdata__linux.py",
                          "opt/python/lib/python3.12/os.py"));
  const store::Entry* program = got->files.find("opt/python/bin/python3.12");
  EXPECT_EQ(program->mode, 0755u);
  EXPECT_EQ(program->uid, 0u);
  EXPECT_EQ(got->files.find("opt/python/lib/python3.12/os.py")->mode, 0644u);
  EXPECT_EQ(sink.content(*got->files.find("opt/python/lib/python3.12/_sysconfigdata__linux.py")->object),
            "build_time_vars = {'CC': 'cc -pthread',\n 'INCLUDEPY': '/opt/python/include/python3.12',\n"
            " 'prefix': '/opt/python'}\n");
  EXPECT_EQ(sink.content(*got->files.find("opt/python/bin/pydoc3")->object),
            "#!/opt/python/bin/python3.12\nimport pydoc\n");
}

// Goal: where Python is in the archive, and how that is compressed, makes no difference.
TEST(InterpreterArchiveTest, AnyFolderAndAnyCompression) {
  store::MemorySink sink;
  const auto wanted = unpack_interpreter(packed(python_in("python/")), sink);
  ASSERT_TRUE(wanted.has_value());
  const struct {
    const char* top;
    int filter;
  } cases[] = {{"python/install/", ARCHIVE_FILTER_ZSTD},
               {"./", ARCHIVE_FILTER_XZ},
               {"", ARCHIVE_FILTER_NONE},
               {"a b/c/", ARCHIVE_FILTER_BZIP2}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.top);
    std::vector<FixtureItem> items = python_in(c.top);
    if (std::string(c.top) == "python/install/") items.push_back(file("python/build/core.o", "object"));
    const auto got = unpack_interpreter(packed(items, c.filter), sink);
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(got->files.digest(), wanted->files.digest());
  }
}

TEST(InterpreterArchiveTest, HardLinksAreTheSameFile) {
  std::vector<FixtureItem> items = python_in("python/");
  items[1] = file("python/share/x", "");
  items.push_back({.path = "python/bin/python3", .bytes = "", .mode = 0755, .hardlink = "python/bin/python3.12"});
  items.push_back({.path = "python/bin/pydoc", .bytes = "", .mode = 0755, .hardlink = "python/bin/pydoc3"});
  store::MemorySink sink;
  const auto got = unpack_interpreter(packed(items), sink);
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->files.find("opt/python/bin/python3")->object, got->files.find("opt/python/bin/python3.12")->object);
  EXPECT_EQ(got->files.find("opt/python/bin/pydoc")->object, got->files.find("opt/python/bin/pydoc3")->object);
}

TEST(InterpreterArchiveTest, CertificatesOfTheBase) {
  std::vector<FixtureItem> items = python_in("python/");
  items.push_back(file("python/lib/python3.12/lib-dynload/_ssl.so",
                       elf(EM_X86_64, {"libc.so.6"}, "OPENSSLDIR: \"/build/ssl\""), 0755));
  store::MemorySink sink;
  const auto got = unpack_interpreter(packed(items), sink);
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->files.find("build/ssl/certs")->target, "/etc/ssl/certs");
  EXPECT_EQ(got->files.find("build/ssl/cert.pem")->target, "/etc/ssl/certs/ca-certificates.crt");
  for (const char* own : {"/etc/ssl", "/usr/lib/ssl", "/opt/kist/x", "/proc/x", "ssl", "/../x", "/", "/opt/python/ssl"})
    EXPECT_EQ(openssl_folder(fmt::format("OPENSSLDIR: \"{}\"", own)), std::nullopt) << own;
  EXPECT_EQ(openssl_folder("OPENSSLDIR: \"/build/ssl"), std::nullopt);
}

TEST(InterpreterArchiveTest, RefusesWithPreciseMessage) {
  const std::string hint = "\n\nhint: take an archive whose name ends in `install_only.tar.gz`\n";
  const struct {
    const char* why;
    std::function<void(std::vector<FixtureItem>&)> change;
    std::string message;
  } cases[] = {
      {"path leads out", [](auto& items) { items.push_back(file("python/../../x", "")); },
       "error: path 'python/../../x' has '..' in it\n"},
      {"absolute path", [](auto& items) { items.push_back(file("/python/x", "")); },
       "error: path '/python/x' is absolute, want one inside the archive\n"},
      {"link leads out", [](auto& items) { items.push_back(link_item("python/lib/x", "../../etc")); },
       "error: entry 'python/lib/x'\n  cause: its target '../../etc' leads out of the interpreter's folder\n"},
      {"absolute link", [](auto& items) { items.push_back(link_item("python/lib/x", "/etc/passwd")); },
       "error: entry 'python/lib/x'\n  cause: its target '/etc/passwd' leads out of the interpreter's folder\n"},
      {"hard link to nothing",
       [](auto& items) { items.push_back({.path = "python/x", .bytes = "", .hardlink = "python/y"}); },
       "error: entry 'python/x'\n  cause: hard link to 'python/y', which is no file of the interpreter before it\n"},
      {"pipe", [](auto& items) { items.push_back({.path = "python/x", .bytes = "", .type = AE_IFIFO, .hardlink = ""}); },
       "error: entry 'python/x'\n  cause: it is a device or a pipe, want files, folders and links\n"},
      {"no Python", [](auto& items) { items = {file("python/README", "")}; },
       "error: there is no Python in it: want a folder with bin/python3.X and lib/python3.X/os.py" + hint},
      {"a script for a program", [](auto& items) { items[2].bytes = "#!/bin/sh\n"; },
       "error: 'python/bin/python3.12' in it is no program of Linux\n\nhint: take the build for Linux, whose name "
       "has `linux-gnu` in it\n"},
      {"a program that is a link to nothing", [](auto& items) { items[2] = link_item("python/bin/python3.12", "gone"); },
       "error: 'python/bin/python3.12' in it is no program of Linux\n\nhint: take the build for Linux, whose name "
       "has `linux-gnu` in it\n"},
      {"musl", [](auto& items) { items[2].bytes = elf(EM_X86_64, {"libc.so"}); },
       "error: 'python/bin/python3.12' in it is not linked with glibc: it could not load compiled packages\n\n"
       "hint: take the build whose name has `linux-gnu` in it\n"},
      {"another version in the header", [](auto& items) { items[5].bytes = "#define PY_VERSION \"3.11.4\"\n"; },
       "error: 'python/include/python3.12/patchlevel.h' in it is of Python 3.11.4, 'python/bin/python3.12' of "
       "Python 3.12\n"},
      {"free-threaded",
       [](auto& items) {
         items = {file("python/bin/python3.13t", "x"), file("python/lib/python3.13t/os.py", "")};
       },
       "error: the Python in it is free-threaded, which kist does not support yet\n\nhint: take the build without "
       "`freethreaded` in its name\n"},
      {"several",
       [](auto& items) {
         items.push_back(file("python/bin/python3.11", "x"));
         items.push_back(file("python/lib/python3.11/os.py", ""));
       },
       "error: there are several Pythons in it, want one\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    std::vector<FixtureItem> items = python_in("python/");
    c.change(items);
    EXPECT_EQ(error_of(items), c.message);
  }
  store::MemorySink sink;
  EXPECT_THAT(unpack_interpreter("PK\x03\x04 a wheel", sink).error().message(),
              HasSubstr("not a tar archive (plain, or of gzip, zstd, xz or bzip2): it starts with 'PK"));
}

// Goal: no damaged archive is taken for a smaller interpreter.
TEST(InterpreterArchiveTest, TruncationIsRefused) {
  const std::string whole = packed(python_in("python/"));
  store::MemorySink sink;
  for (size_t length = 0; length + 16 < whole.size(); length += 7)
    EXPECT_FALSE(unpack_interpreter(whole.substr(0, length), sink).has_value()) << length;
}

TEST(InterpreterArchiveTest, WithoutHeadersTheFolderSaysTheMinorVersion) {
  std::vector<FixtureItem> items = python_in("python/");
  items.erase(items.begin() + 5);
  store::MemorySink sink;
  const auto got = unpack_interpreter(packed(items), sink);
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->facts.python, "3.12");
}

TEST(InterpreterFactsTest, DecodeIsTheInverseOfEncode) {
  const InterpreterFacts facts{.python = "3.12.7", .machine = EM_AARCH64, .size_bytes = 5, .needed = {"liba b.so", "x"}};
  const auto got = decode_interpreter_facts(encode(facts));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(*got, facts);
  const std::string whole = encode(facts);
  for (size_t length = 0; length + 1 < whole.size(); ++length)
    EXPECT_FALSE(decode_interpreter_facts(whole.substr(0, length)).has_value()) << length;
  EXPECT_EQ(decode_interpreter_facts("kist-interpreter 1\nmachine 99999\nend\n").error().message(),
            "facts of an interpreter, line 2: not understood");
}

TEST(InterpreterTest, VersionInName) {
  const std::map<std::string, std::string> cases = {
      {"https://e/cpython-3.12.7+20241016-x86_64-unknown-linux-gnu-install_only.tar.gz", "3.12.7"},
      {"https://e/cpython-3.13.0rc1%2B20240909-x86_64-install_only.tar.gz?x=/y", "3.13.0rc1"},
      {"parts/cpython-3.10.4-linux.tar.zst", "3.10.4"},
      {"cpython-3.12.tar.gz", ""},
      {"python-3.12.7.tar.gz", ""},
      {"cpython-", ""},
      {"", ""}};
  for (const auto& [name, version] : cases) EXPECT_EQ(version_in_name(name), version) << name;
}

}  // namespace
}  // namespace kist::environment
