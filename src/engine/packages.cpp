#include "engine/packages.h"

#include <algorithm>
#include <deque>
#include <set>

#include "base/text.h"
#include "debian/base_set.h"
#include "debian/control.h"
#include "debian/deb.h"
#include "debian/library_packages.h"
#include "environment/assemble.h"
#include "environment/image_base.h"
#include "environment/interpreter.h"
#include "environment/suite.h"
#include "python/markers.h"
#include "python/record.h"
#include "python/wheel.h"

namespace kist::engine {
namespace {

using environment::Context;

constexpr size_t kMaxPackages = 100'000;
constexpr size_t kMaxChainLength = 64;
constexpr size_t kMaxSteps = 100'000;  // Of the search for chains.

Error not_assembled(const Project& project) {
  return Error(Code::not_found, "the environment '{}' is not assembled on this machine",
               printable(project.environment))
      .hint(project.environment == "default"
                ? "`kist run true` assembles it"
                : fmt::format("`kist run --env {} true` assembles it", project.environment));
}

Result<store::Tree> environment_tree(const Context& context, const Project& project,
                                     const python::Lock& lock) {
  const std::string name =
      TRY(environment::environment_name(context, lock, os::parent_of(project.lock_path)));
  for (const std::string& candidate : {name + "-complete", name}) {
    const auto digest = TRY(context.store.find(candidate));
    if (digest) return context.store.tree(*digest);
  }
  return not_assembled(project);
}

struct Dist {
  std::vector<python::Requirement> requires_dist;
  std::set<std::string> extras;  // That somebody asks for.
};

// Reads what is installed in site-packages.
class PythonReader {
 public:
  PythonReader(const Context& context, const python::Target& target, Packages& out)
      : context_(context),
        target_(target),
        out_(out),
        site_packages_("opt/kist/lib/python" + target.python() + "/site-packages") {}

  Result<void> read() {
    constexpr std::string_view kSuffix = ".dist-info/METADATA";
    for (const store::Entry& entry : out_.tree.entries()) {
      if (!entry.path.ends_with(kSuffix) || !entry.path.starts_with(site_packages_ + "/")) continue;
      if (entry.kind != store::Kind::file) continue;
      const std::string folder = os::parent_of(entry.path);
      if (os::parent_of(folder) != site_packages_) continue;
      TRY(read_dist(entry, folder), "{}", printable(os::name_of(folder)));
      if (out_.packages.size() > kMaxPackages)
        return Error(Code::corrupt, "more than {} packages", kMaxPackages);
    }
    return {};
  }

  // What was asked for, with its extras; then all that they need, as far as it is there.
  void connect(const python::Inputs& inputs, const python::Lock& lock) {
    ask(inputs, lock);
    // An extra asked for deep in the tree brings in needs of a package that was seen already.
    for (bool again = true; again;) {
      again = false;
      for (size_t i = 0; i < dists_.size(); ++i) again = connect_one(i) || again;
    }
  }

 private:
  Result<void> read_dist(const store::Entry& metadata, const std::string& folder) {
    const std::string text = TRY(context_.store.read_object(metadata));
    const python::Headers headers = TRY(python::Headers::parse(text));
    Package package;
    package.name = python::normalize_name(headers.get("Name"));
    package.version = std::string(headers.get("Version"));
    Dist dist;
    for (const std::string_view line : headers.all("Requires-Dist")) {
      // Old packages say things that nobody can read; pip passes over them as well.
      if (auto requirement = python::parse_requirement(line))
        dist.requires_dist.push_back(std::move(*requirement));
    }
    TRY(read_record(folder, package));
    indexes_.emplace(package.name, out_.packages.size());
    out_.packages.push_back(std::move(package));
    dists_.push_back(std::move(dist));
    return {};
  }

  Result<void> read_record(const std::string& folder, Package& package) {
    const store::Entry* record = out_.tree.find(folder + "/RECORD");
    if (record == nullptr || record->kind != store::Kind::file) return {};
    const std::string text = TRY(context_.store.read_object(*record));
    const auto rows = TRY(python::parse_record(text));
    for (const python::RecordRow& row : rows) {
      const store::Entry* entry = out_.tree.find(resolved(row.path));
      if (entry != nullptr && entry->kind == store::Kind::file) package.files.push_back(*entry);
    }
    return {};
  }

