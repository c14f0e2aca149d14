#include "debian/overlaps.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "debian/control.h"
#include "debian/shell_trace.h"

namespace kist::debian {
namespace {

constexpr int kMaxRounds = 8;

bool replaces(const PackageTree& winner, const std::string& loser) {
  const auto control = parse_paragraph(winner.meta->file("control"));
  if (!control) return false;
  for (const auto& group : parse_relations(control->get("Replaces")))
    for (const Relation& relation : group)
      if (relation.name == loser) return true;
  return false;
}

Result<void> drop(PackageTree& package, const std::set<std::string>& paths) {
  std::vector<store::Entry> kept;
  for (const store::Entry& entry : package.files.entries())
    if (!paths.contains(entry.path)) kept.push_back(entry);
  package.files = TRY(store::Tree::make(std::move(kept)));
  return {};
}

// In every package but the diverting one, the path gets its other name.
Result<void> apply(const Diversion& diversion, std::vector<PackageTree>& packages) {
  const std::string from = merged_path(diversion.path.substr(1));
  const std::string to = merged_path(diversion.moved_to.substr(1));
  for (PackageTree& package : packages) {
    if (package.package == diversion.package || package.files.find(from) == nullptr) continue;
    std::vector<store::Entry> entries = package.files.entries();
    for (store::Entry& entry : entries)
      if (entry.path == from && entry.kind != store::Kind::folder) entry.path = to;
    package.files =
        TRY(store::Tree::make(std::move(entries)), "diverting '{}'", printable(diversion.path));
  }
  return {};
}

bool is_folder(const PackageTree& package, const std::string& path) {
  const store::Entry* entry = package.files.find(path);
  return entry != nullptr && entry->kind == store::Kind::folder;
}

}  // namespace

std::vector<Diversion> find_diversions(const std::string& package, std::string_view preinst) {
  std::vector<Diversion> out;
  if (preinst.find("dpkg-divert") == std::string_view::npos) return out;
  ShellWorld world;
  world.arguments = {"install"};
  world.variables = {{"DPKG_MAINTSCRIPT_PACKAGE", package}, {"DPKG_MAINTSCRIPT_NAME", "preinst"}};
  world.exists = [](const std::string&) { return false; };
  world.is_folder = world.exists;
  const auto effects = trace_shell(preinst, world);
  if (!effects) return out;
  for (const ShellEffect& effect : *effects) {
    if (effect.words.empty() || effect.words[0] != std::optional<std::string>("dpkg-divert"))
      continue;
    Diversion diversion{"", "", package};
    bool usable = true;
    for (size_t i = 1; i < effect.words.size(); ++i) {
      if (!effect.words[i]) {
        usable = false;
        break;
      }
      const std::string& word = *effect.words[i];
      if (word == "--remove" || word == "--list" || word == "--listpackage" || word == "--truename")
        usable = false;
      if ((word == "--divert" || word == "--package") && i + 1 < effect.words.size()) {
        if (word == "--divert" && effect.words[i + 1]) diversion.moved_to = *effect.words[i + 1];
        if (word == "--package" && effect.words[i + 1] != std::optional<std::string>(package))
          usable = false;
        ++i;
      } else if (word.starts_with('/')) {
        diversion.path = word;
      }
    }
    if (diversion.moved_to.empty()) diversion.moved_to = diversion.path + ".distrib";
    if (usable && diversion.path.size() > 1 && diversion.moved_to.starts_with('/'))
      out.push_back(std::move(diversion));
  }
  return out;
}

Result<std::vector<Diversion>> resolve_overlaps(std::vector<PackageTree>& packages) {
  std::vector<Diversion> diversions;
  std::map<std::string, PackageTree*> by_name;
  for (PackageTree& package : packages) {
    by_name[package.package] = &package;
    for (Diversion& diversion : find_diversions(package.package, package.meta->file("preinst")))
      diversions.push_back(std::move(diversion));
  }
  for (const Diversion& diversion : diversions) {
    TRY(apply(diversion, packages));
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    std::vector<store::Part> parts;
    for (const PackageTree& package : packages) parts.push_back({package.package, &package.files});
    const std::vector<store::Conflict> conflicts = store::find_conflicts(parts);
    if (conflicts.empty()) break;
    std::map<std::string, std::set<std::string>> losses;
    for (const store::Conflict& conflict : conflicts) {
      PackageTree& first = *by_name[conflict.first];
      PackageTree& second = *by_name[conflict.second];
      if (is_folder(first, conflict.path) && !is_folder(second, conflict.path)) {
        losses[conflict.second].insert(conflict.path);
      } else if (is_folder(second, conflict.path) && !is_folder(first, conflict.path)) {
        losses[conflict.first].insert(conflict.path);
      } else if (replaces(second, conflict.first)) {
        losses[conflict.first].insert(conflict.path);
      } else if (replaces(first, conflict.second)) {
        losses[conflict.second].insert(conflict.path);
      } else {
        return Error(Code::exists, "the Debian packages '{}' and '{}' both bring '/{}'",
                     conflict.first, conflict.second, printable(conflict.path));
      }
    }
    for (const auto& [name, paths] : losses) {
      TRY(drop(*by_name[name], paths));
    }
  }
  return diversions;
}

}  // namespace kist::debian
