#include "environment/suite.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

python::Inputs wanting(const std::string& python, const std::string& range = "") {
  python::Inputs inputs;
  inputs.python = python;
  inputs.python_from = ".python-version";
  inputs.requires_python = range;
  return inputs;
}

TEST(SuiteTest, TheNewestWhosePythonFits) {
  EXPECT_EQ(choose_suite(wanting(""), "linux/amd64")->name, "trixie");
  EXPECT_EQ(choose_suite(wanting("3.11"), "linux/amd64")->name, "bookworm");
  EXPECT_EQ(choose_suite(wanting("3.11.4"), "linux/amd64")->name, "bookworm");
  EXPECT_EQ(choose_suite(wanting("", "<3.13"), "linux/amd64")->name, "bookworm");
}

// The whole text is what a person can do about it.
TEST(SuiteTest, NoSuiteFits) {
  const struct {
    python::Inputs inputs;
    const char* platform;
    const char* said;
  } cases[] = {
      {wanting("3.12"), "linux/amd64",
       "error: the project wants Python 3.12 (.python-version); there is Python 3.13 (debian:trixie), 3.11 "
       "(debian:bookworm)\n\nhint: for a standalone build of Python 3.12 write under [environment] in kist.toml: "
       "`interpreter = { url = \"https://…/cpython-3.12.…-x86_64-unknown-linux-gnu-install_only.tar.gz\", sha256 = "
       "\"…\" }`\n"},
      {wanting("", ">=3.9,<3.11"), "linux/arm64",
       "error: the project wants Python >=3.9,<3.11; there is Python 3.13 (debian:trixie), 3.11 "
       "(debian:bookworm)\n\nhint: for a standalone build of Python 3.10 write under [environment] in kist.toml: "
       "`interpreter = { url = \"https://…/cpython-3.10.…-aarch64-unknown-linux-gnu-install_only.tar.gz\", sha256 = "
       "\"…\" }`\n"},
      {wanting("", "<3"), "linux/amd64",
       "error: the project wants Python <3; there is Python 3.13 (debian:trixie), 3.11 (debian:bookworm)\n\nhint: "
       "change what the project asks for, for example `python = \"3.13\"` under [environment] in kist.toml\n"},
  };
  for (const auto& c : cases) {
    const auto got = choose_suite(c.inputs, c.platform);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().render(), c.said);
  }
}

TEST(SuiteTest, WithAnInterpreterOfItsOwnTheSuiteNeedNotFit) {
  python::Inputs inputs = wanting("3.12");
  inputs.settings.interpreters["linux/amd64"] = {};
  EXPECT_EQ(choose_suite(inputs, "linux/amd64")->name, "trixie");
  EXPECT_FALSE(choose_suite(inputs, "linux/arm64").has_value());
  inputs.settings.base = "debian:bookworm";
  EXPECT_EQ(choose_suite(inputs, "linux/amd64")->name, "bookworm");
}

TEST(SuiteTest, CheckPython) {
  const struct {
    const char* version;
    python::Inputs inputs;
    bool good;
  } cases[] = {
      {"3.12.7", wanting(""), true},         {"3.12.7", wanting("3.12"), true},
      {"3.12.7", wanting("3.12.7"), true},   {"3.12.7", wanting("3.12.4"), false},
      {"3.12.7", wanting("3.11"), false},    {"3.12", wanting("3.12.4"), true},
      {"3.12.7", wanting("", ">=3.10"), true}, {"3.12.7", wanting("", "<3.12.5"), false},
      {"3.12", wanting("", "<3.12.5"), true},  {"3.12.7", wanting("3.12", "<3.12"), false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(check_python(c.version, c.inputs).has_value(), c.good)
        << c.version << " " << c.inputs.python << " " << c.inputs.requires_python;
  EXPECT_EQ(check_python("3.12.7", wanting("3.11")).error().render(),
            "error: the interpreter is Python 3.12.7, the project wants Python 3.11 (.python-version)\n\nhint: change "
            "`interpreter` under [environment] in kist.toml, or what the project asks for\n");
}

}  // namespace
}  // namespace kist::environment