  // "../../../bin/f2py", from site-packages.
  std::string resolved(std::string_view path) const {
    std::string folder = site_packages_;
    while (path.starts_with("../") && !folder.empty()) {
      path.remove_prefix(3);
      const size_t slash = folder.rfind('/');
      folder = slash == std::string::npos ? "" : folder.substr(0, slash);
    }
    return folder.empty() ? std::string(path) : folder + "/" + std::string(path);
  }

  void ask_for(const std::string& name, const std::vector<std::string>& extras,
               const std::string& by) {
    const auto found = indexes_.find(name);
    if (found == indexes_.end()) return;
    if (out_.packages[found->second].asked_by.empty()) out_.packages[found->second].asked_by = by;
    dists_[found->second].extras.insert(extras.begin(), extras.end());
  }

  void ask(const python::Inputs& inputs, const python::Lock& lock) {
    for (const python::Requirement& requirement : inputs.requirements.requirements)
      if (applies(requirement, {}))
        ask_for(requirement.name, requirement.extras,
                requirement.file.empty() ? std::string("the requirements")
                                         : fmt::format("{}:{}", requirement.file, requirement.line));
    const std::string main = inputs.main.empty() ? "kist.toml" : inputs.main.front();
    std::vector<std::string> texts = inputs.packages;
    if (inputs.pyproject && inputs.kind != python::InputKind::requirements)
      texts.insert(texts.end(), inputs.pyproject->dependencies.begin(),
                   inputs.pyproject->dependencies.end());
    for (const std::string& text : texts) {
      const auto requirement = python::parse_requirement(text);
      if (requirement && applies(*requirement, {}))
        ask_for(requirement->name, requirement->extras, main);
    }
    for (const std::string& name : lock.kist->requested) ask_for(name, {}, main);
  }

  bool applies(const python::Requirement& requirement, const std::set<std::string>& extras) const {
    const auto marker = python::Marker::parse(requirement.marker);
    if (!marker) return false;
    return marker->evaluate({.target = target_, .extras = extras, .dependency_groups = {}});
  }

  // Whether that found something new.
  bool connect_one(size_t index) {
    bool is_new = false;
    const Dist dist = dists_[index];
    for (const python::Requirement& requirement : dist.requires_dist) {
      const auto found = indexes_.find(requirement.name);
      if (found == indexes_.end()) continue;
      if (!applies(requirement, dist.extras)) continue;
      std::vector<Need>& needs = out_.packages[index].needs;
      const size_t to = found->second;
      if (std::none_of(needs.begin(), needs.end(), [&](const Need& n) { return n.package == to; })) {
        needs.push_back({to, requirement.specifiers});
        is_new = true;
      }
      for (const std::string& extra : requirement.extras)
        is_new = dists_[to].extras.insert(python::normalize_name(extra)).second || is_new;
    }
    return is_new;
  }

  const Context& context_;
  const python::Target target_;
  Packages& out_;
  const std::string site_packages_;
  std::map<std::string, size_t> indexes_;
  std::vector<Dist> dists_;
};

// The Debian packages, by the trees that each was unpacked to.
class DebianReader {
 public:
  DebianReader(const Context& context, Packages& out) : context_(context), out_(out) {}

  Result<void> read(const python::Lock& lock) {
    const debian::DebOptions options{.filter = debian::PathFilter::slim()};
    for (const python::LockedDebianPackage& locked : lock.kist->debian) {
      Package package{.kind = Package::Kind::debian, .name = locked.name, .version = locked.version};
      const std::string name = "deb/" + debian::deb_key(locked.sha256, options);
      const auto files = TRY(context_.store.find(name));
      if (files) {
        const store::Tree tree = TRY(context_.store.tree(*files));
        for (const store::Entry& entry : tree.entries())
          if (entry.kind == store::Kind::file) package.files.push_back(entry);
      }
      TRY(read_control(name + "-meta"), "{}", locked.name);
      const size_t index = out_.packages.size();
      indexes_.emplace(package.name, index);
      for (const auto& relation : debian::parse_relations(controls_.back().get("Provides")))
        for (const debian::Relation& provided : relation) indexes_.emplace(provided.name, index);
      first_ = std::min(first_, index);
      out_.packages.push_back(std::move(package));
    }
    return {};
  }

