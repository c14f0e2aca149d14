#include "engine/prepare.h"

#include <chrono>

#include "base/text.h"
#include "engine/base_image.h"
#include "engine/bytecode_job.h"
#include "engine/edit_backup.h"
#include "engine/credentials.h"
#include "engine/keep_finished.h"
#include "engine/lock.h"
#include "environment/build_package.h"
#include "environment/image_base.h"
#include "store/tree_links.h"

namespace kist::engine {
namespace {

using environment::Context;
using launch::Ready;
using launch::RunRequest;

Result<os::FileLock> take_guard(const Project& project, Progress& progress) {
  TRY(os::make_folders(project.store_folder, 0700));
  const std::string path = os::join(project.store_folder, project.environment + ".lock");
  auto free = TRY(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive));
  if (free) return std::move(*free);
  progress.begin("waiting for another kist that prepares this project", 0, 0);
  auto waited = os::FileLock::acquire(path, os::FileLock::Mode::exclusive);
  progress.end("waiting for another kist that prepares this project", "");
  return waited;
}

// Stamps are taken before anything is read, so that a change made meanwhile makes the file stale.
std::vector<launch::Watched> stamps_of(const std::vector<std::string>& paths) {
  std::vector<launch::Watched> watched;
  for (const std::string& path : paths) watched.push_back({path, os::stamp(path)});
  return watched;
}

// All that the inputs depend on, but for the lock, which we may be about to write.
std::vector<std::string> watched_paths(const Project& project, const python::Inputs& inputs) {
  std::vector<std::string> paths;
  for (const std::string& path : inputs.watched) {
    std::string full = path.starts_with("/") ? path : os::join(project.folder, path);
    if (full != project.lock_path) paths.push_back(std::move(full));
  }
  return paths;
}

std::string task_command(const python::TaskSettings& task) {
  if (task.arguments.empty()) return task.shell;
  std::string command;
  for (const std::string& argument : task.arguments)
    command += (command.empty() ? "" : " ") + shell_quote(argument);
  return command;
}

void add_settings(const python::Inputs& inputs, Ready& ready) {
  const python::RunSettings& run = inputs.project.run;
  for (const auto& [name, value] : run.env) ready.variables.push_back(name + "=" + value);
  for (const python::MountSetting& mount : run.mounts)
    ready.mounts.push_back(
        fmt::format("{}:{}{}", mount.source, mount.target, mount.read_only ? ":ro" : ""));
  for (const python::TaskSettings& task : inputs.project.tasks)
    ready.tasks[task.name] = task_command(task);
  ready.memory_bytes = run.memory_bytes.value_or(0);
  ready.no_network = run.network == "none";
}

Result<void> make_home(const Project& project, Ready& ready) {
  ready.home = os::join(project.store_folder, "home");
  // Best effort: a program of before may write there just now. It is named by its tree.
  (void)os::remove_tree(os::join(ready.home, kPythonCaches)).has_value();
  return os::make_folders(ready.home, 0700);
}

// A ready file that another process finished while we waited for the guard.
std::optional<Ready> finished_meanwhile(const Project& project) {
  const auto text = os::read_file(project.ready_path, 16 << 20);
  if (!text) return std::nullopt;
  auto ready = launch::decode(*text);
  if (!ready || ready->project != project.folder || !launch::is_fresh(*ready)) return std::nullopt;
  // A repair of the store may have removed the root.
  if (!launch::hold_lease(*ready).is_open()) return std::nullopt;
  return std::move(*ready);
}

// Python's own cache of this tree. All sources have the same time, so a tree must never see what was
// compiled for another one.
Result<void> choose_python_cache(const Context& context, const environment::BytecodePlan& plan,
                                 const store::Transaction& tx, Ready& ready) {
  const auto missing = TRY(environment::missing_bytecode(context, plan, tx));
  // With a cache of its own Python reads no byte-code of the tree; worth it while there is little.
  if (missing.size() * 2 < plan.pieces.size()) return {};
  ready.python_cache = os::join(kPythonCaches, plan.tree.hex().substr(0, 16));
  return os::make_folders(os::join(ready.home, ready.python_cache), 0700);
}

void use_root(const store::Root& root, Ready& ready) {
  ready.erofs_image = root.erofs_image;
  ready.lowers = root.lowers;
  ready.objects = root.objects;
  ready.root_lease = store::lease_path(root);
}

// The environment's root, made if need be, and leased. gc may take a root between making and
// leasing it; then it is made again.
Result<store::Root> leased_root(const Context& context, const oci::Digest& tree,
                                store::Transaction& tx, std::optional<store::Lease>& lease) {
  while (true) {
    const store::Root root = TRY(environment::root_of(context, tree, tx));
    lease = TRY(store::Lease::hold(root));
    if (lease) return root;
  }
}

Result<python::Lock> lock_for(const Context& context, const RunRequest& request,
                              const python::Inputs& inputs, Project& project, store::Transaction& tx) {
  if (!request.frozen) {
    LockOutcome outcome =
        TRY(ensure_lock(context, project, inputs, {.only_check = request.locked}, tx));
    return std::move(outcome.lock);
  }
  auto found = TRY(read_lock(project, context.progress));
  if (found) return std::move(*found);
  return Error(Code::not_found, "--frozen: there is no lock '{}'", printable(project.lock_path))
      .hint("`kist lock`");
}

// What an image that is the base says of the programs in it, and its contents for as long as the project
// stands on it.
Result<void> use_base_image(const Context& context, const images::Image& image, const oci::Digest& tree,
                            Prepared& prepared) {
  prepared.ready.base_variables = environment::variables_of_image(image.config);
  const store::Tree root = TRY(context.store.tree(tree));
  if (store::follow(root, "bin/bash") == nullptr) prepared.ready.shell = "/bin/sh";
  for (std::string& digest : pins_of(image)) prepared.roots.push_back(std::move(digest));
  return {};
}

// From the inputs to a root that can be mounted.
Result<void> make_ready(const Context& context, const RunRequest& request, const python::Inputs& inputs,
                        Prepared& prepared) {
  Project& project = prepared.project;
  store::Transaction& tx = *prepared.pending;
  const python::Lock lock = TRY(lock_for(context, request, inputs, project, tx));
  // Stamped after it was written, everything else before it was read.
  prepared.ready.watched.push_back({project.lock_path, os::stamp(project.lock_path)});
  // Folders that packages are built from.
  const std::string lock_folder = os::parent_of(project.lock_path);
  for (launch::Watched& built : stamps_of(environment::build_inputs(lock, lock_folder)))
    prepared.ready.watched.push_back(std::move(built));

  const auto base = TRY(bring_base_image(context, lock));
  const environment::Environment environment =
      TRY(environment::assemble(context, lock, lock_folder, tx));
  const store::Root root = TRY(leased_root(context, environment.digest, tx, prepared.lease));
  use_root(root, prepared.ready);
  prepared.ready.project = project.folder;
  prepared.ready.environment = project.environment;
  prepared.ready.tree = environment.digest.string();
  prepared.roots = {environment.digest.string()};
  if (base) TRY(use_base_image(context, *base, environment.digest, prepared));
  add_settings(inputs, prepared.ready);
  TRY(make_home(project, prepared.ready));
  if (!environment.bytecode) return {};
  TRY(choose_python_cache(context, *environment.bytecode, tx, prepared.ready));
  prepared.ready.bytecode_plan = bytecode_plan_path(project);
  prepared.bytecode_plan = environment::encode(*environment.bytecode);
  return {};
}

}  // namespace

