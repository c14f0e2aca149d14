#include "environment/bytecode_application.h"

#include "base/text.h"
#include "environment/bytecode_compiler.h"
#include "environment/pieces.h"

namespace kist::environment {
namespace {

// The sources as files that a container can be shown. Copies: few and small, and the store's own are
// shared with environments that run.
Result<void> write_sources(const Context& context, const store::Tree& application,
                           const std::vector<std::string>& sources, const std::string& folder) {
  for (const std::string& path : sources) {
    const std::string text = TRY(context.store.read_object(*application.find(path)));
    const std::string file = os::join(folder, path);
    TRY(os::make_folders(os::parent_of(file), 0755));
    TRY(os::write_file_atomically(file, text));
  }
  return {};
}

std::string key_of(const ApplicationBytecode& request, const store::Tree& application,
                   const std::vector<std::string>& sources, const python::BytecodeTarget& target) {
  oci::Sha256 hash;
  for (const std::string& path : sources)
    hash.update(fmt::format("{} {}\n", path, application.find(path)->object->hex()));
  const std::string interpreter = interpreter_id(request.lock, target.python_minor);
  return "bytecode/" + python::bytecode_key(hash.finish().hex(), interpreter, target);
}

}  // namespace

Result<store::Tree> application_bytecode(const Context& context, const ApplicationBytecode& request,
                                         const store::Tree& application, store::Transaction& tx) {
  const python::BytecodeTarget target{.python_minor = request.target.python(), .level = 0};
  const auto sources = python::bytecode_sources(application, target);
  if (sources.empty()) return store::Tree();
  const std::string name = key_of(request, application, sources, target);
  const auto known = TRY(find_name(context.store, tx, name));
  if (known) {
    auto tree = context.store.tree(*known);
    if (tree) {
      tx.name(name, *known);
      return tree;
    }
  }
  TRY(os::make_folders(context.cache("bytecode")));
  const os::TempDir work = TRY(os::TempDir::make(context.cache("bytecode")));
  const std::string shown = os::join(work.path(), "sources");
  const std::string output = os::join(work.path(), "out");
  TRY(os::make_folders(output, 0700));
  TRY(write_sources(context, application, sources, shown));
  CompilerRun run{.tree = request.compiler,
                  .python = request.target.python_program(),
                  .target = target,
                  .work_folder = work.path(),
                  .mounts = {}};
  const auto tops = TRY(os::list_folder(shown));
  for (const std::string& top : tops)
    run.mounts.push_back({.source = os::join(shown, top), .target = "/" + top, .read_only = true});
  TRY(run_compiler(context, run, sources, tx), "the application");
  store::Tree tree = TRY(python::collect_bytecode(output, sources, target, tx), "the application");
  const oci::Digest digest = TRY(tx.put_tree(tree));
  tx.name(name, digest);
  return tree;
}

}  // namespace kist::environment
