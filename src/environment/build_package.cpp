#include "environment/build_package.h"

#include <algorithm>

#include "base/text.h"
#include "http/address.h"
#include "environment/assemble.h"
#include "environment/build_container.h"
#include "environment/build_folder.h"
#include "environment/build_lock.h"
#include "environment/build_output.h"
#include "environment/build_root.h"
#include "environment/debian_base.h"
#include "environment/interpreter.h"
#include "environment/platform.h"
#include "environment/python_packages.h"
#include "os/mapped_file.h"

namespace kist::environment {
namespace {

using Kind = python::SelectedPackage::Kind;

constexpr std::string_view kRecipe = "kist-build-1";
constexpr std::string_view kInsideProject = "/kist-build/project";
constexpr size_t kMaxWheelBytes = 16ull << 30;
// Where kist cannot add what a build lacks.
constexpr const char* kImageHint =
    "if something is missing: take an image that has it, or `base = \"debian:trixie\"`, to which kist adds it";

bool is_archive(const BuildJob& job) {
  return job.package.kind == Kind::sdist || job.package.kind == Kind::archive;
}

bool is_editable(const BuildJob& job) {
  return job.package.kind == Kind::directory && job.package.directory.editable;
}

// What the wheel is a function of, as far as a lock can say it.
std::string key_of(const BuildSite& site, const BuildJob& job) {
  const python::SelectedPackage& package = job.package;
  std::string source;
  switch (package.kind) {
    case Kind::wheel:
    case Kind::sdist:
    case Kind::archive:
      source = package.file.sha256()->hex() + " " + package.file.subdirectory;
      break;
    case Kind::vcs:
      source = package.vcs.url + package.vcs.path + " " + package.vcs.commit_id + " " +
               package.vcs.subdirectory;
      break;
    case Kind::directory:
      source = job.folder + " " + job.sources;
      break;
  }
  std::string text =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", kRecipe, static_cast<int>(package.kind), is_editable(job),
                  site.target.describe(), base_id(*site.lock.kist), source);
  if (site.lock.kist->interpreter) text += interpreter_key(site.lock.kist->interpreter->sha256) + "\n";
  text += locked_build_key(site.lock, package.name);
  return oci::Sha256::of(text).hex();
}

Result<std::string> fetch_archive(const Context& context, const BuildSite& site,
                                  const BuildJob& job) {
  const python::LockedFile& file = job.package.file;
  const std::string path = file.path.starts_with("/") ? file.path : os::join(site.lock_folder, file.path);
  http::Download download;
  download.urls = {file.url.empty() ? http::file_url(path) : file.url};
  download.sha256 = file.sha256();
  download.size_bytes = file.size_bytes;
  download.path = os::join(context.cache("partial"), file.sha256()->hex());
  download.label = job.label;
  if (context.offline && !download.urls.front().starts_with("file:"))
    return Error(Code::unavailable, "the sources of {} are not on this machine", job.label)
        .hint("run it once without `--offline`");
  TRY(os::make_folders(context.cache("partial")));
  const std::vector<http::Download> downloads = {download};
  TRY(context.client.download_all(downloads, [](size_t) -> Result<void> { return {}; }, 1,
                                  context.progress, "fetching sources"));
  return download.path;
}

// Brings the sources to where the build may write, and returns the project's folder.
Result<std::string> sources_of(const Context& context, const BuildSite& site, const BuildJob& job,
                               const BuildPlace& place) {
  if (is_editable(job)) return job.folder;
  const std::string folder = os::join(place.scratch_folder, "sources");
  TRY(os::make_folders(folder));
  std::string project = folder;
  std::string subdirectory;
  if (is_archive(job)) {
    const std::string archive = TRY(fetch_archive(context, site, job));
    project = TRY(python::unpack_sdist(archive, job.package.file.name, folder));
    (void)os::remove_tree(archive).has_value();
    subdirectory = job.package.file.subdirectory;
  } else if (job.package.kind == Kind::vcs) {
    TRY(fetch_commit(context, place, job.package.vcs, folder));
    subdirectory = job.package.vcs.subdirectory;
  } else {
    TRY(copy_sources(place, job.folder, folder));
    subdirectory = job.package.directory.subdirectory;
  }
  if (subdirectory.empty()) return project;
  // A link in the sources must not lead the build's mount to another place of this machine.
  const os::Fd root = TRY(os::open_file(project, O_RDONLY | O_DIRECTORY));
  const os::Fd inside = TRY(os::open_in_root(root, subdirectory, O_RDONLY | O_DIRECTORY),
                            "subdirectory '{}'", printable(subdirectory));
  return os::read_link(fmt::format("/proc/self/fd/{}", inside.get()));
}

// Debian packages that a build needs beyond the environment's own, resolved beside them.
Result<std::vector<python::LockedDebianPackage>> build_packages(
    const Context& context, const BuildSite& site, const std::vector<std::string>& more) {
  const auto& locked = site.lock.kist->debian;
  if (site.lock.kist->image) return locked;  // An image has the tools that it has.
  if (!site.lock.kist->build_debian.empty()) return locked_build_debian(site.lock);
  if (more.empty()) return locked;
  std::vector<std::string> system = site.lock.kist->system;
  system.insert(system.end(), more.begin(), more.end());
  const bool has_own_python = site.lock.kist->interpreter.has_value();
  // Among the locked ones are the libraries that such an interpreter needs.
  for (const python::LockedDebianPackage& package : locked)
    if (has_own_python && !package.tool) system.push_back(package.name);
  return lock_debian(context, {.suite = site.suite.name,
                               .architecture = host_architecture(),
                               .system = system,
                               .keep = locked,
                               .has_own_python = has_own_python,
                               .libraries = {}});
}

std::vector<std::string> compilers(const BuildSite& site) {
  std::vector<std::string> names = {"build-essential"};
  // An interpreter of the project's own has its headers with it.
  if (!site.lock.kist->interpreter) names.push_back(fmt::format("python{}-dev", site.target.python()));
  return names;
}

// The root in which it is built: the environment's own base and interpreter, with `system` beside.
Result<store::Root> build_root(const Context& context, const BuildSite& site,
                               const std::vector<std::string>& system, store::Transaction& tx) {
  const auto debian = TRY(build_packages(context, site, system));
  std::optional<Interpreter> interpreter;
  if (site.lock.kist->interpreter)
    interpreter = TRY(bring_interpreter(context, *site.lock.kist->interpreter, site.lock.kist->platform,
                                        site.lock_folder, tx));
  Base image;
  if (site.lock.kist->image) image = TRY(assemble_base(context, *site.lock.kist, tx));
  return tool_root(context, {.suite = site.suite.name,
                             .debian = debian,
                             .target = site.target,
                             .interpreter = interpreter ? &interpreter->files : nullptr,
                             .image = site.lock.kist->image ? &image.tree : nullptr}, tx);
}

}  // namespace

