#include "debian/deb.h"

#include <gtest/gtest.h>

#include "debian/deb_fixture.h"
#include "store/memory_sink.h"

namespace kist::debian {
namespace {

constexpr char kFields[] = "Package: x\nVersion: 1\nArchitecture: amd64\n";

std::string shown(const store::Tree& tree) {
  std::string out;
  for (const store::Entry& entry : tree.entries()) {
    const char kind = entry.kind == store::Kind::folder ? 'd' : entry.kind == store::Kind::file ? 'f' : 'l';
    out += fmt::format("{} {:o} {}:{} {}{}\n", kind, entry.mode, entry.uid, entry.gid, entry.path,
                       entry.kind == store::Kind::symlink ? " -> " + entry.target : "");
  }
  return out;
}

ContentReader reader_of(const store::MemorySink& sink) {
  return [&](const store::Entry& entry) -> Result<std::string> {
    return *sink.content(*entry.object);
  };
}

TEST(DebTest, UnpacksKindsOwnersHardLinksAndMergesUsr) {
  store::MemorySink sink;
  const std::string bytes = fixture_deb(
      kFields,
      {folder_item("./"), folder_item("./bin/"), folder_item("./usr/"), folder_item("./usr/bin/"),
       {"./bin/su", "setuid", AE_IFREG, 04755, "", 0, 42},
       {"./usr/bin/same", "", AE_IFREG, 0755, "./bin/su", 0, 0},
       link_item("./usr/bin/su", "/usr/bin/su-not"), link_item("./sbin/x", "../bin/su"),
       link_item("./lib64", "usr/lib64")},
      {{"./postinst", "#!/bin/sh\n", AE_IFREG, 0755, "", 0, 0}});
  // Two entries for one path after the merge, with different content, are refused below; here the
  // link of the same name is left out for that reason.
  const auto conflict = unpack_deb(bytes, {}, sink);
  ASSERT_FALSE(conflict.has_value());
  EXPECT_EQ(conflict.error().code(), Code::invalid);

  const std::string good = fixture_deb(
      kFields,
      {folder_item("./"), folder_item("./bin/"), folder_item("./usr/bin/"),
       {"./bin/su", "setuid", AE_IFREG, 04755, "", 0, 42},
       {"./usr/bin/same", "", AE_IFREG, 0755, "./bin/su", 0, 0},
       link_item("./usr/bin/su2", "/usr/bin/su2"), link_item("./sbin/x", "../bin/su"),
       link_item("./lib64", "usr/lib64")},
      {{"./postinst", "#!/bin/sh\n", AE_IFREG, 0755, "", 0, 0}});
  const auto deb = unpack_deb(good, {}, sink);
  ASSERT_TRUE(deb.has_value()) << deb.error().render();
  EXPECT_EQ(shown(deb->files),
            "l 777 0:0 lib64 -> usr/lib64\n"
            "d 755 0:0 usr\n"
            "d 755 0:0 usr/bin\n"
            "f 4755 0:42 usr/bin/same\n"
            "f 4755 0:42 usr/bin/su\n"
            "d 755 0:0 usr/sbin\n"
            "l 777 0:0 usr/sbin/x -> ../bin/su\n");
  EXPECT_EQ(deb->files.find("usr/bin/same")->object, deb->files.find("usr/bin/su")->object);
  EXPECT_EQ(deb->files.find("usr/bin/su")->mtime_s, store::kTreeTime);

  const auto meta = read_meta(deb->meta, reader_of(sink));
  ASSERT_TRUE(meta.has_value()) << meta.error().render();
  EXPECT_EQ(meta->file("control"), kFields);
  EXPECT_EQ(meta->file("postinst"), "#!/bin/sh\n");
  EXPECT_EQ(meta->file("prerm"), "");
  EXPECT_EQ(meta->paths, (std::vector<std::string>{"/.", "/bin", "/usr/bin", "/bin/su", "/usr/bin/same",
                                                   "/usr/bin/su2", "/sbin/x", "/lib64"}));
}

TEST(DebTest, SameBytesGiveSameTrees) {
  store::MemorySink one;
  store::MemorySink two;
  const std::string bytes = fixture_deb(kFields, {{"./usr/b", "b"}, {"./usr/a", "a"}});
  const auto first = unpack_deb(bytes, {}, one);
  const auto second = unpack_deb(bytes, {}, two);
  EXPECT_EQ(first->files.digest(), second->files.digest());
  EXPECT_EQ(first->meta.digest(), second->meta.digest());
}

TEST(DebTest, FilterLeavesOutFilesButNotWhatAHardLinkNeeds) {
  store::MemorySink sink;
  const std::string bytes = fixture_deb(
      kFields, {folder_item("./usr/share/doc/x/"),
                {"./usr/share/doc/x/changelog", "log"},
                {"./usr/share/doc/x/copyright", "free"},
                {"./usr/share/x/kept", "", AE_IFREG, 0644, "./usr/share/doc/x/changelog", 0, 0}});
  const auto deb = unpack_deb(bytes, {.filter = PathFilter::slim()}, sink);
  ASSERT_TRUE(deb.has_value()) << deb.error().render();
  EXPECT_EQ(deb->files.find("usr/share/doc/x/changelog"), nullptr);
  EXPECT_NE(deb->files.find("usr/share/doc/x/copyright"), nullptr);
  ASSERT_NE(deb->files.find("usr/share/x/kept"), nullptr);
  EXPECT_EQ(*sink.content(*deb->files.find("usr/share/x/kept")->object), "log");
  const DebMeta meta = read_meta(deb->meta, reader_of(sink)).value();
  EXPECT_EQ(meta.paths.size(), 4u) << "the list of files is the package's own, as dpkg keeps it";
}

TEST(DebTest, LargeFilesGoThroughAWriter) {
  store::MemorySink sink;
  const std::string large((16 << 20) + 5, 'L');
  // The fixture's buffer is too small for it uncompressed; xz makes it fit.
  const auto deb = unpack_deb(fixture_deb(kFields, {{"./usr/lib/libbig.so.1", large}}), {}, sink);
  ASSERT_TRUE(deb.has_value()) << deb.error().render();
  EXPECT_EQ(deb->files.find("usr/lib/libbig.so.1")->size_bytes, large.size());
  EXPECT_EQ(deb->files.find("usr/lib/libbig.so.1")->object, oci::Sha256::of(large));
}

TEST(DebTest, RefusesHostileArchives) {
  const auto tar = [](const std::vector<FixtureItem>& items) {
    return fixture_tar(items, ARCHIVE_FILTER_XZ);
  };
  const std::string control = fixture_tar({{"./control", kFields}}, ARCHIVE_FILTER_GZIP);
  const auto deb = [&](const std::string& data) {
    return fixture_ar(
        {{"debian-binary", "2.0\n"}, {"control.tar.gz", control}, {"data.tar.xz", data}});
  };
  FixtureItem device{"./dev/sda", "", AE_IFBLK, 0600, "", 0, 0};
  const struct {
    const char* why;
    std::string bytes;
    Code code;
    std::string innermost;
  } cases[] = {
      {"no ar", "hello, this is no package", Code::corrupt,
       "not an ar archive: it starts with 'hello, t', want '!<arch>'"},
      {"other first member", fixture_ar({{"data.tar", ""}}), Code::corrupt,
       "not a .deb of format 2: its first member is not 'debian-binary'"},
      {"old format", fixture_ar({{"debian-binary", "0.93\n"}}), Code::corrupt,
       "not a .deb of format 2: its first member is not 'debian-binary'"},
      {"no data", fixture_ar({{"debian-binary", "2.0\n"}, {"control.tar.gz", control}}),
       Code::corrupt, "there is no member 'data.tar' in it, so it is not a .deb"},
      {"odd compression",
       fixture_ar({{"debian-binary", "2.0\n"}, {"control.tar.gz", control}, {"data.tar.rar", ""}}),
       Code::unsupported, "member 'data.tar.rar' is compressed in a way that is not supported"},
      {"no control file",
       fixture_ar({{"debian-binary", "2.0\n"},
                   {"control.tar.gz", fixture_tar({{"./x", ""}}, ARCHIVE_FILTER_GZIP)},
                   {"data.tar.xz", tar({})}}),
       Code::corrupt, "control member has no file 'control'"},
      {"dots", deb(tar({{"./usr/../../etc/passwd", "x"}})), Code::invalid,
       "path './usr/../../etc/passwd' has '..' in it"},
      {"absolute", deb(tar({{"/etc/passwd", "x"}})), Code::invalid,
       "path '/etc/passwd' is absolute, want one inside the archive"},
      {"device", deb(tar({device})), Code::invalid,
       "it is a device or a pipe, which no package may bring"},
      {"hard link out", deb(tar({{"./a", "", AE_IFREG, 0644, "/etc/shadow", 0, 0}})), Code::invalid,
       "path '/etc/shadow' is absolute, want one inside the archive"},
      {"hard link to nothing", deb(tar({{"./a", "", AE_IFREG, 0644, "./b", 0, 0}})), Code::invalid,
       "hard link to './b', which is no file before it"},
      {"data is something else", deb("this is no xz stream"), Code::corrupt,
       "not a stream of the announced compression: it starts with 'this i'"},
      {"data is empty", deb(""), Code::corrupt, "not a tar stream: it is empty"},
      {"file as folder", deb(tar({{"./a", "x"}, {"./a/b", "y"}})), Code::invalid, ""},
      {"through a link", deb(tar({link_item("./a", "/etc"), {"./a/b", "y"}})), Code::invalid,
       "'a' is a symlink and cannot hold 'a/b'"},
      {"twice", deb(tar({{"./a", "x"}, {"./a", "y"}})), Code::invalid, ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    store::MemorySink sink;
    const auto got = unpack_deb(c.bytes, {}, sink);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), c.code) << got.error().render();
    if (!c.innermost.empty()) {
      EXPECT_EQ(got.error().frames()[0], c.innermost);
    }
  }
}

TEST(DebTest, KeepsLimits) {
  store::MemorySink sink;
  const std::string bytes =
      fixture_deb(kFields, {{"./a", std::string(5000, 'a')}, {"./b", std::string(5000, 'b')}});
  const auto entries = unpack_deb(bytes, {.limits = {.entries = 1}}, sink);
  EXPECT_EQ(entries.error().frames()[0], "tar stream has more than 1 entries");
  const auto size = unpack_deb(bytes, {.limits = {.unpacked_bytes = 6000}}, sink);
  EXPECT_EQ(size.error().frames()[0], "tar stream unpacks to more than 6.0 kB");
}

TEST(DebTest, CutAnywhereIsAnError) {
  const std::string bytes = fixture_deb(kFields, {{"./a", std::string(500, 'a')}});
  for (size_t size = 0; size + 40 < bytes.size(); size += 7) {
    SCOPED_TRACE(size);
    store::MemorySink sink;
    EXPECT_FALSE(unpack_deb(std::string_view(bytes).substr(0, size), {}, sink).has_value());
  }
}

TEST(DebTest, RandomDamageNeverCrashes) {
  const std::string good = fixture_deb(kFields, {{"./usr/lib/libx.so.1", std::string(300, 'a')},
                                                 link_item("./l", "x")});
  uint32_t seed = 99;
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) {
      seed = seed * 1664525 + 1013904223;
      bytes[(seed >> 4) % bytes.size()] = static_cast<char>(seed >> 24);
    }
    store::MemorySink sink(false);
    static_cast<void>(unpack_deb(bytes, {}, sink).has_value());
  }
}

TEST(DebTest, KeyDependsOnEverything) {
  const oci::Digest a = oci::Sha256::of("a");
  const oci::Digest b = oci::Sha256::of("b");
  EXPECT_EQ(deb_key(a, {}), deb_key(a, {}));
  EXPECT_NE(deb_key(a, {}), deb_key(b, {}));
  EXPECT_NE(deb_key(a, {}), deb_key(a, {.filter = PathFilter::slim()}));
  EXPECT_NE(deb_key(a, {}), deb_key(a, {.usr_merge = false}));
}

TEST(DebTest, MergedPaths) {
  EXPECT_EQ(merged_path("bin/sh"), "usr/bin/sh");
  EXPECT_EQ(merged_path("lib"), "usr/lib");
  EXPECT_EQ(merged_path("lib64/ld.so"), "usr/lib64/ld.so");
  EXPECT_EQ(merged_path("library/x"), "library/x");
  EXPECT_EQ(merged_path("etc/bin/x"), "etc/bin/x");
}

}  // namespace
}  // namespace kist::debian