Result<Prepared> prepare(const Context& context, const RunRequest& request) {
  Prepared prepared;
  prepared.project = TRY(locate(request, context.host));
  Project& project = prepared.project;
  prepared.guard = TRY(take_guard(project, context.progress));
  const bool taken_back = TRY(recover_edits(edit_journal(project)));
  if (taken_back)
    context.progress.warn("an edit that did not end was taken back");
  if (auto ready = finished_meanwhile(project); ready && request.from.empty() && !request.frozen) {
    prepared.ready = std::move(*ready);
    return prepared;
  }
  const python::Inputs inputs = TRY(read_inputs(project, request, context.host));
  learn_credentials(context, project, inputs);
  for (const std::string& warning : inputs.warnings) context.progress.warn(warning);
  prepared.ready.watched = stamps_of(watched_paths(project, inputs));

  prepared.pending = TRY(context.store.begin());
  TRY(keep_finished(*prepared.pending, make_ready(context, request, inputs, prepared)));
  return prepared;
}

Result<void> finish(const Context& context, Prepared prepared) {
  if (!prepared.pending) return {};
  TRY(std::move(*prepared.pending).commit());
  std::string roots;
  for (const std::string& digest : prepared.roots) roots += digest + "\n";
  const std::string list =
      os::join(prepared.project.store_folder, prepared.project.environment + ".roots");
  TRY(os::write_file_atomically(list, roots));
  (void)context;
  if (!prepared.bytecode_plan.empty())
    TRY(os::write_file_atomically(prepared.ready.bytecode_plan, prepared.bytecode_plan));
  return os::write_file_atomically(prepared.project.ready_path, launch::encode(prepared.ready));
}

}  // namespace kist::engine
