#include "python/tags.h"

#include <algorithm>

#include "base/text.h"
#include "python/pylock.h"
#include "python/versions.h"

namespace kist::python {
namespace {

constexpr uint32_t kOldestMinor = 8;  // Of Python, as a target.
constexpr uint32_t kNewestMinor = 99;
constexpr size_t kMaxNameBytes = 255;  // A file name.

// The platform tags that musl 1.`musl_minor` takes, the newest first (PEP 656).
std::vector<std::string> musl_platforms(const std::string& machine, uint32_t musl_minor) {
  std::vector<std::string> out;
  for (uint32_t minor = musl_minor; minor >= 1; --minor)
    out.push_back(fmt::format("musllinux_1_{}_{}", minor, machine));
  out.push_back("linux_" + machine);
  return out;
}

// The platform tags that glibc 2.`glibc_minor` on `machine` takes, the newest first (PEP 600).
std::vector<std::string> platforms(const std::string& machine, uint32_t glibc_minor) {
  // 2.5 on x86_64; other machines have no manylinux below 2014, which is 2.17.
  const bool x86 = machine == "x86_64";
  const uint32_t oldest = x86 ? 5 : 17;
  std::vector<std::string> out;
  for (uint32_t minor = glibc_minor; minor >= oldest; --minor) {
    out.push_back(fmt::format("manylinux_2_{}_{}", minor, machine));
    if (minor == 17) out.push_back("manylinux2014_" + machine);
    if (minor == 12 && x86) out.push_back("manylinux2010_" + machine);
    if (minor == 5 && x86) out.push_back("manylinux1_" + machine);
  }
  out.push_back("linux_" + machine);
  return out;
}

std::vector<std::string> pieces(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view piece : split(text, '.')) out.push_back(to_lower(piece));
  return out;
}

// A build tag sorts by its number, then by what follows: "2" before "10", "1a" before "1b".
std::pair<uint64_t, std::string> build_key(const std::string& build) {
  const size_t digits = std::min(build.find_first_not_of("0123456789"), build.size());
  return {parse_number(build.substr(0, digits)).value_or(0), build.substr(digits)};
}

}  // namespace

std::string Target::machine() const { return platform == "linux/arm64" ? "aarch64" : "x86_64"; }

std::string Target::libc() const {
  return musl_minor != 0 ? fmt::format("musl 1.{}", musl_minor) : fmt::format("glibc 2.{}", glibc_minor);
}

std::string Target::describe() const {
  return fmt::format("Python {} on {} ({})", python(), platform, libc());
}

Result<void> set_libc(std::string_view libc, Target& target) {
  const auto minor_after = [&](std::string_view start) -> std::optional<uint32_t> {
    if (!libc.starts_with(start)) return std::nullopt;
    const auto minor = parse_number(libc.substr(start.size()));
    if (!minor || *minor == 0 || *minor > kNewestMinor) return std::nullopt;
    return static_cast<uint32_t>(*minor);
  };
  const auto glibc = minor_after("glibc 2.");
  const auto musl = minor_after("musl 1.");
  if (!glibc && !musl)
    return Error(Code::invalid, "'{}' is no C library, want 'glibc 2.MINOR' or 'musl 1.MINOR'", printable(libc));
  target.glibc_minor = glibc.value_or(0);
  target.musl_minor = musl.value_or(0);
  return {};
}

std::optional<uint32_t> glibc_minor_of_suite(std::string_view suite) {
  if (suite == "bookworm") return 36;
  if (suite == "trixie") return 41;
  return std::nullopt;
}

Result<Target> make_target(std::string_view platform, std::string_view python,
                           uint32_t glibc_minor) {
  if (platform != "linux/amd64" && platform != "linux/arm64") {
    return Error(Code::unsupported,
                 "platform '{}' is not supported, only linux/amd64 and linux/arm64",
                 printable(platform));
  }
  const Version version = TRY(Version::parse(python), "Python version");
  const std::vector<uint64_t>& release = version.release();
  if (release.size() < 2 || release.size() > 3) {
    return Error(Code::invalid, "Python version '{}' has {} parts, want 2 or 3, as in '3.11'",
                 printable(python), release.size());
  }
  if (release[0] != 3 || release[1] < kOldestMinor || release[1] > kNewestMinor) {
    return Error(Code::unsupported, "Python {} is not supported, only 3.{} and later",
                 printable(python), kOldestMinor);
  }
  return Target{.platform = std::string(platform),
                .python_minor = static_cast<uint32_t>(release[1]),
                .python_full = release.size() == 3 ? version.string() : "",
                .glibc_minor = glibc_minor};
}

