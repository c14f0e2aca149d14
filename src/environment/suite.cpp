#include "environment/suite.h"

#include "base/text.h"
#include "debian/base_set.h"
#include "python/versions.h"

namespace kist::environment {
namespace {

constexpr std::string_view kDebian = "debian:";
// Of the versions that people may want and a standalone build may be of.
constexpr int kOldestPython = 8;
constexpr int kNewestPython = 15;

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

// Of "3.13" every micro release counts that there may be: which one a suite has is not known here.
Result<bool> satisfies(const std::string& minor, const python::Inputs& inputs) {
  if (!inputs.python.empty() && minor_of(inputs.python) != minor) return false;
  if (inputs.requires_python.empty()) return true;
  const auto wanted = TRY(python::VersionSpecifiers::parse(inputs.requires_python), "requires-python");
  // Late micro releases: ">=3.11.2" is satisfied by what a stable suite has.
  const auto version = TRY(python::Version::parse(minor + ".99"));
  const auto first = TRY(python::Version::parse(minor));
  return wanted.contains(version) || wanted.contains(first);
}

std::string wanted_python(const python::Inputs& inputs) {
  std::string wanted;
  if (!inputs.python.empty())
    wanted = fmt::format("Python {} ({})", printable(inputs.python), printable(inputs.python_from));
  if (!inputs.requires_python.empty())
    wanted += fmt::format("{}Python {}", wanted.empty() ? "" : ", ", printable(inputs.requires_python));
  return wanted;
}

// The newest Python that would do: what a standalone build should be of.
std::string newest_satisfying(const python::Inputs& inputs) {
  for (int minor = kNewestPython; minor >= kOldestPython; --minor) {
    const std::string version = fmt::format("3.{}", minor);
    const auto good = satisfies(version, inputs);
    if (good && *good) return inputs.python.empty() ? version : inputs.python;
  }
  return "";
}

Error nothing_satisfies(const python::Inputs& inputs, const std::string& platform) {
  std::string have;
  for (const std::string& name : debian::known_suites())
    if (const auto suite = suite_named(name))
      have += fmt::format("{}{} ({})", have.empty() ? "" : ", ", suite->python, suite->base());
  Error error(Code::unsupported, "the project wants {}; there is Python {}", wanted_python(inputs), have);
  const std::string version = newest_satisfying(inputs);
  if (version.empty())
    return std::move(error).hint(
        "change what the project asks for, for example `python = \"3.13\"` under [environment] in kist.toml");
  const std::string micro = minor_of(version) == version ? version + ".…" : version;
  return std::move(error).hint(fmt::format(
      "for a standalone build of Python {} write under [environment] in kist.toml: `interpreter = {{ url = "
      "\"https://…/cpython-{}-{}-unknown-linux-gnu-install_only.tar.gz\", sha256 = \"…\" }}`",
      version, micro, platform == "linux/arm64" ? "aarch64" : "x86_64"));
}

}  // namespace

Result<Suite> suite_of_base(const std::string& base) {
  if (!base.starts_with(kDebian))
    return Error(Code::unsupported, "base '{}' is no Debian suite", printable(base))
        .hint("`base = \"debian:trixie\"` under [environment] in kist.toml");
  return suite_named(base.substr(kDebian.size()));
}

Result<Suite> newest_suite() { return suite_named(debian::known_suites().front()); }

Result<Suite> choose_suite(const python::Inputs& inputs, const std::string& platform) {
  const bool has_own = inputs.settings.interpreter_for(platform) != nullptr;
  if (!inputs.settings.base.empty()) {
    const Suite suite = TRY(suite_of_base(inputs.settings.base));
    const bool good = TRY(satisfies(suite.python, inputs));
    if (good || has_own) return suite;
    return Error(Code::unsupported, "base '{}' has Python {}, which is not what the project asks for ({})",
                 inputs.settings.base, suite.python,
                 printable(inputs.python.empty() ? inputs.requires_python : inputs.python))
        .hint("leave `base` out of kist.toml and kist chooses one");
  }
  for (const std::string& name : debian::known_suites()) {
    const Suite suite = TRY(suite_named(name));
    const bool good = TRY(satisfies(suite.python, inputs));
    if (good || has_own) return suite;
  }
  return nothing_satisfies(inputs, platform);
}

Result<void> check_python(const std::string& version, const python::Inputs& inputs) {
  // "3.12" may be any 3.12; "3.12.4" is that one and no other.
  const bool named = inputs.python.empty() || inputs.python == version ||
                     inputs.python == minor_of(version) || version == minor_of(inputs.python);
  bool in_range = true;
  if (!inputs.requires_python.empty()) {
    if (version == minor_of(version)) {
      in_range = TRY(satisfies(version, inputs));
    } else {
      const auto wanted = TRY(python::VersionSpecifiers::parse(inputs.requires_python), "requires-python");
      const auto got = TRY(python::Version::parse(version));
      in_range = wanted.contains(got);
    }
  }
  if (named && in_range) return {};
  return Error(Code::unsupported, "the interpreter is Python {}, the project wants {}", printable(version),
               wanted_python(inputs))
      .hint("change `interpreter` under [environment] in kist.toml, or what the project asks for");
}

}  // namespace kist::environment
