#include "python/lock_python.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

std::string range_of_poetry(const std::string& constraint) {
  return python_of_lock(InputKind::poetry_lock,
                        "[metadata]\npython-versions = \"" + constraint + "\"\n").requires_range;
}

TEST(LockPythonTest, PoetrysWords) {
  const struct {
    const char* poetry;
    const char* range;
  } kCases[] = {
      {">=3.9,<4.0", ">=3.9,<4.0"}, {"^3.9", ">=3.9,<4"},   {"^3.9.1, !=3.10.*", ">=3.9.1,<4,!=3.10.*"},
      {"~3.11", ">=3.11,<3.12"},    {"~3", ">=3,<4"},       {"~=3.11", "~=3.11"},
      {"3.11.*", "==3.11.*"},       {"*", ""},              {"^3.8 || ^3.10", ""},
      {"^x", ""},                   {">=3.9 <4", ""},       {"", ""},
  };
  for (const auto& c : kCases) EXPECT_EQ(range_of_poetry(c.poetry), c.range) << c.poetry;
}

TEST(LockPythonTest, OtherLocks) {
  const std::string toml = "requires-python = \">=3.10, <3.12\"\n";
  EXPECT_EQ(python_of_lock(InputKind::uv_lock, toml).requires_range, ">=3.10, <3.12");
  EXPECT_EQ(python_of_lock(InputKind::pylock, toml).requires_range, ">=3.10, <3.12");
  const auto version = [](const std::string& wanted) {
    return python_of_lock(InputKind::pipfile_lock, R"({"_meta": {"requires": )" + wanted + "}}").version;
  };
  EXPECT_EQ(version(R"({"python_version": "3.11"})"), "3.11");
  EXPECT_EQ(version(R"({"python_version": "3.11", "python_full_version": "3.11.4"})"), "3.11.4");
  EXPECT_EQ(version(R"({"python_version": "*"})"), "");
  EXPECT_EQ(version(R"({"python_version": "three"})"), "");
  EXPECT_EQ(version(R"({"python_version": 3})"), "");
  EXPECT_EQ(version("[]"), "");
}

TEST(LockPythonTest, WhatIsNoLockSaysNothing) {
  for (const InputKind kind : {InputKind::uv_lock, InputKind::poetry_lock, InputKind::pipfile_lock}) {
    EXPECT_EQ(python_of_lock(kind, "\x01 = [[[").requires_range, "");
    EXPECT_EQ(python_of_lock(kind, "{\"_meta\": 1}").version, "");
  }
}

}  // namespace
}  // namespace kist::python
