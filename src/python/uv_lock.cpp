#include "python/uv_lock.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/text.h"
#include "http/client.h"
#include "python/inputs_files.h"
#include "python/markers.h"
#include "toml/toml.h"
#include "python/uv_lock_package.h"
#include "python/versions.h"

namespace kist::python {
namespace {

using toml::Fields;

struct Dependency {
  std::string name, version;
  std::string source;  // As one line of TOML: only for comparing.
  std::string marker;
  std::vector<std::string> extras;
};

class UvLockReader {
 public:
  UvLockReader(std::string_view file, const Target& target, const UvLockRoot& root)
      : file_(file), root_(root) {
    environment_.target = target;
  }

  Result<Lock> read(const toml::Value& value) {
    Fields fields = TRY(Fields::of(value, file_));
    TRY(check_header(fields));
    packages_ = TRY(fields.optional_tables("package"));
    for (size_t i = 0; i < packages_.size(); ++i) {
      const std::string name = TRY(packages_[i].string("name"));
      by_name_[normalize_name(name)].push_back(i);
    }
    TRY(start(fields));
    while (!queue_.empty()) {
      const auto [package, extra] = queue_.front();
      queue_.pop_front();
      TRY(visit(package, extra));
    }
    Lock lock;
    lock.created_by = "uv";
    lock.requires_python = TRY(fields.optional_string("requires-python"));
    for (const size_t index : reached_) {
      auto package = TRY(read_uv_package(packages_[index]));
      if (package) lock.packages.push_back(std::move(*package));
    }
    return lock;
  }

 private:
  Result<void> check_header(Fields& fields) {
    const std::optional<int64_t> version = TRY(fields.optional_integer("version"));
    if (!version) return fields.error("version", "'version' is missing");
    if (*version != 1) {
      return Error(Code::unsupported, "{}uv.lock has version {}, this kist reads version 1",
                   fields.where("version"), *version)
          .hint("export it in the standard form: `uv export --format pylock.toml -o pylock.toml`");
    }
    const std::vector<std::string> supported = TRY(fields.optional_strings("supported-markers"));
    if (supported.empty()) return {};
    const bool fits = TRY(any_holds(supported));
    if (fits) return {};
    return Error(Code::unsupported, "{}uv.lock is not for {}", fields.where("supported-markers"),
                 environment_.target.describe());
  }

  Result<bool> any_holds(const std::vector<std::string>& markers) const {
    for (const std::string& text : markers) {
      const Marker marker = TRY(Marker::parse(text), "{}", printable(file_));
      if (marker.evaluate(environment_)) return true;
    }
    return false;
  }

  // Where the walk begins: the project, or (in the lock of a script) its requirements.
  Result<void> start(Fields& fields) {
    const std::optional<size_t> project = TRY(find_project());
    if (project) return start_at(*project);
    std::optional<Fields> manifest = TRY(fields.optional_table("manifest"));
    if (!root_.project.empty() || !manifest || !manifest->has("requirements")) {
      return Error(Code::invalid, "{}: has no project{}{}", printable(file_),
                   root_.project.empty() ? " at '.'" : " ", printable(root_.project))
          .hint("lock again: `uv lock`");
    }
    std::vector<Fields> requirements = TRY(manifest->optional_tables("requirements"));
    for (Fields& entry : requirements) {
      Dependency dependency = TRY(read_dependency(entry));
      // Here the version is a wish ("specifier"), and the source is written differently.
      dependency.source.clear();
      TRY(follow(dependency));
    }
    return {};
  }

  Result<std::optional<size_t>> find_project() {
    if (!root_.project.empty()) {
      const auto found = by_name_.find(root_.project);
      if (found == by_name_.end() || found->second.size() != 1) return std::optional<size_t>();
      return std::optional<size_t>(found->second.front());
    }
    for (size_t i = 0; i < packages_.size(); ++i) {
      std::optional<Fields> source = TRY(packages_[i].optional_table("source"));
      if (!source) continue;
      for (const char* kind : {"editable", "virtual", "directory"}) {
        const std::string path = TRY(source->optional_string(kind));
        if (!path.empty() && normal_path(path) == ".") return std::optional<size_t>(i);
      }
    }
    return std::optional<size_t>();
  }

  // Where extras exclude each other, uv writes markers such as `extra == 'extra-3-big-cpu'`: the
  // length and name of the package, then the extra's name; "group-…" for groups.
  Result<void> start_at(size_t project) {
    const std::string name = TRY(packages_[project].string("name"));
    const auto encoded = [&](std::string_view kind, std::string_view item) {
      return fmt::format("{}-{}-{}-{}", kind, name.size(), name, item);
    };
    environment_.extras.insert(fmt::format("project-{}-{}", name.size(), name));
    for (const std::string& extra : root_.extras)
      environment_.extras.insert(encoded("extra", extra));
    for (const std::string& group : root_.groups)
      environment_.extras.insert(encoded("group", group));
    enqueue(project, "");
    for (const std::string& extra : root_.extras) {
      TRY(check_section(packages_[project], "optional-dependencies", "extra", extra));
      enqueue(project, extra);
    }
    for (const std::string& group : root_.groups) {
      TRY(check_section(packages_[project], "dev-dependencies", "group", group));
      TRY(follow_list(packages_[project], "dev-dependencies", group));
    }
    return {};
  }

