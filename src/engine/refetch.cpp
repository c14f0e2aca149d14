#include "engine/refetch.h"

#include "base/text.h"
#include "engine/project.h"
#include "environment/assemble.h"
#include "launch/ready.h"
#include "store/layout.h"

namespace kist::engine {
namespace {

using environment::Context;

// The lock of a ready file: it is one of the files that the ready file watches.
std::string lock_path_of(const launch::Ready& ready) {
  for (const launch::Watched& watched : ready.watched) {
    const std::string_view name = os::name_of(watched.path);
    const bool is_lock = python::environment_of_lock(name).has_value() || name.ends_with(".pylock.toml");
    if (is_lock && os::exists(watched.path)) return watched.path;
  }
  return "";
}

Result<void> assemble_one(const Context& context, const std::string& ready_path) {
  const auto text = os::read_file(ready_path, 16 << 20);
  const auto ready = text ? launch::decode(*text) : Result<launch::Ready>(text.error());
  if (!ready) return {};
  Project project{.folder = ready->project, .environment = ready->environment};
  project.lock_path = lock_path_of(*ready);
  if (project.lock_path.empty()) return {};
  const auto lock = TRY(read_lock(project, context.progress));
  if (!lock) return {};
  store::Transaction tx = TRY(context.store.begin());
  TRY(environment::assemble(context, *lock, os::parent_of(project.lock_path), tx), "{}",
      printable(project.folder));
  return std::move(tx).commit();
}

}  // namespace

Result<void> assemble_all(const Context& context) {
  const std::string projects = os::join(context.store.home(), store::kProjectsFolder);
  if (!os::exists(projects)) return {};
  const auto keys = TRY(os::list_folder(projects));
  for (const std::string& key : keys) {
    const std::string folder = os::join(projects, key);
    if (!os::is_folder(folder)) continue;
    const auto names = TRY(os::list_folder(folder));
    for (const std::string& name : names)
      if (name.ends_with(".ready")) TRY(assemble_one(context, os::join(folder, name)));
  }
  return {};
}

}  // namespace kist::engine
