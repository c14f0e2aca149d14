#include "engine/bytecode_job.h"

#include "base/text.h"
#include "environment/bytecode_piece.h"

namespace kist::engine {
namespace {

using environment::BytecodePlan;
using environment::Context;
using launch::Ready;
using Group = std::vector<environment::BytecodePiece>;

constexpr uint64_t kMaxFileBytes = 16u << 20;

Result<Ready> read_ready(const std::string& path) {
  const std::string text = TRY(os::read_file(path, kMaxFileBytes));
  return launch::decode(text);
}

// "…/default.ready" gives "…/default" + ending.
std::string beside(const std::string& ready_path, std::string_view ending) {
  constexpr std::string_view kReady = ".ready";
  return ready_path.substr(0, ready_path.size() - kReady.size()) + std::string(ending);
}

// A folder for these pieces alone, since it may have files of a killed process; of this start of the
// machine, because after a power cut such files may be empty. All others are removed.
Result<std::string> work_folder(const Context& context, const Group& group) {
  oci::Sha256 hash;
  const std::string boot = TRY(os::read_file("/proc/sys/kernel/random/boot_id"));
  hash.update(boot);
  for (const environment::BytecodePiece& piece : group) hash.update(piece.name + "\n");
  const std::string name = "work-" + hash.finish().hex();
  const std::string parent = context.cache("bytecode");
  const auto present = TRY(os::list_folder(parent));
  for (const std::string& other : present)
    if (other.starts_with("work-") && other != name) TRY(os::remove_tree(os::join(parent, other)));
  return os::join(parent, name);
}

// A group's pieces are committed before the next group is begun: we may be killed at any time. The
// transaction ends with it, so that gc gets its turn.
Result<void> compile_missing(const Context& context, const BytecodePlan& plan) {
  std::vector<environment::BytecodePiece> missing;
  {
    const store::Transaction tx = TRY(context.store.begin());
    missing = TRY(environment::missing_bytecode(context, plan, tx));
  }
  const auto groups = TRY(environment::bytecode_groups(context, plan, missing));
  for (const Group& group : groups) {
    const std::string work = TRY(work_folder(context, group));
    store::Transaction tx = TRY(context.store.begin());
    TRY(environment::compile_bytecode(context, plan, group, work, tx));
    TRY(std::move(tx).commit());
  }
  return {};
}

// Replaces the ready file if it is still the one we work for; `change` is made to it.
Result<void> update_ready(const std::string& path, const std::string& tree, const Ready& with) {
  auto now = TRY(read_ready(path));
  if (now.tree != tree) return {};  // The environment changed meanwhile.
  now.tree = with.tree;
  now.bytecode_plan.clear();
  const bool complete = now.tree != tree;
  if (complete) now.python_cache.clear();
  now.erofs_image = with.erofs_image;
  now.lowers = with.lowers;
  now.root_lease = with.root_lease;
  TRY(os::write_file_atomically(path, launch::encode(now)));
  // Programs that still use it find it gone, which Python takes as it is.
  if (complete) (void)os::remove_tree(os::join(now.home, kPythonCaches)).has_value();
  return {};
}

Result<void> switch_over(const Context& context, const std::string& path, const BytecodePlan& plan,
                         Ready ready) {
  const std::string before = ready.tree;
  store::Transaction tx = TRY(context.store.begin());
  const oci::Digest digest = TRY(environment::complete_tree(context, plan, tx));
  const store::Root root = TRY(environment::root_of(context, digest, tx));
  const auto lease = TRY(store::Lease::hold(root));
  if (!lease) return Error(Code::unavailable, "the new root was just removed");
  TRY(std::move(tx).commit());
  ready.tree = digest.string();
  ready.erofs_image = root.erofs_image;
  ready.lowers = root.lowers;
  ready.root_lease = store::lease_path(root);
  // Whoever prepares the project right now writes both files itself.
  const auto guard = TRY(
      os::FileLock::try_acquire(beside(path, ".lock"), os::FileLock::Mode::exclusive));
  if (!guard) return {};
  // Beside the tree the list has what else the project stands on: an image that is its base.
  const std::string list = beside(path, ".roots");
  std::string roots = ready.tree + "\n";
  if (const auto old = os::read_file(list, 1u << 20))
    for (const std::string_view line : lines(*old))
      if (line != before && line != ready.tree) roots += fmt::format("{}\n", line);
  TRY(os::write_file_atomically(list, roots));
  return update_ready(path, before, ready);
}

}  // namespace

std::string bytecode_plan_path(const Project& project) {
  return os::join(project.store_folder, project.environment + ".bytecode");
}

Result<void> run_bytecode_job(const Context& context, const std::string& ready_path) {
  if (!ready_path.ends_with(".ready"))
    return Error(Code::invalid, "'{}' is no ready file", printable(ready_path));
  TRY(os::make_folders(context.cache("bytecode")));
  const auto only_one = TRY(os::FileLock::acquire(os::join(context.cache("bytecode"), "lock"),
                                                  os::FileLock::Mode::exclusive));
  const Ready ready = TRY(read_ready(ready_path));
  if (ready.bytecode_plan.empty()) return {};
  const std::string text = TRY(os::read_file(ready.bytecode_plan, kMaxFileBytes));
  const BytecodePlan plan = TRY(environment::decode_bytecode_plan(text));
  if (plan.tree.string() != ready.tree) return {};
  auto done = compile_missing(context, plan);
  if (done) return switch_over(context, ready_path, plan, ready);
  if (done.error().code() == Code::unavailable) return done;  // A full disk passes.
  TRY(update_ready(ready_path, ready.tree, ready));
  return done;
}

}  // namespace kist::engine
