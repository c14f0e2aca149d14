// Writing locks: an order and a layout that depend on the lock alone.
#include <algorithm>
#include <tuple>

#include "python/pylock.h"
#include "toml/toml.h"

namespace kist::python {
namespace {

using toml::quoted;

// "a = 1, b = 2" for an inline table.
class InlineTable {
 public:
  void raw(std::string_view key, const std::string& value) {
    text_ += fmt::format("{}{} = {}", text_.empty() ? "" : ", ", toml::key(key), value);
  }
  void text(std::string_view key, const std::string& value) {
    if (!value.empty()) raw(key, quoted(value));
  }
  std::string string() const { return "{ " + text_ + " }"; }

 private:
  std::string text_;
};

// The name that a reader would take from the address by itself need not be written.
bool name_follows(const LockedFile& file) {
  const std::string& address = file.url.empty() ? file.path : file.url;
  return address.ends_with("/" + file.name) || address == file.name;
}

std::string inline_file(const LockedFile& file) {
  InlineTable out;
  if (!name_follows(file)) out.text("name", file.name);
  out.text("url", file.url);
  out.text("path", file.path);
  if (file.size_bytes) out.raw("size", fmt::format("{}", *file.size_bytes));
  if (!file.upload_time.empty()) out.raw("upload-time", file.upload_time);
  out.text("subdirectory", file.subdirectory);
  InlineTable hashes;
  for (const auto& [algorithm, value] : file.hashes) hashes.text(algorithm, value);
  out.raw("hashes", hashes.string());
  return out.string();
}

std::string inline_vcs(const LockedVcs& vcs) {
  InlineTable out;
  out.text("type", vcs.type);
  out.text("url", vcs.url);
  out.text("path", vcs.path);
  out.text("requested-revision", vcs.requested_revision);
  out.text("commit-id", vcs.commit_id);
  out.text("subdirectory", vcs.subdirectory);
  return out.string();
}

std::string inline_directory(const LockedDirectory& directory) {
  InlineTable out;
  out.text("path", directory.path);
  if (directory.editable) out.raw("editable", "true");
  out.text("subdirectory", directory.subdirectory);
  return out.string();
}

std::string inline_debian(const LockedDebianPackage& package) {
  InlineTable out;
  out.text("name", package.name);
  out.text("version", package.version);
  out.text("architecture", package.architecture);
  out.text("suite", package.suite);
  out.text("component", package.component);
  out.text("path", package.path);
  out.raw("size", fmt::format("{}", package.size_bytes));
  out.text("sha256", package.sha256.hex());
  if (package.tool) out.raw("tool", "true");
  return out.string();
}

class Writer {
 public:
  void line(std::string_view text) { (out_ += text) += '\n'; }
  void text(std::string_view key, const std::string& value) {
    if (!value.empty()) line(fmt::format("{} = {}", key, quoted(value)));
  }
  /// One element a line, so that two people who add something rarely meet.
  void list(std::string_view key, const std::vector<std::string>& elements) {
    if (elements.empty()) return;
    line(fmt::format("{} = [", key));
    for (const std::string& element : elements) line("    " + element + ",");
    line("]");
  }
  void texts(std::string_view key, const std::vector<std::string>& values) {
    std::vector<std::string> elements;
    for (const std::string& value : values) elements.push_back(quoted(value));
    list(key, elements);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

void write_package(const LockedPackage& package, Writer& out) {
  out.line("");
  out.line("[[packages]]");
  out.text("name", package.name);
  out.text("version", package.version);
  out.text("marker", package.marker);
  out.text("requires-python", package.requires_python);
  out.text("index", package.index);
  if (package.vcs) out.line("vcs = " + inline_vcs(*package.vcs));
  if (package.directory) out.line("directory = " + inline_directory(*package.directory));
  if (package.archive) out.line("archive = " + inline_file(*package.archive));
  if (package.sdist) out.line("sdist = " + inline_file(*package.sdist));
  if (package.wheels.size() == 1) {
    out.line("wheels = [" + inline_file(package.wheels.front()) + "]");
    return;
  }
  std::vector<LockedFile> wheels = package.wheels;
  std::sort(wheels.begin(), wheels.end(),
            [](const LockedFile& a, const LockedFile& b) { return a.name < b.name; });
  std::vector<std::string> elements;
  for (const LockedFile& wheel : wheels) elements.push_back(inline_file(wheel));
  out.list("wheels", elements);
}

std::string inline_requirement(const LockedBuildRequirement& requirement) {
  InlineTable out;
  out.text("package", requirement.package);
  out.text("name", requirement.name);
  out.text("version", requirement.version);
  out.text("sha256", requirement.sha256.hex());
  return out.string();
}

void write_builds(const KistSection& kist, Writer& out) {
  std::vector<std::string> builds = kist.builds;
  std::sort(builds.begin(), builds.end());
  out.texts("builds", builds);
  std::vector<std::string> lines;
  for (const LockedBuildRequirement& one : kist.build_requirements) lines.push_back(inline_requirement(one));
  std::sort(lines.begin(), lines.end());
  out.list("build-requirements", lines);
  lines.clear();
  for (const LockedDebianPackage& package : kist.build_debian) lines.push_back(inline_debian(package));
  std::sort(lines.begin(), lines.end());
  out.list("build-debian", lines);
}

void write_kist(const KistSection& kist, Writer& out) {
  out.line("");
  out.line("[tool.kist]");
  // What older releases can read keeps their version.
  out.line(fmt::format("version = {}", kist.image ? 2 : 1));
  out.line(fmt::format("recipe = {}", kist.recipe));
  out.text("environment", kist.environment);
  out.text("platform", kist.platform);
  out.text("python", kist.python);
  out.text("base", kist.base);
  if (kist.image) {
    InlineTable image;
    image.text("digest", kist.image->digest.string());
    image.text("python", kist.image->python);
    image.text("libc", kist.image->libc);
    out.line("image = " + image.string());
  }
  out.text("source", kist.source);
  out.text("inputs", kist.inputs);
  out.text("gpu", kist.gpu);
  std::vector<std::string> requested = kist.requested;
  std::sort(requested.begin(), requested.end());
  out.texts("requested", requested);
  std::vector<std::string> system = kist.system;
  std::sort(system.begin(), system.end());
  out.texts("system", system);
  if (kist.interpreter) {
    InlineTable interpreter;
    interpreter.text("url", kist.interpreter->url);
    interpreter.text("path", kist.interpreter->path);
    if (kist.interpreter->size_bytes)
      interpreter.raw("size", fmt::format("{}", *kist.interpreter->size_bytes));
    interpreter.text("sha256", kist.interpreter->sha256.hex());
    out.line("interpreter = " + interpreter.string());
  }
  std::vector<std::string> debian;
  for (const LockedDebianPackage& package : kist.debian) debian.push_back(inline_debian(package));
  // Sorted as text: by name, then version, then architecture.
  std::sort(debian.begin(), debian.end());
  out.list("debian", debian);
  write_builds(kist, out);
}

}  // namespace

std::string write_lock(const Lock& lock) {
  Writer out;
  if (lock.kist) out.line("# Written by kist; `kist lock` renews it.");
  out.line("lock-version = \"1.0\"");
  out.texts("environments", lock.environments);
  out.text("requires-python", lock.requires_python);
  if (!lock.extras.empty()) out.line("extras = " + toml::one_line(lock.extras));
  if (!lock.dependency_groups.empty())
    out.line("dependency-groups = " + toml::one_line(lock.dependency_groups));
  if (!lock.default_groups.empty())
    out.line("default-groups = " + toml::one_line(lock.default_groups));
  out.text("created-by", lock.created_by);
  if (lock.packages.empty()) out.line("packages = []");
  std::vector<const LockedPackage*> sorted;
  for (const LockedPackage& package : lock.packages) sorted.push_back(&package);
  std::sort(sorted.begin(), sorted.end(), [](const LockedPackage* a, const LockedPackage* b) {
    return std::tie(a->name, a->version, a->marker) < std::tie(b->name, b->version, b->marker);
  });
  for (const LockedPackage* package : sorted) write_package(*package, out);
  if (lock.kist) write_kist(*lock.kist, out);
  return out.take();
}

std::string lock_file_name(std::string_view environment, std::string_view other_platform) {
  std::string name = "pylock.kist";
  if (environment != "default" && !environment.empty()) name += fmt::format("-{}", environment);
  if (!other_platform.empty()) {
    name += fmt::format("@{}", other_platform);
    std::replace(name.begin(), name.end(), '/', '-');
  }
  return name + ".toml";
}

std::optional<std::string> environment_of_lock(std::string_view file_name) {
  constexpr std::string_view kPrefix = "pylock.kist";
  constexpr std::string_view kSuffix = ".toml";
  if (!file_name.starts_with(kPrefix) || !file_name.ends_with(kSuffix)) return std::nullopt;
  if (file_name.size() < kPrefix.size() + kSuffix.size()) return std::nullopt;
  std::string_view middle = file_name.substr(kPrefix.size());
  middle.remove_suffix(kSuffix.size());
  middle = middle.substr(0, middle.find('@'));
  if (middle.empty()) return std::string("default");
  // PEP 751 allows no dots in a lock's name.
  if (middle.front() != '-' || middle.size() == 1 || middle.find('.') != std::string_view::npos)
    return std::nullopt;
  return std::string(middle.substr(1));
}

}  // namespace kist::python