  Result<void> connect(const python::Inputs& inputs, const python::Lock& lock) {
    if (lock.kist->image) return {};
    const environment::Suite suite = TRY(environment::suite_of_base(lock.kist->base));
    const debian::BaseSet base = TRY(debian::base_packages(suite.name));
    for (const std::string& name : base.packages) ask_for(name, "the base, " + suite.base());
    if (!lock.kist->interpreter)
      for (const std::string& name : base.interpreter) ask_for(name, "the base, " + suite.base());
    const bool by_apt_file = std::any_of(
        inputs.files.begin(), inputs.files.end(),
        [](const python::InputFile& file) { return os::name_of(file.path) == "apt.txt"; });
    for (const std::string& name : lock.kist->system)
      ask_for(name.substr(0, name.find_first_of("=:")), by_apt_file ? "apt.txt" : "kist.toml");
    for (size_t i = 0; i < controls_.size(); ++i) connect_one(i);
    return {};
  }

 private:
  Result<void> read_control(const std::string& name) {
    controls_.emplace_back();
    const auto digest = TRY(context_.store.find(name));
    if (!digest) return {};
    const store::Tree tree = TRY(context_.store.tree(*digest));
    const auto meta = TRY(debian::read_meta(
        tree, [&](const store::Entry& entry) { return context_.store.read_object(entry); }));
    controls_.back() = TRY(debian::parse_paragraph(meta.file("control")));
    return {};
  }

  void ask_for(const std::string& name, const std::string& by) {
    const auto found = indexes_.find(name);
    if (found != indexes_.end() && out_.packages[found->second].asked_by.empty())
      out_.packages[found->second].asked_by = by;
  }

  // Of alternatives the first that is here.
  void connect_one(size_t control) {
    const size_t from = first_ + control;
    std::vector<Need>& needs = out_.packages[from].needs;
    for (const char* field : {"Pre-Depends", "Depends"}) {
      for (const auto& alternatives : debian::parse_relations(controls_[control].get(field))) {
        for (const debian::Relation& relation : alternatives) {
          const auto found = indexes_.find(relation.name);
          if (found == indexes_.end()) continue;
          const size_t to = found->second;
          const bool known = std::any_of(needs.begin(), needs.end(),
                                         [&](const Need& need) { return need.package == to; });
          if (!known && to != from)
            needs.push_back({to, relation.op.empty()
                                     ? ""
                                     : fmt::format("({} {})", relation.op, relation.version)});
          break;
        }
      }
    }
  }

