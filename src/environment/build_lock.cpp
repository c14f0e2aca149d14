#include "environment/build_lock.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/build_folder.h"
#include "environment/build_package.h"
#include "environment/platform.h"
#include "environment/suite.h"
#include "python/sdist.h"

namespace kist::environment {
namespace {

using python::LockedBuildRequirement;
using python::LockedDebianPackage;
using Kind = python::SelectedPackage::Kind;

struct Found {
  std::vector<LockedBuildRequirement> requirements;
  bool needs_compiler = false;
};

const python::LockedPackage* package_of(const python::Lock& lock, const std::string& name) {
  for (const python::LockedPackage& package : lock.packages)
    if (package.name == name) return &package;
  return nullptr;
}

bool is_kept(const BuildLockRequest& request, const std::string& name) {
  const auto& upgraded = request.upgrade_packages;
  return request.previous != nullptr && request.previous->kist && !request.upgrade &&
         std::find(upgraded.begin(), upgraded.end(), name) == upgraded.end();
}

// Of an earlier lock: only what has not changed since. A folder's content is not in the lock.
bool is_same_source(const BuildLockRequest& request, const python::Lock& lock, const std::string& name) {
  if (!is_kept(request, name)) return false;
  const python::LockedPackage* now = package_of(lock, name);
  const python::LockedPackage* before = package_of(*request.previous, name);
  if (now == nullptr || before == nullptr || now->directory) return false;
  const auto archive = [](const std::optional<python::LockedFile>& file) {
    return file ? file->hashes : std::map<std::string, std::string>();
  };
  return now->version == before->version && now->vcs == before->vcs &&
         archive(now->sdist) == archive(before->sdist) && archive(now->archive) == archive(before->archive) &&
         request.previous->kist->python == lock.kist->python &&
         base_id(*request.previous->kist) == base_id(*lock.kist);
}

Result<Found> discover(const Context& context, const BuildSite& site, const BuildLockRequest& request,
                       const python::SelectedPackage& package, store::Transaction& tx) {
  const BuildJob job = TRY(build_job(site, package));
  TRY(os::make_folders(context.cache("build")));
  const os::TempDir scratch = TRY(os::TempDir::make(context.cache("build")));
  PreparedBuild prepared = TRY(prepare_build(context, site, job, {}, scratch.path(), tx));
  Found found;
  found.needs_compiler = TRY(has_native_sources(prepared.request.project_folder));
  BuildContainer container(context, std::move(prepared.place));
  const auto requirements = TRY(python::build_requirements(
      prepared.request, [&](const python::BuildStep& step) { return container.run(step); }));
  std::vector<LockedBuildRequirement> preferred;
  if (is_kept(request, package.name))
    preferred = locked_build(*request.previous, package.name).value_or(preferred);
  found.requirements = TRY(container.resolve(requirements, site.target, preferred));
  for (LockedBuildRequirement& one : found.requirements) one.package = package.name;
  return found;
}

// Those of `all` that the lock does not have, or not in this form.
std::vector<LockedDebianPackage> beyond(const std::vector<LockedDebianPackage>& all,
                                        const std::vector<LockedDebianPackage>& locked) {
  std::vector<LockedDebianPackage> out;
  for (const LockedDebianPackage& package : all)
    if (std::find(locked.begin(), locked.end(), package) == locked.end()) out.push_back(package);
  return out;
}

Result<void> lock_debian_for_builds(const Context& context, const BuildLockRequest& request,
                                    const BuildSite& site, bool with_compiler, bool with_git,
                                    python::KistSection& kist) {
  if (site.lock.kist->image || (!with_compiler && !with_git)) return {};
  python::Lock wished = site.lock;  // With what to keep.
  if (request.previous != nullptr && request.previous->kist && !request.upgrade)
    for (const LockedDebianPackage& old : request.previous->kist->build_debian)
      if (std::none_of(wished.kist->debian.begin(), wished.kist->debian.end(),
                       [&](const auto& package) { return package.name == old.name; }))
        wished.kist->debian.push_back(old);
  const BuildSite kept{wished, site.target, site.suite, site.lock_folder};
  const auto all = TRY(packages_for_builds(context, kept, with_compiler, with_git));
  kist.build_debian = beyond(all, site.lock.kist->debian);
  return {};
}

bool is_about_the_package(const Error& error) {
  return error.code() == Code::invalid || error.code() == Code::unsupported ||
         error.code() == Code::not_found;
}

}  // namespace

std::optional<std::vector<LockedBuildRequirement>> locked_build(const python::Lock& lock,
                                                                const std::string& package) {
  const auto& builds = lock.kist->builds;
  if (std::find(builds.begin(), builds.end(), package) == builds.end()) return std::nullopt;
  std::vector<LockedBuildRequirement> out;
  for (const LockedBuildRequirement& one : lock.kist->build_requirements)
    if (one.package == package) out.push_back(one);
  return out;
}

std::vector<LockedDebianPackage> locked_build_debian(const python::Lock& lock) {
  std::vector<LockedDebianPackage> out = lock.kist->build_debian;
  std::set<std::string> names;
  for (const LockedDebianPackage& package : out) names.insert(package.name);
  for (const LockedDebianPackage& package : lock.kist->debian)
    if (!names.contains(package.name)) out.push_back(package);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::pair(a.name, a.architecture) < std::pair(b.name, b.architecture);
  });
  return out;
}

