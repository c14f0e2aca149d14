#include "environment/suite.h"

#include "base/text.h"
#include "debian/base_set.h"
#include "python/versions.h"

namespace kist::environment {
namespace {

constexpr std::string_view kDebian = "debian:";

Result<Suite> suite_named(const std::string& name) {
  const debian::BaseSet set = TRY(debian::base_packages(name));
  const auto glibc = python::glibc_minor_of_suite(name);
  KIST_ASSERT(glibc.has_value());
  return Suite{.name = name, .python = set.python, .glibc_minor = *glibc};
}

// "3.11" of "3.11.4": which micro release a suite has is its security team's business.
std::string minor_of(const std::string& version) {
  const auto parts = split(version, '.');
  return parts.size() < 2 ? version : fmt::format("{}.{}", parts[0], parts[1]);
}

Result<bool> satisfies(const Suite& suite, const python::Inputs& inputs) {
  if (!inputs.python.empty() && minor_of(inputs.python) != suite.python) return false;
  if (inputs.requires_python.empty()) return true;
  const auto wanted = TRY(python::VersionSpecifiers::parse(inputs.requires_python), "requires-python");
  // Late micro releases: ">=3.11.2" is satisfied by what a stable suite has.
  const auto version = TRY(python::Version::parse(suite.python + ".99"));
  const auto first = TRY(python::Version::parse(suite.python));
  return wanted.contains(version) || wanted.contains(first);
}

Error nothing_satisfies(const python::Inputs& inputs) {
  std::string have;
  for (const std::string& name : debian::known_suites())
    if (const auto suite = suite_named(name))
      have += fmt::format("{}{} ({})", have.empty() ? "" : ", ", suite->python, suite->base());
  std::string wanted;
  if (!inputs.python.empty())
    wanted = fmt::format("Python {} ({})", printable(inputs.python), printable(inputs.python_from));
  if (!inputs.requires_python.empty())
    wanted += fmt::format("{}Python {}", wanted.empty() ? "" : ", ", printable(inputs.requires_python));
  return Error(Code::unsupported, "the project wants {}; there is Python {}", wanted, have)
      .hint("change what the project asks for, for example `python = \"3.13\"` under [environment] in kist.toml");
}

}  // namespace

Result<Suite> suite_of_base(const std::string& base) {
  if (!base.starts_with(kDebian))
    return Error(Code::unsupported, "base '{}' is not supported yet, only debian:SUITE", printable(base))
        .hint("`base = \"debian:trixie\"` under [environment] in kist.toml");
  return suite_named(base.substr(kDebian.size()));
}

Result<Suite> choose_suite(const python::Inputs& inputs) {
  if (!inputs.settings.base.empty()) {
    const Suite suite = TRY(suite_of_base(inputs.settings.base));
    const bool good = TRY(satisfies(suite, inputs));
    if (good) return suite;
    return Error(Code::unsupported, "base '{}' has Python {}, which is not what the project asks for ({})",
                 inputs.settings.base, suite.python,
                 printable(inputs.python.empty() ? inputs.requires_python : inputs.python))
        .hint("leave `base` out of kist.toml and kist chooses one");
  }
  for (const std::string& name : debian::known_suites()) {
    const Suite suite = TRY(suite_named(name));
    const bool good = TRY(satisfies(suite, inputs));
    if (good) return suite;
  }
  return nothing_satisfies(inputs);
}

}  // namespace kist::environment
