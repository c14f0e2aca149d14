#include "environment/resolve.h"

#include <map>

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/build_root.h"
#include "environment/build_vcs.h"
#include "environment/platform.h"
#include "python/pylock_complete.h"
#include "python/uv.h"

namespace kist::environment {
namespace {

constexpr uint32_t kRecipe = 1;

// The interpreter's full version, from the package that has it: "3.11.2-6+deb12u6" gives "3.11.2".
std::string python_of(const std::vector<python::LockedDebianPackage>& packages,
                      const std::string& minor) {
  for (const python::LockedDebianPackage& package : packages)
    if (package.name == "python" + minor)
      return package.version.substr(0, package.version.find_first_of("-~+"));
  return minor;
}

// What uv runs on: the environment's own base and interpreter; for another machine's platform the
// suite's, since uv asks its interpreter about itself only.
struct Tools {
  std::vector<python::LockedDebianPackage> debian;
  python::Target target;
  std::optional<Interpreter> interpreter;
};

Result<Tools> tools_for(const Context& context, const ResolveRequest& request,
                        const std::vector<python::LockedDebianPackage>& debian,
                        const python::Target& target, store::Transaction& tx) {
  Tools tools{.debian = debian, .target = target, .interpreter = {}};
  if (request.platform != host_platform()) {
    tools.debian = TRY(lock_debian(context, {.suite = request.suite.name, .architecture = host_architecture()}));
    tools.target = TRY(python::make_target(host_platform(), request.suite.python, request.suite.glibc_minor));
  } else if (request.interpreter) {
    tools.interpreter = TRY(bring_interpreter(context, request.interpreter->locked, request.platform,
                                              request.lock_folder, tx));
  }
  return tools;
}

// The root that uv runs in.
Result<store::Root> resolver_root(const Context& context, const ResolveRequest& request,
                                  const Tools& tools, store::Transaction& tx) {
  return tool_root(context, {.suite = request.suite.name,
                             .debian = tools.debian,
                             .target = tools.target,
                             .interpreter = tools.interpreter ? &tools.interpreter->files : nullptr}, tx);
}

// The same with git in it.
Result<store::Root> resolver_root_with_git(const Context& context, const ResolveRequest& request,
                                           Tools tools, store::Transaction& tx) {
  DebianRequest debian{.suite = request.suite.name,
                       .architecture = host_architecture(),
                       .system = {"git"},
                       .keep = tools.debian};
  if (tools.interpreter) {
    debian.has_own_python = true;
    debian.libraries = tools.interpreter->facts.needed;
  }
  tools.debian = TRY(lock_debian(context, debian));
  return resolver_root(context, request, tools, tx);
}

// What uv may see: the project and its neighbours that requirements name (read-only), its cache, the
// answer's folder, and the host's settings for indexes.
Result<Step> uv_step(const Context& context, const ResolveRequest& request,
                     const store::Root& root, const std::string& answer_folder) {
  Step step;
  step.name = "resolving the Python packages";
  step.root = root_source(root);
  step.working_dir = request.project_folder;
  show(step, request.project_folder, true);
  for (const python::InputFile& file : request.inputs.files)
    if (file.path.starts_with("/") || file.path.starts_with(".."))
      show(step, os::parent_of(file.path.starts_with("/") ? file.path
                                                  : os::join(request.project_folder, file.path)), true);
  for (const python::InputFile& file : request.inputs.files) {
    const std::string path =
        file.path.starts_with("/") ? file.path : os::join(request.project_folder, file.path);
    const auto text = os::read_file(path, 16u << 20);
    if (!text) continue;
    for (const std::string& repository : local_repositories(*text)) show(step, repository, true);
  }
  show(step, answer_folder, false);
  TRY(give_uv_access(context, step));
  add_git_settings(step);
  return step;
}

// `with_git` gives a root that has git too; most projects never need it.
Result<python::Lock> run_uv(const Context& context, const ResolveRequest& request,
                            const python::Target& target, const std::string& interpreter,
                            const store::Root& root,
                            const std::function<Result<store::Root>()>& with_git) {
  TRY(os::make_folders(context.cache("resolve")));
  const os::TempDir answer = TRY(os::TempDir::make(context.cache("resolve")));
  Step step = TRY(uv_step(context, request, root, answer.path()));
  python::UvRequest uv = TRY(python::uv_request(request.inputs, target));
  uv.uv = "/opt/kist/bin/uv";
  uv.interpreter = interpreter;
  uv.output = os::join(answer.path(), "pylock.toml");
  uv.upgrade = request.upgrade;
  uv.upgrade_packages = request.upgrade_packages;
  uv.offline = context.offline;
  uv.cache_folder = context.cache("uv");
  // uv prefers the versions of the file that it is about to replace.
  if (request.previous && !request.upgrade)
    TRY(os::write_file_atomically(uv.output, python::write_lock(*request.previous)));
  StepOutput output;
  for (const bool allow_build : {false, true}) {
    uv.allow_build = allow_build;
    const python::UvCommand command = python::uv_command(uv);
    step.args = command.arguments;
    step.input = command.input;
    output = TRY(run_step(step));
    if (output.status != 0 && lacks_git(output.err)) {
      context.progress.warn("some packages come from git: it is added to the resolver");
      const store::Root richer = TRY(with_git());
      step.root = root_source(richer);
      output = TRY(run_step(step));
    }
    if (output.status == 0 || !python::uv_needs_build(output.err)) break;
    context.progress.warn("some packages are source only: their metadata is built in a container");
  }
  if (output.status != 0) return python::uv_failure(output.err, uv);
  const std::string text = TRY(os::read_file(uv.output, 256 << 20));
  std::vector<std::string> warnings;
  auto lock = TRY(python::read_uv_output(
      text, {.output = answer.path(), .project = request.project_folder}, warnings));
  for (std::string& warning : warnings) context.progress.warn(std::move(warning));
  return lock;
}

bool asks_for_python_packages(const python::Inputs& inputs) {
  const bool files = inputs.kind != python::InputKind::none && inputs.kind != python::InputKind::settings;
  return files || !inputs.packages.empty();
}

// A lock of another tool, taken verbatim.
Result<python::Lock> read_locked(const Context& context, const ResolveRequest& request,
                                 const python::Target& target) {
  const python::ProjectFolder files(request.project_folder);
  std::vector<std::string> warnings;
  auto lock = python::read_locked_input(
      request.inputs, files, target,
      {.client = context.offline ? nullptr : &context.client, .index_url = context.default_index},
      warnings);
  for (std::string& warning : warnings) context.progress.warn(std::move(warning));
  return lock;
}

}  // namespace

Result<python::Lock> resolve(const Context& context, const ResolveRequest& request,
                             store::Transaction& tx) {
  const std::string architecture = TRY(debian_architecture(request.platform));
  DebianRequest debian{.suite = request.suite.name,
                       .architecture = architecture,
                       .system = request.inputs.system};
  if (request.interpreter) {
    debian.has_own_python = true;
    debian.libraries = request.interpreter->libraries;
  }
  if (request.previous && request.previous->kist && !request.upgrade &&
      request.previous->kist->base == request.suite.base())
    debian.keep = request.previous->kist->debian;
  auto packages = TRY(lock_debian(context, debian));
  const std::string python = request.interpreter ? request.interpreter->python
                                                 : python_of(packages, request.suite.python);
  python::Target target =
      TRY(python::make_target(request.platform, python, request.suite.glibc_minor));
  if (request.interpreter) target.python_home = kInterpreterHome;
  python::Lock resolved;
  if (request.inputs.is_locked() || request.inputs.kind == python::InputKind::lock) {
    resolved = TRY(read_locked(context, request, target));
  } else if (asks_for_python_packages(request.inputs)) {
    const Tools tools = TRY(tools_for(context, request, packages, target, tx));
    const store::Root root = TRY(resolver_root(context, request, tools, tx));
    const auto with_git = [&] { return resolver_root_with_git(context, request, tools, tx); };
    resolved = TRY(run_uv(context, request, target, tools.target.python_program(), root, with_git));
  }
  python::Lock lock = TRY(python::complete_lock(resolved, request.inputs, target));
  KIST_ASSERT(lock.kist.has_value());
  lock.kist->recipe = kRecipe;
  lock.kist->base = request.suite.base();
  if (request.interpreter) lock.kist->interpreter = request.interpreter->locked;
  lock.kist->debian = std::move(packages);
  return lock;
}

}  // namespace kist::environment
