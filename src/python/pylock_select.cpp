#include "python/pylock_select.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "python/markers.h"
#include "python/versions.h"

namespace kist::python {
namespace {

std::string label(const LockedPackage& package) {
  return package.version.empty() ? package.name : package.name + " " + package.version;
}

Result<MarkerEnvironment> environment_of(const Lock& lock, const Target& target,
                                         const Selection& selection) {
  MarkerEnvironment out{.target = target, .extras = {}, .dependency_groups = {}};
  const auto take = [](const std::set<std::string>& wanted, const std::vector<std::string>& known,
                       std::string_view what, std::set<std::string>& into) -> Result<void> {
    for (const std::string& name : wanted) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        Error unknown(Code::invalid, "the lock has no {} '{}', only: {}", what, printable(name),
                      known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
        if (const auto near = nearest(name, known))
          return std::move(unknown).hint(fmt::format("write `{}`", *near));
        return unknown;
      }
      into.insert(name);
    }
    return {};
  };
  TRY(take(selection.extras, lock.extras, "extra", out.extras));
  TRY(take(selection.groups, lock.dependency_groups, "group", out.dependency_groups));
  if (selection.default_groups)
    out.dependency_groups.insert(lock.default_groups.begin(), lock.default_groups.end());
  return out;
}

Result<void> check_python(std::string_view requires_python, const Target& target,
                          std::string_view what) {
  if (requires_python.empty()) return {};
  const auto wanted = TRY(VersionSpecifiers::parse(requires_python), "requires-python of {}", what);
  const Version version = TRY(Version::parse(target.python_full_version()));
  if (wanted.contains(version)) return {};
  // "3.11" alone may mean any 3.11.x: the latest of them decides.
  const Version latest = TRY(Version::parse(target.python() + ".999"));
  if (target.python_full.empty() && wanted.contains(latest)) return {};
  return Error(Code::unsupported, "{} needs Python {}, the environment has {}", what,
               printable(requires_python), target.python_full_version());
}

Result<void> check_environments(const Lock& lock, const MarkerEnvironment& environment) {
  if (lock.environments.empty()) return {};
  for (const std::string& text : lock.environments) {
    const Marker marker = TRY(Marker::parse(text), "in 'environments'");
    if (marker.evaluate(environment)) return {};
  }
  return Error(Code::unsupported, "the lock is not for {}, only for: {}",
               environment.target.describe(),
               printable(fmt::format("{}", fmt::join(lock.environments, "; "))))
      .hint("lock again for this target: `kist lock`");
}

Result<void> check_sha256(const LockedPackage& package, const LockedFile& file) {
  if (file.sha256()) return {};
  std::vector<std::string> got;
  for (const auto& [algorithm, value] : file.hashes) got.push_back(algorithm);
  return Error(Code::unsupported, "{} of {} has no sha256 in the lock, only: {}",
               printable(file.name), label(package),
               printable(fmt::format("{}", fmt::join(got, ", "))))
      .hint("lock again: `kist lock`");
}

// "cp38-cp38-win_amd64, … and 12 more".
std::string what_there_is(const LockedPackage& package) {
  constexpr size_t kShown = 4;
  std::string out;
  for (size_t i = 0; i < std::min(kShown, package.wheels.size()); ++i) {
    std::string_view name = package.wheels[i].name;
    name.remove_suffix(std::string_view(".whl").size());
    // The tags are the last three parts.
    size_t at = name.size();
    for (int part = 0; part < 3 && at != std::string_view::npos; ++part)
      at = at == 0 ? std::string_view::npos : name.rfind('-', at - 1);
    if (at != std::string_view::npos) name.remove_prefix(at + 1);
    out += (i == 0 ? "" : ", ") + printable(name, 80);
  }
  if (package.wheels.size() > kShown)
    out += fmt::format(" and {} more", package.wheels.size() - kShown);
  return out;
}

// What of the target would have to change for one of the wheels to fit.
std::string what_would_help(const LockedPackage& package, const Target& target) {
  std::vector<std::string> names;
  for (const LockedFile& wheel : package.wheels) names.push_back(wheel.name);
  const auto fits = [&](const Target& other) { return best_wheel(Tags(other), names).has_value(); };
  Target newer_base = target;
  newer_base.glibc_minor = 41;
  if (target.musl_minor == 0 && target.glibc_minor < newer_base.glibc_minor && fits(newer_base))
    return "a newer base has what it needs: `base = \"debian:trixie\"` in kist.toml";
  std::vector<std::string> pythons;
  for (uint32_t minor = 8; minor <= 15; ++minor) {
    Target other = target;
    other.python_minor = minor;
    other.python_full.clear();
    if (fits(other)) pythons.push_back(other.python());
  }
  if (!pythons.empty()) {
    return fmt::format("there are wheels for Python {}: `python = \"{}\"` in kist.toml",
                       fmt::join(pythons, ", "), pythons.back());
  }
  return fmt::format("ask for another version of {}: `kist lock --upgrade {}`", package.name,
                     package.name);
}

Result<SelectedPackage> choose(const LockedPackage& package, const Target& target,
                               const Tags& tags) {
  SelectedPackage out{.name = package.name,
                      .version = package.version,
                      .kind = {},
                      .file = {},
                      .vcs = {},
                      .directory = {}};
  if (package.vcs) {
    out.kind = SelectedPackage::Kind::vcs;
    out.vcs = *package.vcs;
    return out;
  }
  if (package.directory) {
    out.kind = SelectedPackage::Kind::directory;
    out.directory = *package.directory;
    return out;
  }
  std::vector<std::string> names;
  for (const LockedFile& wheel : package.wheels) names.push_back(wheel.name);
  if (package.archive) {
    out.kind = SelectedPackage::Kind::archive;
    out.file = *package.archive;
  } else if (const auto best = best_wheel(tags, names)) {
    out.kind = SelectedPackage::Kind::wheel;
    out.file = package.wheels[*best];
  } else if (package.sdist) {
    out.kind = SelectedPackage::Kind::sdist;
    out.file = *package.sdist;
  } else {
    return Error(Code::unsupported, "{} has no wheel for {}, only for {}", label(package),
                 target.describe(), what_there_is(package))
        .hint(what_would_help(package, target));
  }
  TRY(check_sha256(package, out.file));
  if (out.kind == SelectedPackage::Kind::archive && !out.needs_build()) {
    const WheelName name = TRY(parse_wheel_name(out.file.name), "archive of {}", label(package));
    if (!tags.rank(name)) {
      return Error(Code::unsupported, "{} is asked for as '{}', which {} cannot install",
                   label(package), printable(out.file.name), target.describe());
    }
  }
  return out;
}

// The entries that apply, by name.
Result<std::map<std::string, const LockedPackage*>> applicable(
    const Lock& lock, const MarkerEnvironment& environment) {
  std::map<std::string, const LockedPackage*> out;
  for (const LockedPackage& package : lock.packages) {
    const Marker marker = TRY(Marker::parse(package.marker), "marker of {}", label(package));
    if (!marker.evaluate(environment)) continue;
    TRY(check_python(package.requires_python, environment.target, label(package)));
    const auto [at, fresh] = out.emplace(package.name, &package);
    if (fresh) continue;
    return Error(Code::invalid, "the lock has two entries of {} for {}: {} and {}, want one",
                 package.name, environment.target.describe(), label(*at->second), label(package));
  }
  return out;
}

}  // namespace

