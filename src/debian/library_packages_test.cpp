#include "debian/library_packages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kist::debian {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(LibraryPackagesTest, NamesByPolicy) {
  const struct {
    const char* soname;
    const char* package;
  } cases[] = {
      {"libffi.so.8", "libffi8"},           {"libssl.so.3", "libssl3"},
      {"libcrypto.so.3", "libssl3"},        {"libz.so.1", "zlib1g"},
      {"libbz2.so.1.0", "libbz2-1.0"},      {"libsqlite3.so.0", "libsqlite3-0"},
      {"libX11.so.6", "libx11-6"},          {"libgdbm_compat.so.4", "libgdbm-compat4"},
      {"libncursesw.so.6", "libncursesw6"}, {"libpanelw.so.6", "libncursesw6"},
      {"libgcc_s.so.1", "libgcc-s1"},       {"libstdc++.so.6", "libstdc++6"},
      {"libtk8.6.so", "libtk8.6"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.soname);
    EXPECT_THAT(packages_of_library(c.soname), ElementsAre(c.package + std::string("t64"), c.package));
  }
  EXPECT_THAT(packages_of_library("libdb-5.3.so"), ElementsAre("libdb-5.3t64", "libdb-5.3", "libdb5.3"));
}

TEST(LibraryPackagesTest, NothingForTheCLibraryAndForWhatIsNoLibrary) {
  for (const char* name : {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "", "lib",
                           "lib.so", "libx", "libx.sox", "libx.so.", "libx.so.a", "../libx.so.1",
                           "lib x.so.1", "libx;y.so.1"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(packages_of_library(name), IsEmpty());
  }
}

}  // namespace
}  // namespace kist::debian
