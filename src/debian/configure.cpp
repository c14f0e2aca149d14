#include "debian/configure.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "debian/control.h"
#include "debian/fixups.h"

namespace kist::debian {
namespace {

std::vector<store::Part> views(const std::vector<AssembledPart>& parts) {
  std::vector<store::Part> out;
  for (const AssembledPart& part : parts) out.push_back({part.name, &part.tree});
  return out;
}

// Takes from `parts` every path that `winner` has as something else.
Result<void> give_way(std::vector<AssembledPart>& parts, const store::Tree& winner,
                      const std::set<std::string>& removed) {
  for (AssembledPart& part : parts) {
    std::vector<store::Entry> kept;
    for (const store::Entry& entry : part.tree.entries()) {
      const store::Entry* other = winner.find(entry.path);
      const bool folders = other != nullptr && other->kind == store::Kind::folder &&
                           entry.kind == store::Kind::folder;
      if (removed.contains(entry.path) || (other != nullptr && !folders && *other != entry)) continue;
      kept.push_back(entry);
    }
    if (kept.size() == part.tree.entries().size()) continue;
    part.tree = TRY(store::Tree::make(std::move(kept)), "'{}' without what others replace",
                    part.name);
  }
  return {};
}

// Packages in an order in which each comes after what it depends on. A cycle is entered at the
// first package by the given order, as dpkg has to break it somewhere too.
std::vector<size_t> dependency_order(std::span<const InstalledDeb> packages) {
  std::map<std::string, std::vector<size_t>> providers;
  std::vector<Paragraph> controls;
  for (size_t i = 0; i < packages.size(); ++i) {
    auto control = parse_paragraph(packages[i].meta.file("control"));
    controls.push_back(control ? std::move(*control) : Paragraph());
    providers[packages[i].deb.name].push_back(i);
    for (const auto& group : parse_relations(controls.back().get("Provides")))
      for (const Relation& relation : group) providers[relation.name].push_back(i);
  }
  std::vector<size_t> order;
  std::vector<int> state(packages.size(), 0);  // 0 new, 1 begun, 2 done.
  std::vector<std::pair<size_t, std::vector<size_t>>> stack;
  const auto begin = [&](size_t i) {
    if (state[i] != 0) return;
    state[i] = 1;
    std::vector<size_t> needs;
    for (const char* field : {"Depends", "Pre-Depends"})
      for (const auto& group : parse_relations(controls[i].get(field)))
        for (const Relation& relation : group)
          for (const size_t provider : providers[relation.name]) needs.push_back(provider);
    stack.emplace_back(i, std::move(needs));
  };
  for (size_t i = 0; i < packages.size(); ++i) {
    begin(i);
    while (!stack.empty()) {
      if (stack.back().second.empty()) {
        order.push_back(stack.back().first);
        state[stack.back().first] = 2;
        stack.pop_back();
        continue;
      }
      const size_t next = stack.back().second.back();
      stack.back().second.pop_back();
      begin(next);
    }
  }
  return order;
}

constexpr const char* kPrologue = R"(set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TZ=UTC
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true DEBCONF_NOWARNINGS=yes
export SOURCE_DATE_EPOCH=315532800 DPKG_RUNNING_VERSION=1.21 DPKG_ADMINDIR=/var/lib/dpkg
export DPKG_MAINTSCRIPT_NAME=postinst DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 PERL_HASH_SEED=0
umask 022
cd /
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
run() {
  export DPKG_MAINTSCRIPT_PACKAGE="$1" DPKG_MAINTSCRIPT_ARCH="$2"
  "/var/lib/dpkg/info/$3.postinst" configure '' </dev/null || {
    echo "postinst of $1 failed with status $?" >&2
    exit 1
  }
}
)";

std::string job_script(std::span<const InstalledDeb> packages, const std::set<size_t>& needing) {
  std::string out = kPrologue;
  for (const size_t i : dependency_order(packages)) {
    if (!needing.contains(i)) continue;
    const LockedDeb& deb = packages[i].deb;
    const auto control = parse_paragraph(packages[i].meta.file("control"));
    const bool same = control && control->get("Multi-Arch") == "same";
    out += fmt::format("run {} {} {}\n", deb.name, deb.architecture,
                       same ? deb.name + ":" + deb.architecture : deb.name);
  }
  return out + "rm -f /usr/sbin/policy-rc.d\n";
}

// The merged /usr: the links through which programs reach what packages have below bin, lib ….
Result<store::Tree> usr_links(const std::vector<AssembledPart>& parts) {
  std::set<std::string> names{"bin", "sbin", "lib"};
  for (const AssembledPart& part : parts)
    for (const char* name : {"lib64", "lib32", "libx32"})
      if (part.tree.find(std::string("usr/") + name) != nullptr) names.insert(name);
  std::vector<store::Entry> entries;
  for (const std::string& name : names)
    entries.push_back({.path = name,
                       .kind = store::Kind::symlink,
                       .mode = 0777,
                       .target = std::string("usr/") + name});
  return store::Tree::make(std::move(entries));
}

// One pass over a set: overlaps, plans, fixups.
struct Built {
  std::vector<AssembledPart> parts;
  store::Tree tree;
  std::vector<ScriptPlan> plans;
};

Result<Built> build(std::span<const InstalledDeb> packages, const AssembleOptions& options,
                    const ContentReader& reader, store::ObjectSink& sink) {
  std::vector<PackageTree> trees;
  for (const InstalledDeb& package : packages)
    trees.push_back({package.deb.name, package.files, &package.meta});
  std::vector<Diversion> diversions = TRY(resolve_overlaps(trees));
  Built built;
  for (PackageTree& tree : trees)
    built.parts.push_back({std::move(tree.package), std::move(tree.files)});
  store::Tree links = TRY(usr_links(built.parts));
  built.parts.push_back({"usr-merge", std::move(links)});
  const store::Tree merged = TRY(store::merge(views(built.parts)));
  const RootView root(merged, reader);
  for (const InstalledDeb& package : packages)
    built.plans.push_back(
        plan_scripts({package.deb.name,
                      package.deb.architecture == "all" ? options.architecture
                                                        : package.deb.architecture,
                      &package.meta},
                     root));
  const FixupInput input{packages, built.plans, std::move(diversions), options};
  store::Tree fixups = TRY(make_fixups(input, root, sink));
  TRY(give_way(built.parts, fixups, {}));
  // First, because the first part decides about folders that several have.
  built.parts.insert(built.parts.begin(), AssembledPart{"fixups", std::move(fixups)});
  built.tree = TRY(store::merge(views(built.parts)));
  return built;
}

Result<void> run_scripts(std::span<const InstalledDeb> packages,
                         std::span<const InstalledDeb> tools, const AssembleOptions& options,
                         const ContentReader& reader, store::ObjectSink& sink,
                         const JobRunner& runner, Built& built, Assembled& out) {
  ConfigureJob job;
  std::set<size_t> needing;
  for (size_t i = 0; i < packages.size(); ++i) {
    for (const std::string& command : built.plans[i].remaining)
      job.reasons.push_back(fmt::format("{}: {}", packages[i].deb.name, command));
    if (built.plans[i].remaining.empty()) continue;
    needing.insert(i);
    job.packages.push_back(packages[i].deb.name);
  }
  if (needing.empty()) return {};
  if (!runner)
    return Error(Code::unsupported, "scripts of {} must run, and there is no container for them",
                 fmt::join(job.packages, ", "));
  job.script = job_script(packages, needing);
  std::vector<InstalledDeb> all(packages.begin(), packages.end());
  for (const InstalledDeb& tool : tools)
    if (std::none_of(packages.begin(), packages.end(),
                     [&](const InstalledDeb& p) { return p.deb.name == tool.deb.name; }))
      all.push_back(tool);
  if (all.size() == packages.size()) {
    job.root = built.tree;
  } else {
    Built with_tools = TRY(build(all, options, reader, sink), "the root with tools");
    job.root = std::move(with_tools.tree);
  }
  const JobResult result = TRY(runner(job), "configuring {}", fmt::join(job.packages, ", "));
  store::Tree scripts = TRY(normalise(result.changed));
  std::set<std::string> removed;
  for (const std::string& path : result.removed)
    if (!is_volatile(path)) removed.insert(path);
  TRY(give_way(built.parts, scripts, removed));
  built.parts.insert(built.parts.begin(), AssembledPart{"scripts", std::move(scripts)});
  built.tree = TRY(store::merge(views(built.parts)));
  out.ran = std::move(job.reasons);
  return {};
}

}  // namespace

