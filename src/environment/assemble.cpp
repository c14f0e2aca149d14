#include "environment/assemble.h"

#include "base/text.h"
#include "environment/build_package.h"
#include "environment/image_base.h"
#include "environment/interpreter.h"
#include "environment/platform.h"
#include "environment/python_packages.h"
#include "environment/suite.h"

namespace kist::environment {
namespace {

// Changes whenever the same lock would give another tree.
constexpr std::string_view kRecipe = "kist-environment 1";
// After an environment's name: the tree with all byte-code.
constexpr const char* kComplete = "-complete";

struct Plan {
  python::Target target;
  Suite suite;            // Of the base, or of what stands in for it.
  std::string base_name;  // Of the base's tree, in the store.
  std::optional<Piece> interpreter;  // When it is no part of the base.
  std::vector<Piece> pieces;
  std::vector<BuildJob> builds;  // Become pieces when their wheels are there.
};

Result<Suite> suite_of(const python::KistSection& kist) {
  return kist.image ? newest_suite() : suite_of_base(kist.base);
}

Result<Plan> plan_of(const Context& context, const python::Lock& lock,
                     const std::string& lock_folder) {
  Plan plan;
  plan.target = TRY(target_of(lock));
  plan.suite = TRY(suite_of(*lock.kist));
  plan.base_name = TRY(base_tree_name(*lock.kist));
  if (lock.kist->interpreter)
    plan.interpreter = TRY(interpreter_piece(context, *lock.kist->interpreter, lock_folder));
  const auto packages = TRY(python::select(lock, plan.target));
  for (const python::SelectedPackage& package : packages) {
    if (package.needs_build()) {
      BuildJob job = TRY(build_job({lock, plan.target, plan.suite, lock_folder}, package));
      plan.builds.push_back(std::move(job));
      continue;
    }
    auto piece = TRY(wheel_piece(context, package, plan.target, lock_folder));
    plan.pieces.push_back(std::move(piece));
  }
  return plan;
}

std::string name_of(const Plan& plan, const python::Lock& lock) {
  oci::Sha256 hash;
  hash.update(kRecipe);
  hash.update(fmt::format("\n{}\n{}\n", plan.target.describe(), base_id(*lock.kist)));
  hash.update(plan.base_name + "\n");
  if (plan.interpreter) hash.update(plan.interpreter->store_names.front() + "\n");
  for (const Piece& piece : plan.pieces)
    for (const std::string& name : piece.store_names) hash.update(name + "\n");
  for (const BuildJob& job : plan.builds) hash.update(job.name + "\n");
  return "env/" + hash.finish().hex();
}

// Builds what has no wheel yet.
Result<void> add_built(const Context& context, const python::Lock& lock,
                       const std::string& lock_folder, Plan& plan, store::Transaction& tx) {
  for (const BuildJob& job : plan.builds) {
    Piece piece =
        TRY(built_piece(context, {lock, plan.target, plan.suite, lock_folder}, job, tx));
    plan.pieces.push_back(std::move(piece));
  }
  plan.builds.clear();
  return {};
}

// A lock that was edited by hand may name one of another version.
Result<Interpreter> locked_interpreter(const Context& context, const python::Lock& lock, const Plan& plan,
                                       const std::string& lock_folder, store::Transaction& tx) {
  Interpreter interpreter = TRY(bring_interpreter(context, *lock.kist->interpreter, lock.kist->platform,
                                                  lock_folder, tx));
  const std::string& python = interpreter.facts.python;
  if (python == plan.target.python() || python.starts_with(plan.target.python() + ".")) return interpreter;
  return Error(Code::invalid, "the lock is for Python {}, its interpreter is Python {}",
               printable(lock.kist->python), python)
      .hint("`kist lock`");
}

Result<Environment> assemble_plan(const Context& context, const python::Lock& lock,
                                  const std::string& lock_folder, Plan& plan,
                                  store::Transaction& tx) {
  Environment environment;
  // Both halves at once would fetch no faster: each keeps all connections busy.
  Base base = TRY(assemble_base(context, *lock.kist, tx));
  std::optional<Interpreter> interpreter;
  if (lock.kist->interpreter) interpreter = TRY(locked_interpreter(context, lock, plan, lock_folder, tx));
  TRY(add_built(context, lock, lock_folder, plan, tx));
  Gathered gathered = TRY(gather(context, plan.pieces, tx, "fetched"));
  environment.packages = base.packages + plan.pieces.size();
  environment.assembled = base.assembled + gathered.assembled;
  environment.fetched_bytes = base.fetched_bytes + gathered.fetched_bytes;
  environment.parts.push_back({"base", std::move(base.tree)});
  if (interpreter) environment.parts.push_back({"interpreter", std::move(interpreter->files)});
  store::Tree venv = TRY(venv_tree(plan.target, tx));
  environment.parts.push_back({"virtual environment", std::move(venv)});
  for (size_t i = 0; i < plan.pieces.size(); ++i)
    environment.parts.push_back({plan.pieces[i].label, std::move(gathered.trees[i].front())});
  return environment;
}

Result<oci::Digest> merge_parts(const std::vector<NamedTree>& named, store::Transaction& tx) {
  std::vector<store::Part> parts;
  for (const NamedTree& part : named) parts.push_back({part.name, &part.tree});
  const store::Tree merged = TRY(store::merge(parts), "assembling the environment");
  return tx.put_tree(merged);
}

// Byte-code that the store has goes in at once; the rest is left for when the program runs.
Result<void> add_bytecode(const Context& context, const python::Lock& lock, const Plan& plan,
                          const std::string& name, store::Transaction& tx,
                          Environment& environment) {
  const auto library = TRY(find_name(
      context.store, tx, plan.interpreter ? plan.interpreter->store_names.front() : plan.base_name));
  if (!library) return {};  // Collected since: the environment works without byte-code too.
  auto found = bytecode_plan(context, {lock, plan.target, *library, plan.pieces}, tx);
  if (!found && found.error().code() == Code::not_found) return {};
  BytecodePlan bytecode = TRY(std::move(found));
  bytecode.complete_name = name + kComplete;
  bytecode.tree = environment.digest;
  const auto missing = TRY(missing_bytecode(context, bytecode, tx));
  if (missing.empty()) {
    environment.digest = TRY(complete_tree(context, bytecode, tx));
    return {};
  }
  // A new tree takes what there is; one that already has a root keeps it until it is complete, and one
  // for another platform has all or none, as it may be that nothing here can compile the rest.
  if (!environment.parts.empty() && lock.kist->platform == host_platform()) {
    const store::Tree tree = TRY(context.store.tree(environment.digest));
    const auto better = TRY(with_bytecode(context, bytecode, tree, tx));
    if (better) environment.digest = TRY(tx.put_tree(*better));
    bytecode.tree = environment.digest;
  }
  environment.bytecode = std::move(bytecode);
  return {};
}

}  // namespace

Result<python::Target> target_of(const python::Lock& lock) {
  if (!lock.kist)
    return Error(Code::invalid, "the lock has no [tool.kist] section: kist did not write it")
        .hint("`kist lock` writes one from it");
  const Suite suite = TRY(suite_of(*lock.kist));
  python::Target target =
      TRY(python::make_target(lock.kist->platform, lock.kist->python, suite.glibc_minor));
  if (lock.kist->image) TRY(stand_on(*lock.kist->image, target));
  if (lock.kist->interpreter) target.python_home = kInterpreterHome;
  return target;
}

Result<void> stand_on(const python::LockedImage& image, python::Target& target) {
  TRY(python::set_libc(image.libc, target));
  if (image.python.empty()) return {};
  target.program = image.python;
  target.python_home = os::parent_of(os::parent_of(image.python));
  return {};
}

std::string base_id(const python::KistSection& kist) {
  return kist.image ? "image " + kist.image->digest.string() : kist.base;
}

Result<std::string> base_tree_name(const python::KistSection& kist) {
  if (kist.image) return image_base_name(*kist.image);
  const Suite suite = TRY(suite_of_base(kist.base));
  const std::string architecture = TRY(debian_architecture(kist.platform));
  return base_name(kist.debian, suite.name, architecture);
}

Result<Base> assemble_base(const Context& context, const python::KistSection& kist, store::Transaction& tx) {
  if (kist.image) return assemble_image(context, kist.base, *kist.image, tx);
  const Suite suite = TRY(suite_of_base(kist.base));
  const std::string architecture = TRY(debian_architecture(kist.platform));
  return assemble_debian(context, kist.debian, suite.name, architecture, tx);
}

Result<std::string> environment_name(const Context& context, const python::Lock& lock,
                                     const std::string& lock_folder) {
  const Plan plan = TRY(plan_of(context, lock, lock_folder));
  return name_of(plan, lock);
}

Result<Environment> assemble(const Context& context, const python::Lock& lock,
                             const std::string& lock_folder, store::Transaction& tx) {
  Plan plan = TRY(plan_of(context, lock, lock_folder));
  const std::string name = name_of(plan, lock);
  Environment environment;
  environment.packages = lock.kist->debian.size() + plan.pieces.size() + plan.builds.size();
  const auto complete = TRY(find_name(context.store, tx, name + kComplete));
  if (complete) {
    environment.digest = *complete;
    return environment;
  }
  auto known = TRY(find_name(context.store, tx, name));
  if (!known) {
    environment = TRY(assemble_plan(context, lock, lock_folder, plan, tx));
    environment.digest = TRY(merge_parts(environment.parts, tx));
  } else {
    environment.digest = *known;
    // Their wheels are needed for the byte-code only: what is not in the store is not built for it.
    for (const BuildJob& job : plan.builds) {
      const auto built = TRY(find_name(context.store, tx, job.name));
      if (!built) return environment;
    }
    TRY(add_built(context, lock, lock_folder, plan, tx));
  }
  TRY(add_bytecode(context, lock, plan, name, tx, environment));
  if (!known) tx.name(name, environment.digest);
  return environment;
}

Result<std::vector<NamedTree>> parts_of(const Context& context, const python::Lock& lock,
                                        const std::string& lock_folder, store::Transaction& tx) {
  Plan plan = TRY(plan_of(context, lock, lock_folder));
  Environment environment = TRY(assemble_plan(context, lock, lock_folder, plan, tx));
  return std::move(environment.parts);
}

}  // namespace kist::environment
