#include "oci/reference.h"

#include <gtest/gtest.h>

namespace kist::oci {
namespace {

const std::string kHex(64, 'a');

TEST(ReferenceTest, ParsesAsDocker) {
  const struct {
    std::string text;
    std::string registry;
    std::string repository;
    std::string tag;
    std::string name;
  } cases[] = {
      {"busybox", "", "busybox", "", "busybox:latest"},
      {"busybox:1.36", "", "busybox", "1.36", "busybox:1.36"},
      {"team/tool", "", "team/tool", "", "team/tool:latest"},
      {"localhost/x", "localhost", "x", "", "localhost/x:latest"},
      {"localhost:5000/x:y", "localhost:5000", "x", "y", "localhost:5000/x:y"},
      {"r.example/a/b/c:T_1", "r.example", "a/b/c", "T_1", "r.example/a/b/c:T_1"},
      {"[::1]:5000/x", "[::1]:5000", "x", "", "[::1]:5000/x:latest"},
      {"a__b/c-----d/e.f", "", "a__b/c-----d/e.f", "", "a__b/c-----d/e.f:latest"},
      {"Host/x", "Host", "x", "", "Host/x:latest"},
      {"x:1@sha256:" + kHex, "", "x", "1", "x:1"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = Reference::parse(c.text);
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(got->registry, c.registry);
    EXPECT_EQ(got->repository, c.repository);
    EXPECT_EQ(got->tag, c.tag);
    EXPECT_EQ(got->name(), c.name);
    EXPECT_EQ(got->string(), c.text);
  }
}

TEST(ReferenceTest, NamesInTheDefaultRegistryAreKeptWithoutIt) {
  EXPECT_EQ(Reference::parse("r.example/x:1", "r.example")->name(), "x:1");
  EXPECT_EQ(Reference::parse("r.example/x:1", "other.example")->name(), "r.example/x:1");
}

TEST(ReferenceTest, RejectsWithPreciseMessage) {
  const struct {
    std::string text;
    std::string message;
  } cases[] = {
      {"", "image name '' is empty"},
      {":tag", "image name ':tag' is empty"},
      {"Busybox", "image name 'Busybox' has upper-case letters"},
      {"a//b", "image name 'a//b' has the component ''"},
      {"a/", "image name 'a/' has the component ''"},
      {"a.-b", "image name 'a.-b' has the component 'a.-b'"},
      {"a___b", "image name 'a___b' has the component 'a___b'"},
      {"../x", "image name '../x' has the registry '..', which is no host and port"},
      {"r.example:0/x", "image name 'r.example:0/x' has the registry 'r.example:0', which is no "
                        "host and port"},
      {"x:", "image name 'x:' has the tag '', want up to 128 of A-Z a-z 0-9 _ . -"},
      {"x:-", "image name 'x:-' has the tag '-', want up to 128 of A-Z a-z 0-9 _ . -"},
      {"x\n", "image name 'x\\x0a' has the component 'x\\x0a'"},
      {kHex, "image name '" + kHex + "' has 64 hex digits, which is an id"},
      {"x@sha256:1", "image name 'x@sha256:1'"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = Reference::parse(c.text);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
  }
  EXPECT_FALSE(Reference::parse(std::string(256, 'a')).has_value());
  EXPECT_FALSE(Reference::parse("x:" + std::string(129, 'a')).has_value());
}

TEST(ReferenceTest, IdPrefixes) {
  EXPECT_TRUE(is_id_prefix("0123abc"));
  EXPECT_TRUE(is_id_prefix("sha256:0123abc"));
  EXPECT_FALSE(is_id_prefix("sha256:"));
  EXPECT_FALSE(is_id_prefix("0123abg"));
  EXPECT_FALSE(is_id_prefix(kHex + "0"));
}

}  // namespace
}  // namespace kist::oci