std::vector<std::string> configure_tools() {
  // What is Essential in Debian beyond our base, and what scripts source or call without depending.
  return {"perl-base", "debconf", "dpkg",   "init-system-helpers", "sysvinit-utils", "util-linux",
          "adduser",   "passwd",  "procps", "ucf", "debianutils",  "bsdutils",       "ncurses-bin"};
}

bool is_volatile(std::string_view path) {
  static constexpr std::string_view kFolders[] = {
      "var/log/", "var/cache/debconf/", "var/cache/ldconfig/", "tmp/", "var/tmp/", "run/", "dev/",
      "proc/", "sys/", "root/", "var/lib/systemd/deb-systemd-helper-", "var/cache/man/",
      "var/lib/dpkg/", "var/cache/apt/", "var/lib/apt/", "etc/ssl/certs/java/.", "var/backups/"};
  static constexpr std::string_view kFiles[] = {
      "etc/ld.so.cache", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock",
      "etc/hosts", "etc/resolv.conf", "etc/hostname", "etc/mtab", "usr/sbin/policy-rc.d",
      "etc/machine-id", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid",
      "etc/subuid-", "etc/subgid-"};
  // Records of update-alternatives are results; the rest of dpkg's folder is ours.
  if (path.starts_with("var/lib/dpkg/alternatives/")) return false;
  for (const std::string_view folder : kFolders)
    if (path.starts_with(folder)) return true;
  return std::find(std::begin(kFiles), std::end(kFiles), path) != std::end(kFiles) ||
         path.ends_with(".dpkg-old") || path.ends_with(".dpkg-new") || path.ends_with(".dpkg-tmp");
}

