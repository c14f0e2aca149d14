#include "debian/base_set.h"

#include "base/text.h"

namespace kist::debian {
namespace {

struct Suite {
  const char* name;
  const char* python;
};
constexpr Suite kSuites[] = {{"trixie", "3.13"}, {"bookworm", "3.11"}};

// dpkg is in it so that `dpkg -l` answers inside, and because python3-minimal of bookworm needs it.
constexpr const char* kPackages[] = {
    "base-files", "base-passwd", "libc6",       "libc-bin",   "dash",     "bash",
    "coreutils",  "sed",         "grep",        "mawk",       "findutils", "diffutils",
    "tar",        "gzip",        "debianutils", "hostname",   "dpkg",     "ca-certificates",
    "netbase",    "tzdata",      "media-types", "libstdc++6", "libgcc-s1", "libgomp1"};

}  // namespace

Result<BaseSet> base_packages(const std::string& suite) {
  for (const Suite& known : kSuites) {
    if (suite != known.name) continue;
    BaseSet set{.suite = suite, .python = known.python, .packages = {}, .interpreter = {}};
    set.packages.assign(std::begin(kPackages), std::end(kPackages));
    set.interpreter = {"python3", "python3-minimal", "python" + set.python};
    return set;
  }
  return Error(Code::unsupported, "'{}' is no Debian suite that kist can assemble",
               printable(suite))
      .hint(fmt::format("use one of: {}", fmt::join(known_suites(), ", ")));
}

std::vector<std::string> known_suites() {
  std::vector<std::string> out;
  for (const Suite& known : kSuites) out.emplace_back(known.name);
  return out;
}

}  // namespace kist::debian