bool SelectedPackage::needs_build() const {
  if (kind == Kind::wheel) return false;
  return kind != Kind::archive || !file.name.ends_with(".whl");
}

Result<std::vector<SelectedPackage>> select(const Lock& lock, const Target& target,
                                            const Selection& selection) {
  const MarkerEnvironment environment = TRY(environment_of(lock, target, selection));
  TRY(check_environments(lock, environment));
  TRY(check_python(lock.requires_python, target, "the lock"));
  const auto packages = TRY(applicable(lock, environment));
  const Tags tags(target);
  std::vector<SelectedPackage> out;
  out.reserve(packages.size());
  for (const auto& [name, package] : packages) {
    SelectedPackage chosen = TRY(choose(*package, target, tags));
    out.push_back(std::move(chosen));
  }
  return out;
}

Result<Lock> narrow(const Lock& lock, const Target& target, const Selection& selection) {
  std::vector<SelectedPackage> chosen = TRY(select(lock, target, selection));
  Lock out;
  out.environments = {
      fmt::format("implementation_name == 'cpython' and platform_machine == '{}' and "
                  "python_version == '{}' and "
                  "sys_platform == 'linux'",
                  target.machine(), target.python())};
  out.requires_python = fmt::format("=={}.*", target.python());
  out.kist = lock.kist;
  for (SelectedPackage& package : chosen) {
    LockedPackage entry;
    entry.name = package.name;
    entry.version = package.version;
    switch (package.kind) {
      case SelectedPackage::Kind::wheel:
        entry.wheels = {std::move(package.file)};
        break;
      case SelectedPackage::Kind::sdist:
        entry.sdist = std::move(package.file);
        break;
      case SelectedPackage::Kind::archive:
        entry.archive = std::move(package.file);
        break;
      case SelectedPackage::Kind::vcs:
        entry.vcs = std::move(package.vcs);
        break;
      case SelectedPackage::Kind::directory:
        entry.directory = std::move(package.directory);
        break;
    }
    out.packages.push_back(std::move(entry));
  }
  return out;
}

}  // namespace kist::python
