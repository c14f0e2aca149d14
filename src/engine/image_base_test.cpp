#include "engine/image_base.h"

#include <gtest/gtest.h>

#include "store/memory_sink.h"
#include "store/test_home.h"

namespace kist::engine {
namespace {

using store::must;

// A base with a few packages whose names are those of real ones.
class ImageBaseTest : public testing::Test {
 protected:
  void package(const std::string& name, const std::string& needs, const std::vector<std::string>& files) {
    status_ += "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n";
    if (!needs.empty()) status_ += "Depends: " + needs + "\n";
    status_ += "\n";
    std::string list = "/.\n/usr\n";
    for (const std::string& path : files) {
      list += "/" + path + "\n";
      const std::string merged = path.starts_with("bin/") ? "usr/" + path : path;
      if (!path.ends_with("/")) must(builder_.file(merged, 0755, name + path));
    }
    must(builder_.file("var/lib/dpkg/info/" + name + ".list", 0644, list));
    must(builder_.file("var/lib/dpkg/info/" + name + ".postinst", 0755, "#!/bin/sh\n"));
  }

  void SetUp() override {
    package("base-files", "", {"usr/share/base"});
    package("bash", "libreadline8t64, libc6", {"bin/bash"});
    package("coreutils", "libselinux1 | libnothing", {"usr/bin/ls"});
    package("libselinux1", "", {"usr/lib/libselinux.so"});
    package("libreadline8t64", "libc6", {"usr/lib/libreadline.so"});
    package("libc6", "", {"usr/lib/libc.so", "usr/lib/x/gconv/UTF-16.so", "usr/lib/x/gconv/BIG5.so"});
    package("openssl", "", {"usr/bin/openssl"});
    package("ca-certificates", "openssl", {"usr/share/certificate"});
    package("needs-openssl", "openssl", {"usr/bin/needs"});
    package("mawk", "", {"usr/bin/mawk"});
    package("dpkg", "libmd0, tar", {"usr/bin/dpkg", "usr/lib/dpkg/methods"});
    package("libmd0", "", {"usr/lib/libmd.so"});
    package("tar", "", {"bin/tar"});
    package("python3", "libreadline8t64", {"usr/bin/python3"});
    package("ffmpeg", "libav", {"usr/bin/ffmpeg"});
    package("libav", "libc6", {"usr/lib/libav.so"});
    builder_.symlink("usr/bin/awk", "/etc/alternatives/awk");
    builder_.symlink("etc/alternatives/awk", "/usr/bin/mawk");
    builder_.symlink("usr/bin/nawk", "../../etc/alternatives/awk");
    builder_.symlink("usr/bin/loop", "loop");
    must(builder_.file("etc/ld.so.cache", 0644, "cache"));
    must(builder_.file("var/lib/dpkg/alternatives/awk", 0644, "auto"));
    must(builder_.file("var/lib/dpkg/status", 0644, status_));
    tree_ = must(std::move(builder_).finish());
    lock_.base = "debian:bookworm";
    lock_.system = {"ffmpeg=1"};
  }

  DebianParts split(ImageForm form) {
    const ReadObject read = [this](const store::Entry& entry) -> Result<std::string> {
      return *sink_.content(*entry.object);
    };
    return must(split_debian(tree_, lock_, form, read, sink_));
  }

  static bool has(const store::Tree& tree, std::string_view path) { return tree.find(path) != nullptr; }

