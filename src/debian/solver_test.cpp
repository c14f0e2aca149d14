#include "debian/solver.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "debian/base_set.h"
#include "debian/raw_stream.h"
#include "os/files.h"

namespace kist::debian {
namespace {

std::string compressed(const std::string& text, int filter = ARCHIVE_FILTER_XZ) {
  std::string out(1 << 20, '\0');
  size_t used = 0;
  const std::unique_ptr<::archive, int (*)(::archive*)> raw(::archive_write_new(),
                                                            ::archive_write_free);
  ::archive_write_set_format_raw(raw.get());
  ::archive_write_add_filter(raw.get(), filter);
  ::archive_write_open_memory(raw.get(), out.data(), out.size(), &used);
  ::archive_entry* entry = ::archive_entry_new();
  ::archive_entry_set_filetype(entry, AE_IFREG);
  ::archive_write_header(raw.get(), entry);
  ::archive_write_data(raw.get(), text.data(), text.size());
  ::archive_entry_free(entry);
  ::archive_write_close(raw.get());
  out.resize(used);
  return out;
}

std::string package(const std::string& name, const std::string& version, const std::string& more = "",
                    const std::string& architecture = "amd64") {
  return fmt::format(
      "Package: {0}\nVersion: {1}\nArchitecture: {3}\nMaintainer: x\n{2}"
      "Filename: pool/main/{0}_{1}_{3}.deb\nSize: {4}\nSHA256: {5}\nDescription: d\n\n",
      name, version, more, architecture, name.size() * 1000, oci::Sha256::of(name + version).hex());
}

class SolverTest : public ::testing::Test {
 protected:
  PackagesIndex index(const std::string& suite, const std::string& text) {
    const std::string bytes = compressed(text);
    PackagesIndex out{suite, "main", "amd64", "http://m.test", oci::Sha256::of(bytes), ""};
    out.path = os::join(folder_.path(), suite + ".xz");
    EXPECT_TRUE(os::write_file_atomically(out.path, bytes).has_value());
    return out;
  }
  Result<std::vector<LockedDeb>> solve(const std::string& text, const SolveRequest& request) {
    Solver solver = TRY(Solver::open({index("trixie", text)}, request.architecture, folder_.path()));
    return solver.solve(request);
  }
  std::string names(const std::string& text, std::vector<std::string> packages,
                    std::vector<std::string> with_recommends = {}) {
    const auto solved =
        solve(text, {.packages = std::move(packages), .with_recommends = std::move(with_recommends)});
    if (!solved) return solved.error().message();
    std::vector<std::string> out;
    for (const LockedDeb& deb : *solved) out.push_back(deb.name);
    std::sort(out.begin(), out.end());
    return fmt::format("{}", fmt::join(out, " "));
  }
  os::TempDir folder_ = os::TempDir::make("/tmp", "solver.").value();
};

TEST_F(SolverTest, LocksWithHashSizeAndPath) {
  const auto solved = solve(package("a", "1:2.0-3", "Depends: b (>= 1)\n") + package("b", "1", "", "all"),
                            {.packages = {"a"}});
  ASSERT_TRUE(solved.has_value()) << solved.error().render();
  ASSERT_EQ(solved->size(), 2u);
  EXPECT_EQ((*solved)[0].name, "b") << "what is depended on comes first";
  EXPECT_EQ((*solved)[0].architecture, "all");
  const LockedDeb& a = (*solved)[1];
  EXPECT_EQ(a.version, "1:2.0-3");
  EXPECT_EQ(a.architecture, "amd64");
  EXPECT_EQ(a.size_bytes, 1000u);
  EXPECT_EQ(a.path, "pool/main/a_1:2.0-3_amd64.deb");
  EXPECT_EQ(a.suite, "trixie");
  EXPECT_EQ(a.sha256, oci::Sha256::of("a1:2.0-3"));
}

TEST_F(SolverTest, DependencySemanticsOfDebian) {
  const struct {
    const char* why;
    std::string index;
    std::vector<std::string> request;
    const char* names;
  } cases[] = {
      {"newest", package("a", "1") + package("a", "2~rc1") + package("a", "10"), {"a"}, "a"},
      {"first alternative", package("a", "1", "Depends: x | y\n") + package("y", "1") + package("x", "1"),
       {"a"}, "a x"},
      {"first alternative over its provider",
       package("a", "1", "Depends: default | virtual\n") + package("other", "1", "Provides: virtual\n") +
           package("default", "1", "Provides: virtual\n"),
       {"a"}, "a default"},
      {"alternative that is asked for",
       package("a", "1", "Depends: x | y\n") + package("y", "1") + package("x", "1"), {"a", "y"}, "a y"},
      {"alternative without the first", package("a", "1", "Depends: gone | y\n") + package("y", "1"),
       {"a"}, "a y"},
      {"virtual", package("a", "1", "Depends: v\n") + package("p", "1", "Provides: v\n"), {"a"}, "a p"},
      {"versioned provides",
       package("a", "1", "Depends: v (>= 2)\n") + package("p", "1", "Provides: v (= 1)\n") +
           package("q", "1", "Provides: v (= 3)\n"),
       {"a"}, "a q"},
      {"any architecture",
       package("a", "1", "Depends: py:any\n") + package("py", "1", "Multi-Arch: allowed\n"), {"a"}, "a py"},
      {"pre-depends", package("a", "1", "Pre-Depends: b\n") + package("b", "1"), {"a"}, "a b"},
      {"no recommends", package("a", "1", "Recommends: b\n") + package("b", "1"), {"a"}, "a"},
      {"essential is not added", package("a", "1") + package("e", "1", "Essential: yes\n"), {"a"}, "a"},
      {"conflict takes the other",
       package("a", "1", "Depends: x | y\nConflicts: x\n") + package("x", "1") + package("y", "1"),
       {"a"}, "a y"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(names(c.index, c.request), c.names);
  }
}

TEST_F(SolverTest, RecommendsOnlyOfTheNamed) {
  const std::string text = package("base", "1", "Recommends: never\n") + package("never", "1") +
                           package("a", "1", "Depends: base\nRecommends: b | z, gone\n") +
                           package("b", "1", "Recommends: c\n") + package("c", "1") + package("z", "1");
  EXPECT_EQ(names(text, {"a"}), "a base");
  EXPECT_EQ(names(text, {"a"}, {"a"}), "a b base c never") << "of what the named one brings, too";
  EXPECT_EQ(names(text, {"a", "base"}, {"base"}), "a base never");
}

TEST_F(SolverTest, ProblemsInWords) {
  const std::string text = package("python3", "1") + package("broken", "1", "Depends: gone (>= 2)\n") +
                           package("x", "1", "Conflicts: y\n") + package("y", "1");
  const auto unknown = solve(text, {.packages = {"pyhton3"}});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code(), Code::not_found);
  EXPECT_EQ(unknown.error().message(), "there is no Debian package 'pyhton3' in trixie");
  EXPECT_EQ(unknown.error().hint_text(), "did you mean `python3`?");
  EXPECT_EQ(solve(text, {.packages = {"python3=9"}}).error().message(),
            "package 'python3' has no version '9', only 1");
  EXPECT_EQ(names(text, {"broken"}),
            "the Debian packages do not fit together: nothing provides gone >= 2 needed by "
            "broken-1.amd64");
  EXPECT_NE(names(text, {"x", "y"}).find("conflicts with y"), std::string::npos) << names(text, {"x", "y"});
}

TEST_F(SolverTest, PinsAndKeeps) {
  const std::string text = package("a", "1", "Depends: b\n") + package("a", "2", "Depends: b\n") +
                           package("b", "1") + package("b", "2");
  const auto version_of = [](const std::vector<LockedDeb>& all, const std::string& name) {
    for (const LockedDeb& deb : all)
      if (deb.name == name) return deb.version;
    return std::string("none");
  };
  const auto pinned = solve(text, {.packages = {"a=1"}});
  EXPECT_EQ(version_of(*pinned, "a"), "1");
  EXPECT_EQ(version_of(*pinned, "b"), "2");
  const auto kept = solve(text, {.packages = {"a"}, .keep = {*&(*pinned)[0], (*pinned)[1]}});
  EXPECT_EQ(version_of(*kept, "a"), "1");
  EXPECT_EQ(version_of(*kept, "b"), "2");
}

// Goal: the second open reads the cache and gives the same answer; a damaged cache is passed over.
TEST_F(SolverTest, CacheGivesTheSameAnswer) {
  const std::string text = package("a", "1", "Depends: b\n") + package("b", "1");
  const auto first = solve(text, {.packages = {"a"}});
  const auto files = os::list_folder(folder_.path()).value();
  const auto cached = std::find_if(files.begin(), files.end(), [](const std::string& name) {
    return name.find(".solv") != std::string::npos;
  });
  ASSERT_NE(cached, files.end());
  EXPECT_EQ(*first, *solve(text, {.packages = {"a"}}));
  ASSERT_TRUE(os::write_file_atomically(os::join(folder_.path(), *cached), "SOLVbroken").has_value());
  EXPECT_EQ(*first, *solve(text, {.packages = {"a"}}));
}

TEST_F(SolverTest, SecurityAndUpdatesAreOneArchive) {
  auto solver = Solver::open({index("trixie", package("a", "1-1")),
                              index("trixie-security", package("a", "1-1+deb13u1"))},
                             "amd64", folder_.path());
  ASSERT_TRUE(solver.has_value());
  const auto solved = solver->solve({.packages = {"a"}});
  EXPECT_EQ((*solved)[0].version, "1-1+deb13u1");
  EXPECT_EQ((*solved)[0].suite, "trixie-security");
}

TEST_F(SolverTest, HostileIndexes) {
  const std::string no_hash = "Package: a\nVersion: 1\nArchitecture: amd64\nFilename: pool/a\nSize: 1\n\n";
  EXPECT_EQ(names(no_hash, {"a"}), "package 'a' has no SHA256 in the index of 'trixie'");
  std::string escape = package("a", "1");
  escape.replace(escape.find("pool/main"), 4, "../.");
  EXPECT_NE(names(escape, {"a"}).find("has the file name"), std::string::npos) << names(escape, {"a"});
  std::string size = package("a", "1");
  size.replace(size.find("Size: "), 7, "Size: x");
  EXPECT_EQ(names(size, {"a"}), "index of 'trixie'");
  PackagesIndex changed = index("trixie", package("a", "1"));
  ASSERT_TRUE(os::write_file_atomically(changed.path, compressed("x")).has_value());
  EXPECT_NE(Solver::open({changed}, "amd64", folder_.path()).error().message().find("has changed"),
            std::string::npos);
  EXPECT_EQ(names("", {"a"}), "there is no Debian package 'a' in trixie");
}

TEST(RawStreamTest, UnpacksWithinLimits) {
  EXPECT_EQ(decompress_whole(compressed("hello"), 100).value(), "hello");
  EXPECT_EQ(decompress_whole(compressed("hello", ARCHIVE_FILTER_GZIP), 100).value(), "hello");
  EXPECT_EQ(decompress_whole(compressed(std::string(2000, 'x')), 1999).error().message(),
            "unpacks to more than 2.0 kB");
  EXPECT_EQ(decompress_whole("plain", 100).error().message(),
            "neither xz nor gzip, it starts with 'plain'");
  const std::string whole = compressed(std::string(2000, 'x'));
  EXPECT_EQ(decompress_whole(whole.substr(0, whole.size() / 2), 9999).error().code(), Code::corrupt);
}

TEST(BaseSetTest, KnowsItsSuites) {
  EXPECT_EQ(base_packages("bookworm")->python, "3.11");
  EXPECT_EQ(base_packages("trixie")->interpreter.back(), "python3.13");
  EXPECT_EQ(base_packages("sid").error().message(), "'sid' is no Debian suite that kist can assemble");
  EXPECT_EQ(base_packages("sid").error().hint_text(), "use one of: trixie, bookworm");
}

}  // namespace
}  // namespace kist::debian
