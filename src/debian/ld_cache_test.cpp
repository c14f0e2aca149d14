#include "debian/ld_cache.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "os/child.h"
#include "os/files.h"
#include "store/memory_sink.h"

namespace kist::debian {
namespace {

// The test program itself is an ELF file of this machine.
TEST(ElfTest, ReadsARealFile) {
  const std::string bytes = os::read_file("/proc/self/exe").value();
  const auto facts = read_elf(bytes);
  ASSERT_TRUE(facts.has_value());
  EXPECT_TRUE(facts->dynamic);
  EXPECT_TRUE(facts->is_64bit);
  EXPECT_NE(std::find(facts->needed.begin(), facts->needed.end(), "libc.so.6"),
            facts->needed.end());
  EXPECT_EQ(parse_elf_line(elf_line(*facts)).value(), *facts);
}

TEST(ElfTest, DamagedFilesAreNoLibraries) {
  EXPECT_FALSE(read_elf("").has_value());
  EXPECT_FALSE(read_elf("\x7f" "ELF").has_value());
  EXPECT_FALSE(read_elf("#!/bin/sh\n").has_value());
  std::string good = os::read_file("/proc/self/exe").value().substr(0, 20000);
  uint32_t seed = 5;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 6; ++i) {
      seed = seed * 1664525 + 1013904223;
      bytes[(seed >> 8) % 1200] = static_cast<char>(seed >> 24);
    }
    static_cast<void>(read_elf(bytes));
  }
}

TEST(ElfTest, RefusesBadLines) {
  EXPECT_EQ(parse_elf_line("1 2").error().message(), "'1 2' has too few words");
  EXPECT_EQ(parse_elf_line("x 2 3 4 5 6 7").error().message(), "'x' is not a number");
}

TEST(LdCacheTest, ComparesNamesAsLdconfig) {
  const char* const ascending[] = {"liba.so", "liba.so.1", "liba.so.1.9", "liba.so.1.10", "liba.so.2",
                                   "liba2.so", "libb.so"};
  EXPECT_LT(compare_library_names("libx.so.9", "libx.so.10"), 0);
  EXPECT_EQ(compare_library_names("libx.so.1", "libx.so.01"), 0);
  for (size_t i = 0; i + 1 < 5; ++i)
    EXPECT_LT(compare_library_names(ascending[i], ascending[i + 1]), 0) << ascending[i];
  // A digit comes after every other byte.
  EXPECT_GT(compare_library_names("liba2.so", "liba.so"), 0);
}

ElfFacts library(std::string soname) {
  ElfFacts facts;
  facts.machine = 62;
  facts.type = 3;
  facts.dynamic = true;
  facts.soname = std::move(soname);
  return facts;
}

struct Case {
  store::MemorySink sink;
  store::Tree tree;
  std::map<std::string, ElfFacts> facts;

  Result<LdCache> run(const std::string& architecture = "amd64") {
    const ContentReader reader = [this](const store::Entry& entry) -> Result<std::string> {
      return *sink.content(*entry.object);
    };
    LibraryMap map;
    for (const auto& [path, fact] : facts) map.emplace(path, &fact);
    return make_ld_cache(RootView(tree, reader), map, architecture, "2.36-9+deb12u14");
  }
};

// Goal: every rule that changes the bytes. The expected text is what `ldconfig -p` printed for the
// same files; the bytes were compared once by hand, and the end-to-end test compares them again.
TEST(LdCacheTest, WritesEntriesSortedWithSharedStrings) {
  Case c;
  store::TreeBuilder builder(c.sink);
  const auto add = [&](const std::string& path, const std::string& soname) {
    ASSERT_TRUE(builder.file(path, 0644, path).has_value());
    c.facts[path] = library(soname);
  };
  add("usr/lib/x86_64-linux-gnu/libz.so.1.2.13", "libz.so.1");
  builder.symlink("usr/lib/x86_64-linux-gnu/libz.so.1", "libz.so.1.2.13");
  builder.symlink("usr/lib/x86_64-linux-gnu/libz.so", "libz.so.1.2.13");
  add("usr/lib/x86_64-linux-gnu/libbare.so.3.1", "libbare.so.3");
  add("usr/lib/x86_64-linux-gnu/libplugin.so", "");
  add("usr/lib/libtop.so.1", "libtop.so.1");
  ASSERT_TRUE(builder.file("usr/lib/x86_64-linux-gnu/libc.so", 0644, "/* script */").has_value());
  ASSERT_TRUE(builder.file("etc/ld.so.conf", 0644, "include /etc/ld.so.conf.d/*.conf\n").has_value());
  ASSERT_TRUE(builder.file("etc/ld.so.conf.d/x.conf", 0644, "# c\n/lib/x86_64-linux-gnu\n").has_value());
  builder.symlink("lib", "usr/lib");
  c.tree = std::move(builder).finish().value();
  const auto cache = c.run();
  ASSERT_TRUE(cache.has_value()) << cache.error().render();
  EXPECT_EQ(cache->links, (std::vector<std::pair<std::string, std::string>>{
                              {"usr/lib/x86_64-linux-gnu/libbare.so.3", "libbare.so.3.1"}}));
  const std::string& bytes = cache->bytes;
  EXPECT_TRUE(bytes.starts_with("glibc-ld.so.cache1.1"));
  EXPECT_TRUE(bytes.ends_with("ldconfig (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36"));
  // libz.so is a link for the linker, so it counts under its own name.
  EXPECT_EQ(bytes[20], 5) << "five entries";
  const os::TempDir folder = os::TempDir::make("/tmp", "ldcache.").value();
  const std::string path = os::join(folder.path(), "cache");
  ASSERT_TRUE(os::write_file_atomically(path, bytes).has_value());
  const auto shown = os::run({.args = {"/sbin/ldconfig", "-p", "-C", path},
                              .env = {"LC_ALL=C"},
                              .working_dir = "",
                              .input = ""});
  if (!shown || shown->status != 0) GTEST_SKIP() << "no ldconfig here to read the cache";
  EXPECT_NE(shown->out.find("5 libs found"), std::string::npos) << shown->out;
  EXPECT_NE(shown->out.find("\tlibz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1\n"
                            "\tlibz.so (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so\n"
                            "\tlibtop.so.1 (libc6,x86-64) => /lib/libtop.so.1\n"
                            "\tlibplugin.so (libc6,x86-64) => /lib/x86_64-linux-gnu/libplugin.so\n"
                            "\tlibbare.so.3 (libc6,x86-64) => /lib/x86_64-linux-gnu/libbare.so.3\n"),
            std::string::npos)
      << shown->out;
}

TEST(LdCacheTest, EmptyRootAndOtherArchitectures) {
  Case c;
  ASSERT_TRUE(c.run().has_value());
  EXPECT_EQ(c.run("mips").error().message(), "architecture 'mips' has no library cache here");
}

}  // namespace
}  // namespace kist::debian
