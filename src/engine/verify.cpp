#include "engine/verify.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "engine/base_image.h"
#include "engine/credentials.h"
#include "engine/image_layers.h"
#include "environment/assemble.h"
#include "environment/bytecode_part.h"
#include "environment/foreign_compiler.h"
#include "store/layer.h"

namespace kist::engine {
namespace {

using environment::Context;
using environment::NamedTree;

struct Made {
  oci::Digest digest{oci::Digest::Bytes{}};
  store::Tree tree;
  std::vector<NamedTree> parts;
  size_t packages = 0;
  uint64_t fetched_bytes = 0;
};

Result<Made> make(const Context& context, const python::Lock& lock, const std::string& lock_folder) {
  Made made;
  TRY(bring_base_image(context, lock));
  TRY(bring_compiler_image(context, lock, lock_folder));
  store::Transaction tx = TRY(context.store.begin());
  environment::Environment environment =
      TRY(environment::assemble(context, lock, lock_folder, tx));
  made.packages = environment.packages;
  made.fetched_bytes = environment.fetched_bytes;
  const environment::Completed completed =
      TRY(environment::complete_environment(context, lock, lock_folder, environment, tx));
  made.digest = completed.tree;
  made.parts = TRY(environment::parts_of(context, lock, lock_folder, tx));
  made.tree = TRY(context.store.tree(made.digest));
  store::Tree rest = TRY(environment::share_out_bytecode(made.tree, made.parts, is_package_part));
  if (!rest.empty()) made.parts.push_back({std::string(kBytecodePart), std::move(rest)});
  TRY(std::move(tx).commit());
  return made;
}

// Digest of a layer's tar by its name. What the store cannot give any more is told, not an error.
struct Layers {
  std::map<std::string, std::string> digests;
  std::map<std::string, std::string> damages;
};

// Layer by layer, as an image of all of it has them.
Result<Layers> digests_of(const Context& context, const Made& made, const python::Lock& lock) {
  const std::vector<LayerTree> trees = TRY(layers_of(made.parts, lock));
  const store::StoreContents contents(context.store);
  const auto nowhere = [](std::string_view) -> Result<void> { return {}; };
  Layers layers;
  std::mutex mutex;
  const auto write = [&](size_t i) -> Result<void> {
    const auto tar = store::write_tar(trees[i].tree, contents, nowhere);
    const std::lock_guard guard(mutex);
    if (tar) {
      layers.digests[trees[i].name] = tar->diff_id.string();
      return {};
    }
    if (tar.error().code() != Code::corrupt) return tar.error();
    layers.damages[trees[i].name] = tar.error().message();
    return {};
  };
  TRY(context.workers.for_each(trees.size(), write));
  return layers;
}

std::string what_differs(const store::Change& change) {
  if (change.what == store::Change::What::removed) return "only here";
  if (change.what == store::Change::What::added) return "only anew";
  const store::Entry& here = *change.before;
  const store::Entry& anew = *change.after;
  if (here.kind != anew.kind) return "kind";
  if (here.object != anew.object) return "content";
  if (here.target != anew.target) return "link";
  if (here.mode != anew.mode) return fmt::format("mode {:o}, anew {:o}", here.mode, anew.mode);
  if (here.uid != anew.uid || here.gid != anew.gid) return "owner";
  if (here.mtime_s != anew.mtime_s) return "time";
  return "attributes";
}

void compare_trees(const Made& here, const Made& anew, Verification& out) {
  out.tree_here = here.digest.string();
  out.tree_anew = anew.digest.string();
  if (here.digest == anew.digest) return;
  const auto changes = store::diff(here.tree, anew.tree);
  out.difference_count = changes.size();
  for (const store::Change& change : changes) {
    if (out.differences.size() == kShownDifferences) break;
    const store::Entry& entry = change.before != nullptr ? *change.before : *change.after;
    out.differences.push_back({entry.path, what_differs(change)});
  }
}

void compare_layers(const Layers& here, const Layers& anew, Verification& out) {
  std::map<std::string, LayerComparison> all;
  for (const auto& [name, digest] : here.digests) all[name].here = digest;
  for (const auto& [name, digest] : anew.digests) all[name].anew = digest;
  for (const auto& [name, damage] : here.damages) all[name].damage = damage;
  for (auto& [name, layer] : all) {
    layer.name = name;
    out.layers.push_back(std::move(layer));
  }
}

Result<python::Lock> current_lock(const Context& context, Project& project,
                                  const launch::RunRequest& request, const std::string& platform) {
  const python::Inputs inputs = TRY(read_inputs(project, request, context.host));
  learn_credentials(context, project, inputs);
  choose_platform(project, platform);
  auto lock = TRY(read_lock(project, context.progress));
  if (!lock)
    return Error(Code::not_found, "there is no lock '{}'", printable(project.lock_path))
        .hint(platform.empty() ? "`kist lock`" : fmt::format("`kist lock --platform {}`", printable(platform)));
  if (!is_current(*lock, inputs))
    context.progress.warn(fmt::format("the lock does not match {}; verifying the lock as it is",
                                      inputs.chosen));
  return std::move(*lock);
}

constexpr std::string_view kInUse = "in-use";

// The clean store's folder, and a lock that tells others that it is in use. What a killed verify
// left behind goes first: it is as large as the environment.
struct CleanFolder {
  os::TempDir folder;
  os::FileLock lock;
};

Result<CleanFolder> clean_folder(const std::string& home) {
  const std::string parent = os::join(home, "verify");
  TRY(os::make_folders(parent, 0700));
  // Making a folder and locking it are two steps; this lock makes them one for those who clean up.
  const os::FileLock guard =
      TRY(os::FileLock::acquire(os::join(home, "verify.lock"), os::FileLock::Mode::exclusive));
  const auto names = TRY(os::list_folder(parent));
  for (const std::string& name : names) {
    const std::string left = os::join(parent, name);
    const auto free = os::FileLock::try_acquire(os::join(left, kInUse), os::FileLock::Mode::exclusive);
    if (!free || *free) TRY(os::remove_tree(left));
  }
  os::TempDir folder = TRY(os::TempDir::make(parent));
  os::FileLock lock = TRY(
      os::FileLock::acquire(os::join(folder.path(), kInUse), os::FileLock::Mode::exclusive));
  return CleanFolder{std::move(folder), std::move(lock)};
}

}  // namespace

bool Verification::is_identical() const {
  return tree_here == tree_anew &&
         std::all_of(layers.begin(), layers.end(),
                     [](const LayerComparison& layer) { return layer.here == layer.anew; });
}

Result<Digests> digests(const Context& context, const launch::RunRequest& request,
                        const std::string& platform) {
  Project project = TRY(locate(request, context.host));
  const python::Lock lock = TRY(current_lock(context, project, request, platform));
  const Made here = TRY(make(context, lock, os::parent_of(project.lock_path)));
  Digests out{.tree = here.digest.string(), .layers = {}, .packages = here.packages};
  Layers layers = TRY(digests_of(context, here, lock));
  for (const auto& [name, damage] : layers.damages)
    return Error(Code::corrupt, "layer {}: {}", name, damage).hint("`kist fsck --repair`");
  out.layers = std::move(layers.digests);
  return out;
}

Result<Verification> verify(const Context& context, const launch::RunRequest& request,
                            const std::string& platform) {
  Project project = TRY(locate(request, context.host));
  const python::Lock lock = TRY(current_lock(context, project, request, platform));
  const std::string lock_folder = os::parent_of(project.lock_path);
  const Made here = TRY(make(context, lock, lock_folder));

  const CleanFolder clean_here = TRY(clean_folder(context.store.home()));
  launch::Host host = context.host;
  host.kist_home = os::join(clean_here.folder.path(), "store");
  const store::Store store = TRY(store::Store::open(host.kist_home));
  const Context clean{.host = host,
                      .store = store,
                      .client = context.client,
                      .progress = context.progress,
                      .workers = context.workers,
                      .apt = context.apt,
                      .index_variables = context.index_variables,
                      .index_folders = context.index_folders,
                      .default_index = context.default_index,
                      .now_s = context.now_s,
                      .offline = context.offline};
  TRY(copy_base_image(context, clean, lock), "unpacking the base image anew");
  TRY(copy_compiler_image(context, clean, lock, lock_folder), "unpacking the image that compiles for it anew");
  const Made anew = TRY(make(clean, lock, lock_folder), "assembling it anew");

  Verification out;
  out.packages = anew.packages;
  out.fetched_bytes = anew.fetched_bytes;
  compare_trees(here, anew, out);
  const auto layers_here = TRY(digests_of(context, here, lock));
  const auto layers_anew = TRY(digests_of(clean, anew, lock));
  compare_layers(layers_here, layers_anew, out);
  return out;
}

}  // namespace kist::engine