Result<PreparedBuild> prepare_build(const Context& context, const BuildSite& site, const BuildJob& job,
                                    std::vector<std::string> system, const std::string& scratch,
                                    store::Transaction& tx) {
  if (job.package.kind == Kind::vcs) system.push_back("git");
  store::Root root = TRY(build_root(context, site, system, tx));
  BuildPlace place{.label = job.label,
                   .root = std::move(root),
                   .python = site.target.python_program(),
                   .scratch_folder = scratch,
                   .inside_project = is_editable(job) ? job.folder : std::string(kInsideProject),
                   .locked = locked_build(site.lock, job.package.name)};
  std::optional<store::Lease> lease = TRY(store::Lease::hold(place.root));
  const std::string project = TRY(sources_of(context, site, job, place));
  python::BuildRequest request{.project_folder = project,
                               .scratch_folder = os::join(scratch, "outputs"),
                               .wheel_folder = os::join(scratch, "wheel"),
                               .name = job.package.name,
                               .version = job.package.version};
  TRY(os::make_folders(request.scratch_folder));
  TRY(os::make_folders(request.wheel_folder));
  if (is_editable(job)) request.kind = python::BuildKind::editable;
  request.python = kBuildPython;
  request.inside_project = place.inside_project;
  request.inside_output = "/kist-build/output";
  return PreparedBuild{std::move(place), std::move(request), std::move(lease)};
}

Result<std::vector<python::LockedDebianPackage>> packages_for_builds(
    const Context& context, const BuildSite& site, bool with_compiler, bool with_git) {
  std::vector<std::string> more;
  if (with_compiler) more = compilers(site);
  if (with_git) more.push_back("git");
  return build_packages(context, site, more);
}