std::string locked_build_key(const python::Lock& lock, const std::string& package) {
  const auto requirements = locked_build(lock, package);
  if (!requirements) return "";
  std::string text = "locked\n";
  for (const LockedBuildRequirement& one : *requirements)
    text += fmt::format("{} {}\n", one.name, one.sha256.hex());
  if (lock.kist->build_debian.empty()) return text;
  for (const LockedDebianPackage& one : locked_build_debian(lock))
    text += fmt::format("{} {}\n", one.name, one.sha256.hex());
  return text;
}

Result<void> lock_builds(const Context& context, const BuildLockRequest& request, python::Lock& lock,
                         store::Transaction& tx) {
  if (lock.kist->platform != host_platform()) return {};
  const python::Target target = TRY(target_of(lock));
  const Suite suite = TRY(lock.kist->image ? newest_suite() : suite_of_base(lock.kist->base));
  const auto packages = TRY(python::select(lock, target));
  const BuildSite site{lock, target, suite, request.lock_folder};
  python::KistSection result;
  bool with_compiler = false;
  bool with_git = false;
  for (const python::SelectedPackage& package : packages) {
    if (!package.needs_build()) continue;
    Found found;
    if (auto known = is_same_source(request, lock, package.name)
                         ? locked_build(*request.previous, package.name) : std::nullopt) {
      found = {std::move(*known), !request.previous->kist->build_debian.empty()};
    } else {
      auto asked = discover(context, site, request, package, tx);
      if (!asked && !is_about_the_package(asked.error())) return asked.error();
      if (!asked) {
        context.progress.warn(fmt::format("what {} is built with cannot be locked: {}", package.name,
                                          asked.error().message()));
        continue;
      }
      found = std::move(*asked);
    }
    result.builds.push_back(package.name);
    result.build_requirements.insert(result.build_requirements.end(), found.requirements.begin(),
                                     found.requirements.end());
    with_compiler = with_compiler || found.needs_compiler;
    with_git = with_git || package.kind == Kind::vcs;
  }
  TRY(lock_debian_for_builds(context, request, site, with_compiler, with_git, result));
  lock.kist->builds = std::move(result.builds);
  lock.kist->build_requirements = std::move(result.build_requirements);
  lock.kist->build_debian = std::move(result.build_debian);
  return {};
}

}  // namespace kist::environment
