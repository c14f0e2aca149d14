#include "environment/python_packages.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

using Kind = python::SelectedPackage::Kind;

std::string direct_url(const python::SelectedPackage& package, const std::string& lock_folder) {
  const auto json = direct_url_json(package, lock_folder);
  return json && *json ? **json : "(none)";
}

// Where a project lies is no part of its lock, and must not become one of its tree.
TEST(DirectUrlTest, NamesNoFolderOfThisMachine) {
  python::SelectedPackage folder{.name = "a", .kind = Kind::directory, .directory = {.path = "lib"}};
  EXPECT_EQ(direct_url(folder, "/home/ada/project"), R"({"dir_info": {}, "url": "file:///app/lib"})");
  EXPECT_EQ(direct_url(folder, "/home/ada/project"), direct_url(folder, "/srv/p"));
  folder.directory.path = ".";
  EXPECT_EQ(direct_url(folder, "/srv/p"), R"({"dir_info": {}, "url": "file:///app"})");
  folder.directory.path = "../beside it";
  EXPECT_EQ(direct_url(folder, "/srv/p"), R"({"dir_info": {}, "url": "file:///beside%20it"})");
  folder.directory.path = "/opt/lib";
  EXPECT_EQ(direct_url(folder, "/srv/p"), R"({"dir_info": {}, "url": "file:///opt/lib"})");

  const python::LockedFile wheel{.name = "b-1-py3-none-any.whl", .path = "wheels/b-1-py3-none-any.whl",
                                 .hashes = {{"sha256", std::string(64, 'a')}}};
  const python::SelectedPackage archive{.name = "b", .kind = Kind::archive, .file = wheel};
  EXPECT_NE(direct_url(archive, "/srv/p").find("file:///app/wheels/b-1-py3-none-any.whl"), std::string::npos);
}

// An editable one is read from there, so that it is told.
TEST(DirectUrlTest, EditableIsWhereItIs) {
  const python::SelectedPackage package{
      .name = "a", .kind = Kind::directory, .directory = {.path = "nowhere", .editable = true}};
  EXPECT_EQ(direct_url(package, "/srv/p"),
            R"({"dir_info": {"editable": true}, "url": "file:///srv/p/nowhere"})");
}

TEST(DirectUrlTest, NothingForAnIndex) {
  EXPECT_EQ(direct_url({.name = "a", .kind = Kind::wheel}, "/p"), "(none)");
}

}  // namespace
}  // namespace kist::environment