  const Context& context_;
  Packages& out_;
  size_t first_ = SIZE_MAX;
  std::map<std::string, size_t> indexes_;
  std::vector<debian::Paragraph> controls_;
};

// Python itself, when kist.toml names it, with the packages that have its libraries.
Result<void> read_interpreter(const Context& context, const python::Lock& lock, Packages& out) {
  if (!lock.kist->interpreter) return {};
  Package package{.kind = Package::Kind::interpreter, .name = "python", .version = lock.kist->python,
                  .asked_by = "kist.toml"};
  const std::string name = "interpreter/" + environment::interpreter_key(lock.kist->interpreter->sha256);
  const auto digest = TRY(context.store.find(name));
  if (digest) {
    const store::Tree tree = TRY(context.store.tree(*digest));
    for (const store::Entry& entry : tree.entries())
      if (entry.kind == store::Kind::file) package.files.push_back(entry);
  }
  const auto facts = TRY(environment::known_facts(context, *lock.kist->interpreter));
  if (facts) {
    std::set<size_t> needed;
    for (const std::string& library : facts->needed)
      for (const std::string& candidate : debian::packages_of_library(library))
        if (const auto at = out.find(Package::Kind::debian, candidate)) needed.insert(*at);
    for (const size_t at : needed) package.needs.push_back({at, ""});
  }
  out.packages.push_back(std::move(package));
  return {};
}

// The base, when it is an image: as one, since nobody knows what it was made of.
Result<void> read_image(const Context& context, const python::Lock& lock, Packages& out) {
  if (!lock.kist->image) return {};
  Package package{.kind = Package::Kind::image, .name = lock.kist->base,
                  .version = lock.kist->image->digest.hex().substr(0, 12), .asked_by = "kist.toml"};
  const auto digest = TRY(context.store.find(environment::image_base_name(*lock.kist->image)));
  if (digest) {
    const store::Tree tree = TRY(context.store.tree(*digest));
    for (const store::Entry& entry : tree.entries())
      if (entry.kind == store::Kind::file) package.files.push_back(entry);
  }
  out.packages.push_back(std::move(package));
  return {};
}

// With an input that names nobody (a lock of another tool), those that nobody needs are the roots.
void ask_for_roots(Packages& packages, const std::string& by) {
  std::set<size_t> needed;
  bool any = false;
  for (const Package& package : packages.packages) {
    if (package.kind != Package::Kind::python) continue;
    any = any || !package.asked_by.empty();
    for (const Need& need : package.needs) needed.insert(need.package);
  }
  if (any) return;
  for (size_t i = 0; i < packages.packages.size(); ++i)
    if (packages.packages[i].kind == Package::Kind::python && needed.count(i) == 0)
      packages.packages[i].asked_by = by;
}

}  // namespace

std::optional<size_t> Packages::find(Package::Kind kind, std::string_view name) const {
  for (size_t i = 0; i < packages.size(); ++i)
    if (packages[i].kind == kind && packages[i].name == name) return i;
  return std::nullopt;
}

Result<Packages> read_packages(const Context& context, const Project& project,
                               const python::Inputs& inputs, const python::Lock& lock) {
  const python::Target target = TRY(environment::target_of(lock));
  Packages out;
  out.tree = TRY(environment_tree(context, project, lock));
  PythonReader python(context, target, out);
  TRY(python.read());
  python.connect(inputs, lock);
  ask_for_roots(out, lock.kist->source.empty() ? "the lock" : lock.kist->source);
  DebianReader debian(context, out);
  TRY(debian.read(lock));
  TRY(debian.connect(inputs, lock));
  TRY(read_interpreter(context, lock, out));
  TRY(read_image(context, lock, out));
  for (Package& package : out.packages)
    std::sort(package.needs.begin(), package.needs.end(), [&](const Need& a, const Need& b) {
      return out.packages[a.package].name < out.packages[b.package].name;
    });
  return out;
}

std::vector<std::vector<size_t>> chains_to(const Packages& packages, size_t package, size_t limit) {
  std::vector<std::vector<size_t>> needed_by(packages.packages.size());
  for (size_t i = 0; i < packages.packages.size(); ++i)
    for (const Need& need : packages.packages[i].needs) needed_by[need.package].push_back(i);
  std::vector<std::vector<size_t>> chains;
  // Breadth first from the package upward, so that short chains come first.
  std::deque<std::vector<size_t>> open = {{package}};
  for (size_t steps = 0; !open.empty() && chains.size() < limit && steps < kMaxSteps; ++steps) {
    const std::vector<size_t> chain = std::move(open.front());
    open.pop_front();
    const size_t top = chain.back();
    if (!packages.packages[top].asked_by.empty())
      chains.emplace_back(chain.rbegin(), chain.rend());
    if (chain.size() >= kMaxChainLength) continue;
    for (const size_t by : needed_by[top]) {
      if (std::find(chain.begin(), chain.end(), by) != chain.end()) continue;
      open.push_back(chain);
      open.back().push_back(by);
    }
  }
  return chains;
}

std::vector<PackageSize> sizes_of(const Packages& packages) {
  std::map<oci::Digest, std::set<size_t>> owners;
  for (size_t i = 0; i < packages.packages.size(); ++i)
    for (const store::Entry& file : packages.packages[i].files) owners[*file.object].insert(i);
  std::vector<PackageSize> sizes;
  for (size_t i = 0; i < packages.packages.size(); ++i) {
    PackageSize size{.package = i};
    std::set<oci::Digest> counted;
    for (const store::Entry& file : packages.packages[i].files) {
      size.bytes += file.size_bytes;
      if (counted.insert(*file.object).second && owners[*file.object].size() == 1)
        size.unique_bytes += file.size_bytes;
    }
    sizes.push_back(size);
  }
  std::stable_sort(sizes.begin(), sizes.end(), [](const PackageSize& a, const PackageSize& b) {
    return a.bytes > b.bytes;
  });
  return sizes;
}

}  // namespace kist::engine