namespace {

struct Attempt {
  Result<std::string> wheel;
  std::string log;
};

Result<Attempt> attempt(const Context& context, const BuildSite& site, const BuildJob& job,
                        std::vector<std::string> system, const std::string& scratch,
                        store::Transaction& tx) {
  PreparedBuild prepared = TRY(prepare_build(context, site, job, std::move(system), scratch, tx));
  BuildContainer container(context, std::move(prepared.place));
  auto wheel = python::build_wheel(
      prepared.request, [&](const python::BuildStep& step) { return container.run(step); });
  return Attempt{std::move(wheel), container.log()};
}

bool has_compiler(const python::Lock& lock) {
  const auto is_compiler = [](const auto& package) { return package.name == "gcc"; };
  const auto& debian = lock.kist->debian;
  const auto& more = lock.kist->build_debian;
  return std::any_of(debian.begin(), debian.end(), is_compiler) ||
         std::any_of(more.begin(), more.end(), is_compiler);
}

Result<std::string> build(const Context& context, const BuildSite& site, const BuildJob& job,
                          const os::TempDir& scratch, store::Transaction& tx) {
  Attempt first =
      TRY(attempt(context, site, job, {}, os::join(scratch.path(), "first"), tx));
  const bool is_lacking = lacks_compiler(first.log) && !(first.wheel && has_compiler(site.lock)) &&
                          site.lock.kist->build_debian.empty();
  if (!is_lacking) {
    if (first.wheel) return std::move(first.wheel);
    Error error = std::move(first.wheel).error();
    const std::string hint = site.lock.kist->image ? kImageHint : build_hint(first.log);
    return hint.empty() ? error : std::move(error).hint(hint);
  }
  if (site.lock.kist->image)
    return Error(Code::invalid, "{} has no wheel and needs a compiler, which the base image '{}' has not", job.label,
                 printable(site.lock.kist->base))
        .hint("take an image with a compiler in it, a version that has a wheel, or `base = \"debian:trixie\"`");
  context.progress.warn(fmt::format("{} needs a compiler: building it with Debian's", job.label));
  Attempt second =
      TRY(attempt(context, site, job, compilers(site), os::join(scratch.path(), "second"), tx));
  if (second.wheel) return std::move(second.wheel);
  Error error = std::move(second.wheel).error();
  const std::string hint = build_hint(second.log);
  return hint.empty() ? error : std::move(error).hint(hint);
}

Result<store::Tree> wheel_tree(const std::string& path, store::Transaction& tx) {
  const os::MappedFile file = TRY(os::MappedFile::open(path, kMaxWheelBytes));
  store::TreeBuilder builder(tx);
  TRY(builder.file("wheel/" + std::string(os::name_of(path)), 0644, file.bytes()));
  return std::move(builder).finish();
}

Result<store::Tree> built_tree(const Context& context, const BuildSite& site, const BuildJob& job,
                               store::Transaction& tx) {
  const auto known = TRY(find_name(context.store, tx, job.name));
  if (known) {
    auto tree = context.store.tree(*known);
    if (tree) return std::move(*tree);  // Else damage: it is built again.
  }
  const std::string phase = "building " + job.label;
  context.progress.begin(phase, 0, 0);
  TRY(os::make_folders(context.cache("build")));
  const os::TempDir scratch = TRY(os::TempDir::make(context.cache("build")));
  auto wheel = build(context, site, job, scratch, tx);
  context.progress.end(phase, wheel ? "built " + job.label : std::string());
  if (!wheel) return std::move(wheel).error().context("building " + job.label);
  store::Tree tree = TRY(wheel_tree(*wheel, tx));
  const oci::Digest digest = TRY(tx.put_tree(tree));
  tx.name(job.name, digest);
  return tree;
}

std::string absolute(const std::string& path, const std::string& lock_folder) {
  return path.starts_with("/") ? path : os::join(lock_folder, path);
}

}  // namespace

Result<BuildJob> build_job(const BuildSite& site, const python::SelectedPackage& package) {
  BuildJob job;
  job.package = package;
  job.label = package.version.empty() ? package.name
                                      : fmt::format("{} {}", package.name, package.version);
  if (site.lock.kist->platform != host_platform())
    return Error(Code::unsupported, "{} has no wheel and is built on {} only, not on {}", job.label,
                 site.lock.kist->platform, host_platform())
        .hint(fmt::format("ask for a version of {} that has one", package.name));
  if (package.kind == Kind::directory) {
    const std::string path = absolute(package.directory.path, site.lock_folder);
    auto folder = os::real_path(path);
    if (!folder)
      return Error(Code::not_found, "{}: the folder '{}' does not exist", package.name, printable(path))
          .hint("`kist lock` to lock what there is now");
    job.folder = std::move(*folder);
    auto sources = is_editable(job) ? digest_of_build_files(job.folder) : digest_of_sources(job.folder);
    if (!sources) return std::move(sources).error().context(job.label);
    job.sources = std::move(*sources);
  }
  job.name = "built/" + key_of(site, job);
  return job;
}

Result<Piece> built_piece(const Context& context, const BuildSite& site, const BuildJob& job,
                          store::Transaction& tx) {
  const store::Tree tree = TRY(built_tree(context, site, job, tx));
  const auto wheel = std::find_if(tree.entries().begin(), tree.entries().end(), [](const auto& e) {
    return e.kind == store::Kind::file;
  });
  if (wheel == tree.entries().end())
    return Error(Code::corrupt, "{}: '{}' has no wheel", job.label, job.name).hint("`kist fsck --repair`");
  const auto direct_url = TRY(direct_url_json(job.package, site.lock_folder));
  python::SelectedPackage built = job.package;
  built.file = python::LockedFile{.name = std::string(os::name_of(wheel->path)),
                                  .url = "",
                                  .path = context.store.object_path(*wheel->object, wheel->mode),
                                  .size_bytes = wheel->size_bytes,
                                  .hashes = {{"sha256", wheel->object->hex()}}};
  return wheel_piece_with(context, built, site.target, site.lock_folder, direct_url);
}

std::vector<std::string> build_inputs(const python::Lock& lock, const std::string& lock_folder) {
  std::vector<std::string> files;
  for (const python::LockedPackage& package : lock.packages) {
    if (!package.directory) continue;
    const auto own = build_files(absolute(package.directory->path, lock_folder));
    files.insert(files.end(), own.begin(), own.end());
  }
  return files;
}

}  // namespace kist::environment