  store::MemorySink sink_;
  store::TreeBuilder builder_{sink_};
  std::string status_;
  store::Tree tree_;
  python::KistSection lock_;
};

TEST_F(ImageBaseTest, DevelopmentKeepsAllAndLosesNothing) {
  const DebianParts parts = split(ImageForm::development);
  const store::Part views[] = {{"a", &parts.base}, {"b", &parts.interpreter}, {"c", &parts.debian}};
  EXPECT_EQ(must(store::merge(views)).digest(), tree_.digest());
  EXPECT_TRUE(has(parts.base, "usr/bin/bash"));
  EXPECT_TRUE(has(parts.base, "usr/lib/libreadline.so"));
  EXPECT_TRUE(has(parts.interpreter, "usr/bin/python3"));
  EXPECT_TRUE(has(parts.debian, "usr/bin/ffmpeg"));
  EXPECT_TRUE(has(parts.debian, "usr/lib/libav.so"));
  EXPECT_TRUE(has(parts.debian, "etc/ld.so.cache"));
  EXPECT_FALSE(has(parts.base, "etc/ld.so.cache"));
}

TEST_F(ImageBaseTest, ProductionHasNoPackageManagerAndNothingThatOnlyItNeeds) {
  const DebianParts parts = split(ImageForm::production);
  for (const char* gone : {"usr/bin/dpkg", "usr/lib/dpkg", "usr/lib/libmd.so"})
    EXPECT_FALSE(has(parts.base, gone) || has(parts.debian, gone)) << gone;
  for (const char* stays : {"usr/bin/bash", "usr/bin/tar", "usr/bin/ls", "usr/lib/libselinux.so"})
    EXPECT_TRUE(has(parts.base, stays)) << stays;
  EXPECT_TRUE(has(parts.debian, "usr/bin/awk"));
  // The database tells scanners what is there, and no more.
  const store::Entry* const status = parts.debian.find("var/lib/dpkg/status");
  ASSERT_NE(status, nullptr);
  const std::string text = *sink_.content(*status->object);
  EXPECT_EQ(text.size(), status->size_bytes);
  EXPECT_NE(text.find("Package: bash\n"), std::string::npos);
  EXPECT_EQ(text.find("Package: dpkg\n"), std::string::npos);
  EXPECT_TRUE(has(parts.debian, "var/lib/dpkg/info/bash.list"));
  for (const char* gone : {"var/lib/dpkg/info/dpkg.list", "var/lib/dpkg/info/bash.postinst",
                           "var/lib/dpkg/alternatives"})
    EXPECT_FALSE(has(parts.debian, gone)) << gone;
}

TEST_F(ImageBaseTest, MinimalHasNoShellAndNoLinkThatLeadsNowhere) {
  const DebianParts parts = split(ImageForm::minimal);
  for (const char* gone : {"usr/bin/bash", "usr/bin/tar", "usr/bin/ls", "usr/bin/mawk", "usr/lib/libselinux.so",
                           "usr/bin/awk", "usr/bin/nawk", "etc/alternatives/awk"})
    EXPECT_FALSE(has(parts.base, gone) || has(parts.debian, gone)) << gone;
  EXPECT_TRUE(has(parts.base, "usr/lib/libreadline.so"));  // Python needs it.
  EXPECT_TRUE(has(parts.interpreter, "usr/bin/python3"));
  EXPECT_TRUE(has(parts.debian, "usr/bin/ffmpeg"));
}

TEST_F(ImageBaseTest, WhatIsAskedForByNameStays) {
  lock_.system.push_back("bash");
  lock_.system.push_back("dpkg");
  const DebianParts parts = split(ImageForm::minimal);
  EXPECT_TRUE(has(parts.base, "usr/bin/bash"));
  EXPECT_TRUE(has(parts.base, "usr/bin/dpkg") || has(parts.debian, "usr/bin/dpkg"));
  EXPECT_FALSE(has(parts.base, "usr/bin/ls"));
}

TEST_F(ImageBaseTest, ToolsStayWhereSomethingAskedForNeedsThem) {
  EXPECT_FALSE(has(split(ImageForm::production).base, "usr/bin/openssl"));
  lock_.system.push_back("needs-openssl");
  const DebianParts parts = split(ImageForm::minimal);
  EXPECT_TRUE(has(parts.debian, "usr/bin/openssl") || has(parts.base, "usr/bin/openssl"));
}

TEST_F(ImageBaseTest, LibrariesLoseWhatNobodyRuns) {
  const struct {
    const char* path;
    bool is_left_out;
  } cases[] = {
      {"usr/lib/python3.13/test/x.py", true},       {"usr/lib/python3.13/unittest/x.py", false},
      {"opt/python/lib/python3.12/ensurepip/x", true}, {"usr/lib/python3.13/lib-dynload/_testcapi.so", true},
      {"opt/kist/lib/python3.13/site-packages/test/x.py", false}, {"usr/lib/python3.13", false},
      {"usr/lib/test/x", false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(is_left_out(c.path, ImageForm::production), c.is_left_out) << c.path;
    EXPECT_FALSE(is_left_out(c.path, ImageForm::development)) << c.path;
  }
  const DebianParts with_system = split(ImageForm::production);
  EXPECT_TRUE(has(with_system.debian, "usr/lib/x/gconv/BIG5.so"));
  EXPECT_TRUE(has(with_system.base, "usr/lib/x/gconv/UTF-16.so"));
  lock_.system.clear();
  const DebianParts without = split(ImageForm::production);
  EXPECT_FALSE(has(without.debian, "usr/lib/x/gconv/BIG5.so"));
  EXPECT_EQ(without.base.digest(), with_system.base.digest());
}

TEST_F(ImageBaseTest, TheBaseIsTheSameWhateverElseIsAskedFor) {
  const oci::Digest with = split(ImageForm::production).base.digest();
  lock_.system.clear();
  EXPECT_EQ(split(ImageForm::production).base.digest(), with);
}

TEST_F(ImageBaseTest, AnEmptyTreeIsAnError) {
  const ReadObject read = [](const store::Entry&) -> Result<std::string> { return std::string(); };
  const auto parts = split_debian(store::Tree(), lock_, ImageForm::production, read, sink_);
  EXPECT_EQ(parts.error().message(), "the base has no var/lib/dpkg/status");
}

}  // namespace
}  // namespace kist::engine
