#include "environment/bytecode_piece.h"

#include <algorithm>

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/bytecode_compiler.h"
#include "environment/image_python.h"
#include "environment/platform.h"
#include "environment/step.h"
#include "python/bytecode.h"

namespace kist::environment {
namespace {

// A container costs about as much as compiling this many files.
constexpr size_t kGroupSources = 300;
constexpr std::string_view kInside = "/kist-bytecode";
constexpr std::string_view kSources = "/kist-sources";

python::BytecodeTarget target_of_plan(const BytecodePlan& plan) {
  return {.python_minor = plan.python_minor, .level = 0};
}

bool is_below(std::string_view path, std::string_view folder) {
  return folder.empty() || (path.size() > folder.size() && path.starts_with(folder) &&
                            path[folder.size()] == '/');
}

std::vector<std::string> sources_in(const store::Tree& tree, std::string_view folder,
                                    const python::BytecodeTarget& target) {
  std::vector<std::string> sources = python::bytecode_sources(tree, target);
  std::erase_if(sources, [&](const std::string& path) { return !is_below(path, folder); });
  return sources;
}

Result<std::vector<std::string>> sources_of(const Context& context, const BytecodePlan& plan,
                                            const BytecodePiece& piece) {
  const store::Tree tree = TRY(context.store.tree(piece.sources), "{}", piece.label);
  return sources_in(tree, piece.folder, target_of_plan(plan));
}

// The standard library's key comes from its own files, not from the base's: another Debian package
// in the base must not make it anew.
Result<BytecodePiece> library_piece(const Context& context, const BytecodeRequest& request,
                                    const std::string& interpreter,
                                    const python::BytecodeTarget& target) {
  BytecodePiece piece{.label = "the standard library",
                      .name = "",
                      .sources = request.library,
                      .folder = ""};
  const store::Tree tree = TRY(context.store.tree(request.library), "reading the standard library");
  piece.folder = library_folder(tree, request.target.python_home, target.python_minor);
  oci::Sha256 hash;
  for (const std::string& path : sources_in(tree, piece.folder, target))
    hash.update(fmt::format("{} {}\n", path, tree.find(path)->object->hex()));
  piece.name = "bytecode/" + python::bytecode_key(hash.finish().hex(), interpreter, target);
  return piece;
}

// A tree with this machine's interpreter, and below a folder of its own the sources that it compiles.
Result<oci::Digest> beside_interpreter(const Context& context, const BytecodePlan& plan,
                                       const std::vector<std::string>& sources, store::Transaction& tx) {
  const store::Tree interpreter = TRY(context.store.tree(*plan.compiler));
  const store::Tree tree = TRY(context.store.tree(plan.tree));
  std::vector<store::Entry> entries = interpreter.entries();
  for (const std::string& source : sources) {
    entries.push_back(*tree.find(source));
    entries.back().path = fmt::format("{}/{}", kSources.substr(1), source);
  }
  const store::Tree both = TRY(store::Tree::make(std::move(entries)));
  return tx.put_tree(both);
}

std::vector<std::string> ordered(std::vector<std::string> sources) {
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  return sources;
}

}  // namespace

std::string interpreter_id(const python::Lock& lock, const std::string& minor) {
  if (lock.kist->interpreter) return "cpython " + lock.kist->interpreter->sha256.hex();
  if (lock.kist->image)
    return fmt::format("cpython {} {}", lock.kist->image->digest.hex(), lock.kist->image->python);
  const std::string wanted = fmt::format("python{}-minimal", minor);
  for (const python::LockedDebianPackage& package : lock.kist->debian)
    if (package.name == wanted) return "cpython " + package.version;
  return "cpython " + lock.kist->python;
}

Result<void> run_compiler(const Context& context, const CompilerRun& run,
                          const std::vector<std::string>& sources, store::Transaction& tx) {
  const store::Root root = TRY(root_of(context, run.tree, tx));
  const auto lease = TRY(store::Lease::hold(root));
  if (!lease) return Error(Code::unavailable, "the environment's root was just removed");
  TRY(os::write_file_atomically(os::join(run.work_folder, "list"), python::bytecode_list(sources)));
  const python::BytecodeRun compiler{.python = run.python,
                                     .root = run.sources,
                                     .list = os::join(kInside, "list"),
                                     .output = os::join(kInside, "out"),
                                     .workers = os::core_count()};
  Step step;
  step.name = "compiling byte-code";
  step.root = root_source(root);
  step.args = python::bytecode_command(compiler, run.target);
  step.env = python::bytecode_environment();
  step.mounts = run.mounts;
  step.mounts.push_back({.source = run.work_folder, .target = std::string(kInside)});
  const StepOutput output = TRY(run_step(step));
  if (output.status == 0) return {};
  return Error(Code::internal, "compiling byte-code ended with status {}:{}", output.status,
               tail_of(output));
}

Result<BytecodePlan> bytecode_plan(const Context& context, const BytecodeRequest& request,
                                   const store::Transaction& tx) {
  BytecodePlan plan;
  plan.python_minor = request.target.python();
  plan.python = request.target.python_program();
  const python::BytecodeTarget target = target_of_plan(plan);
  const std::string interpreter = interpreter_id(request.lock, plan.python_minor);
  BytecodePiece library = TRY(library_piece(context, request, interpreter, target));
  plan.pieces.push_back(std::move(library));
  for (const Piece& wheel : request.wheels) {
    const auto tree = TRY(find_name(context.store, tx, wheel.store_names.front()));
    if (!tree) return Error(Code::not_found, "{} is not in the store", wheel.label);
    plan.pieces.push_back(
        {.label = wheel.label,
         .name = "bytecode/" + python::bytecode_key(wheel.store_names.front(), interpreter, target),
         .sources = *tree,
         .folder = ""});
  }
  return plan;
}

Result<std::vector<BytecodePiece>> missing_bytecode(const Context& context, const BytecodePlan& plan,
                                                    const store::Transaction& tx) {
  std::vector<BytecodePiece> missing;
  for (const BytecodePiece& piece : plan.pieces) {
    const auto known = TRY(find_name(context.store, tx, piece.name));
    if (!known) missing.push_back(piece);
  }
  return missing;
}

Result<std::vector<std::vector<BytecodePiece>>> bytecode_groups(
    const Context& context, const BytecodePlan& plan, const std::vector<BytecodePiece>& pieces) {
  std::vector<std::vector<BytecodePiece>> groups;
  size_t sources = kGroupSources;
  for (const BytecodePiece& piece : pieces) {
    if (sources >= kGroupSources) {
      groups.emplace_back();
      sources = 0;
    }
    groups.back().push_back(piece);
    const auto own = TRY(sources_of(context, plan, piece));
    sources += own.size();
  }
  return groups;
}

Result<void> compile_bytecode(const Context& context, const BytecodePlan& plan,
                              std::span<const BytecodePiece> pieces, const std::string& work_folder,
                              store::Transaction& tx) {
  std::vector<std::vector<std::string>> sources;
  std::vector<std::string> all;
  for (const BytecodePiece& piece : pieces) {
    auto own = TRY(sources_of(context, plan, piece));
    all.insert(all.end(), own.begin(), own.end());
    sources.push_back(std::move(own));
  }
  const std::string output = os::join(work_folder, "out");
  TRY(os::make_folders(output, 0700));
  // The compiler writes each file whole, by rename: what an earlier, killed one left counts.
  std::erase_if(all, [&](const std::string& source) {
    return os::exists(os::join(output, python::bytecode_path(source, target_of_plan(plan))));
  });
  all = ordered(std::move(all));
  CompilerRun run{.tree = plan.tree,
                  .python = plan.python,
                  .target = target_of_plan(plan),
                  .work_folder = work_folder,
                  .mounts = {}};
  if (plan.compiler && !all.empty()) {
    run.tree = TRY(beside_interpreter(context, plan, all, tx));
    run.sources = kSources;
  }
  if (!all.empty()) TRY(run_compiler(context, run, all, tx));
  for (size_t i = 0; i < pieces.size(); ++i) {
    const store::Tree tree =
        TRY(python::collect_bytecode(output, sources[i], target_of_plan(plan), tx), "{}",
            pieces[i].label);
    const oci::Digest digest = TRY(tx.put_tree(tree));
    tx.name(pieces[i].name, digest);
  }
  return os::remove_tree(work_folder);
}

Result<std::optional<store::Tree>> with_bytecode(const Context& context, const BytecodePlan& plan,
                                                 const store::Tree& tree,
                                                 const store::Transaction& tx) {
  std::vector<store::Tree> pieces;
  std::vector<store::Part> parts = {{"the environment", &tree}};
  pieces.reserve(plan.pieces.size());
  for (const BytecodePiece& piece : plan.pieces) {
    const auto digest = TRY(find_name(context.store, tx, piece.name));
    if (!digest) continue;
    const auto bytecode = context.store.tree(*digest);
    if (!bytecode) continue;  // Damage; it counts as missing.
    // A package may ship byte-code for another package's source: what was locked wins.
    std::vector<store::Entry> entries = bytecode->entries();
    std::erase_if(entries, [&](const store::Entry& e) { return tree.find(e.path) != nullptr; });
    if (entries.empty()) continue;
    store::Tree rest = TRY(store::Tree::make(std::move(entries)));
    pieces.push_back(std::move(rest));
    parts.push_back({"byte-code of " + piece.label, &pieces.back()});
  }
  if (parts.size() == 1) return std::optional<store::Tree>();
  store::Tree merged = TRY(store::merge(parts), "adding byte-code");
  return std::optional(std::move(merged));
}

Result<oci::Digest> complete_tree(const Context& context, const BytecodePlan& plan,
                                  store::Transaction& tx) {
  const auto missing = TRY(missing_bytecode(context, plan, tx));
  if (!missing.empty())
    return Error(Code::not_found, "byte-code of {} packages is not compiled yet, first {}",
                 missing.size(), missing.front().label);
  const store::Tree tree = TRY(context.store.tree(plan.tree));
  const auto merged = TRY(with_bytecode(context, plan, tree, tx));
  oci::Digest digest = plan.tree;
  if (merged) digest = TRY(tx.put_tree(*merged));
  tx.name(plan.complete_name, digest);
  return digest;
}

Result<oci::Digest> complete_now(const Context& context, const BytecodePlan& plan,
                                 store::Transaction& tx) {
  const auto missing = TRY(missing_bytecode(context, plan, tx));
  if (!missing.empty()) {
    TRY(os::make_folders(context.cache("bytecode")));
    const os::TempDir work = TRY(os::TempDir::make(context.cache("bytecode")));
    constexpr std::string_view kPhase = "compiling byte-code";
    context.progress.begin(kPhase, missing.size(), 0);
    const auto groups = TRY(bytecode_groups(context, plan, missing));
    for (const std::vector<BytecodePiece>& group : groups) {
      TRY(compile_bytecode(context, plan, group, os::join(work.path(), "work"), tx));
      context.progress.advance(kPhase, group.size(), 0);
    }
    context.progress.end(kPhase, fmt::format("compiled byte-code of {} packages", missing.size()));
  }
  return complete_tree(context, plan, tx);
}

}  // namespace kist::environment