Result<WheelName> parse_wheel_name(std::string_view file_name) {
  const auto wrong = [&](std::string_view why) {
    return Error(Code::invalid, "'{}' is not a wheel's name: {}", printable(file_name), why);
  };
  if (!file_name.ends_with(".whl")) return wrong("it does not end with '.whl'");
  if (file_name.size() > kMaxNameBytes) return wrong("it is too long");
  const auto parts = split(file_name.substr(0, file_name.size() - 4), '-');
  if (parts.size() != 5 && parts.size() != 6) {
    return wrong(fmt::format("it has {} parts between '-', want 5 or 6", parts.size()));
  }
  for (const std::string_view part : parts)
    if (part.empty() || part.find('/') != std::string_view::npos)
      return wrong("a part is empty or has a '/'");
  WheelName out;
  out.distribution = parts[0];
  out.version = parts[1];
  if (parts.size() == 6) {
    if (parts[2][0] < '0' || parts[2][0] > '9') return wrong("its build tag starts with no digit");
    out.build = parts[2];
  }
  out.pythons = pieces(parts[parts.size() - 3]);
  out.abis = pieces(parts[parts.size() - 2]);
  out.platforms = pieces(parts[parts.size() - 1]);
  return out;
}

void Tags::add(const std::string& python, const std::string& abi, const std::string& platform) {
  ranks_.emplace(python + "-" + abi + "-" + platform, static_cast<uint32_t>(ranks_.size()));
}

// The order of packaging.tags.sys_tags(): what pip and uv take.
Tags::Tags(const Target& target) {
  const std::vector<std::string> all = target.musl_minor != 0
                                           ? musl_platforms(target.machine(), target.musl_minor)
                                           : platforms(target.machine(), target.glibc_minor);
  const std::string own = fmt::format("cp3{}", target.python_minor);
  for (const std::string& abi : {own, std::string("abi3"), std::string("none")})
    for (const std::string& platform : all) add(own, abi, platform);
  for (uint32_t minor = target.python_minor - 1; minor >= 2; --minor)
    for (const std::string& platform : all) add(fmt::format("cp3{}", minor), "abi3", platform);
  std::vector<std::string> generic = {fmt::format("py3{}", target.python_minor), "py3"};
  for (uint32_t minor = target.python_minor; minor-- > 0;)
    generic.push_back(fmt::format("py3{}", minor));
  for (const std::string& python : generic)
    for (const std::string& platform : all) add(python, "none", platform);
  add(own, "none", "any");
  for (const std::string& python : generic) add(python, "none", "any");
}

std::optional<uint32_t> Tags::rank(const WheelName& wheel) const {
  std::optional<uint32_t> best;
  for (const std::string& python : wheel.pythons)
    for (const std::string& abi : wheel.abis)
      for (const std::string& platform : wheel.platforms) {
        const auto found = ranks_.find(python + "-" + abi + "-" + platform);
        if (found != ranks_.end() && (!best || found->second < *best)) best = found->second;
      }
  return best;
}

std::optional<size_t> best_wheel(const Tags& tags, const std::vector<std::string>& file_names) {
  std::optional<size_t> best;
  uint32_t best_rank = 0;
  std::pair<uint64_t, std::string> best_build;
  for (size_t i = 0; i < file_names.size(); ++i) {
    const auto name = parse_wheel_name(file_names[i]);
    if (!name) continue;
    const auto rank = tags.rank(*name);
    if (!rank) continue;
    const auto build = build_key(name->build);
    if (best && (*rank > best_rank || (*rank == best_rank && build <= best_build))) continue;
    best = i;
    best_rank = *rank;
    best_build = build;
  }
  return best;
}

}  // namespace kist::python