  // An extra or group without dependencies does not stand in its table, only in the metadata.
  Result<void> check_section(Fields& package, std::string_view table_name, std::string_view what,
                             const std::string& item) const {
    std::optional<Fields> table = TRY(package.optional_table(table_name));
    std::set<std::string> known;
    if (table)
      for (const auto& [key, value] : table->table().entries()) known.insert(normalize_name(key));
    std::optional<Fields> metadata = TRY(package.optional_table("metadata"));
    if (metadata) {
      const std::vector<std::string> extras = TRY(metadata->optional_strings("provides-extras"));
      std::optional<Fields> groups = TRY(metadata->optional_table("requires-dev"));
      if (what == "extra") known.insert(extras.begin(), extras.end());
      if (what == "group" && groups)
        for (const auto& [key, value] : groups->table().entries()) known.insert(key);
    }
    if (known.contains(item)) return {};
    return Error(Code::invalid, "{}: the project has no {} '{}', only: {}", printable(file_), what,
                 printable(item),
                 known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")))
        .hint("lock again: `uv lock`");
  }

  void enqueue(size_t package, const std::string& extra) {
    if (visited_.emplace(package, extra).second) queue_.emplace_back(package, extra);
  }

  Result<void> visit(size_t index, const std::string& extra) {
    Fields& package = packages_[index];
    reached_.insert(index);
    if (!extra.empty()) return follow_list(package, "optional-dependencies", extra);
    std::vector<Fields> list = TRY(package.optional_tables("dependencies"));
    return follow_all(list);
  }

  Result<void> follow_list(Fields& package, std::string_view table_name, const std::string& item) {
    std::optional<Fields> table = TRY(package.optional_table(table_name));
    if (!table) return {};
    for (const auto& [key, value] : table->table().entries()) {
      if (normalize_name(key) != item) continue;
      std::vector<Fields> list = TRY(table->optional_tables(key));
      return follow_all(list);
    }
    return {};
  }

  Result<void> follow_all(std::vector<Fields>& list) {
    for (Fields& entry : list) {
      const Dependency dependency = TRY(read_dependency(entry));
      TRY(follow(dependency));
    }
    return {};
  }

  static Result<Dependency> read_dependency(Fields& fields) {
    Dependency out;
    const std::string name = TRY(fields.string("name"));
    out.name = normalize_name(name);
    out.version = TRY(fields.optional_string("version"));
    out.marker = TRY(fields.optional_string("marker"));
    if (const toml::Value* source = fields.optional_value("source"))
      out.source = toml::one_line(*source);
    out.extras = TRY(fields.optional_strings(fields.has("extras") ? "extras" : "extra"));
    return out;
  }

  Result<void> follow(const Dependency& dependency) {
    const Marker marker =
        TRY(Marker::parse(dependency.marker), "{}: {}", printable(file_), dependency.name);
    if (!marker.evaluate(environment_)) return {};
    const size_t package = TRY(find(dependency));
    enqueue(package, "");
    for (const std::string& extra : dependency.extras) enqueue(package, normalize_name(extra));
    return {};
  }

  Result<size_t> find(const Dependency& dependency) {
    const auto found = by_name_.find(dependency.name);
    std::vector<size_t> fitting;
    if (found != by_name_.end()) {
      for (const size_t index : found->second) {
        const bool fits = TRY(is_meant(packages_[index], dependency));
        if (fits || found->second.size() == 1) fitting.push_back(index);
      }
    }
    if (fitting.size() == 1) return fitting.front();
    return Error(Code::invalid, "{}: has {} packages for the dependency {} {}, want one",
                 printable(file_), fitting.size(), printable(dependency.name),
                 printable(dependency.version))
        .hint("lock again: `uv lock`");
  }

  Result<bool> is_meant(Fields& package, const Dependency& dependency) {
    const std::string version = TRY(package.optional_string("version"));
    if (!dependency.version.empty() && version != dependency.version) return false;
    const toml::Value* source = package.optional_value("source");
    if (!dependency.source.empty() &&
        (source == nullptr || toml::one_line(*source) != dependency.source))
      return false;
    if (!dependency.version.empty()) return true;
    const std::vector<std::string> forks = TRY(package.optional_strings("resolution-markers"));
    if (forks.empty()) return true;
    return any_holds(forks);
  }

  std::string_view file_;
  const UvLockRoot& root_;
  MarkerEnvironment environment_;
  std::vector<Fields> packages_;
  std::map<std::string, std::vector<size_t>> by_name_;
  std::set<std::pair<size_t, std::string>> visited_;
  std::deque<std::pair<size_t, std::string>> queue_;  // Package and extra ("": itself).
  std::set<size_t> reached_;
};

}  // namespace

Result<Lock> read_uv_lock(std::string_view text, std::string_view file, const Target& target,
                          const UvLockRoot& root) {
  const toml::Value value = TRY(toml::parse(text, file));
  return UvLockReader(file, target, root).read(value);
}

}  // namespace kist::python