Result<store::Tree> normalise(const store::Tree& changed) {
  std::vector<store::Entry> kept;
  for (const store::Entry& entry : changed.entries()) {
    if (is_volatile(entry.path)) continue;
    store::Entry copy = entry;
    copy.mtime_s = store::kTreeTime;
    kept.push_back(std::move(copy));
  }
  return store::Tree::make(std::move(kept));
}

Result<Assembled> assemble(std::span<const InstalledDeb> packages,
                           std::span<const InstalledDeb> tools, const AssembleOptions& options,
                           const ContentReader& reader, store::ObjectSink& sink,
                           const JobRunner& runner) {
  // By name, so that what a folder of two packages looks like does not depend on the solver's order.
  std::vector<InstalledDeb> sorted(packages.begin(), packages.end());
  std::sort(sorted.begin(), sorted.end(), [](const InstalledDeb& a, const InstalledDeb& b) {
    return std::pair(a.deb.name, a.deb.architecture) < std::pair(b.deb.name, b.deb.architecture);
  });
  Built built = TRY(build(sorted, options, reader, sink));
  Assembled out;
  TRY(run_scripts(sorted, tools, options, reader, sink, runner, built, out));
  out.parts = std::move(built.parts);
  out.tree = std::move(built.tree);
  return out;
}

}  // namespace kist::debian
