#include "environment/resolve.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/build_root.h"
#include "environment/build_vcs.h"
#include "environment/image_base.h"
#include "environment/platform.h"
#include "launch/paths.h"
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
  std::optional<Base> image;
};

Result<Tools> tools_for(const Context& context, const ResolveRequest& request,
                        const std::vector<python::LockedDebianPackage>& debian,
                        const python::Target& target, store::Transaction& tx) {
  Tools tools{.debian = debian, .target = target, .interpreter = {}, .image = {}};
  if (request.platform != host_platform()) {
    tools.debian = TRY(lock_debian(context, {.suite = request.suite.name, .architecture = host_architecture()}));
    tools.target = TRY(python::make_target(host_platform(), request.suite.python, request.suite.glibc_minor));
    return tools;
  }
  if (request.image) tools.image = TRY(assemble_image(context, request.image->base, request.image->locked, tx));
  if (request.interpreter) {
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
                             .interpreter = tools.interpreter ? &tools.interpreter->files : nullptr,
                             .image = tools.image ? &tools.image->tree : nullptr}, tx);
}

// The same with git in it.
Result<store::Root> resolver_root_with_git(const Context& context, const ResolveRequest& request,
                                           Tools tools, store::Transaction& tx) {
  if (tools.image)
    return Error(Code::unsupported, "some packages come from git, which the base image '{}' has not",
                 printable(request.image->base))
        .hint("take an image with git in it, versions from an index, or `base = \"debian:trixie\"`");
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

// The folders of this machine that the inputs name, absolute.
std::vector<std::string> local_folders(const ResolveRequest& request) {
  const python::Inputs& inputs = request.inputs;
  const auto absolute = [&](const std::string& path) {
    return path.starts_with("/") ? path : os::join(request.project_folder, path);
  };
  std::vector<std::string> folders;
  const auto add = [&](const std::string& path) {
    if (path.starts_with("/") || path.starts_with("..")) folders.push_back(absolute(path));
  };
  for (const python::InputFile& file : inputs.files) {
    if (file.path.starts_with("/") || file.path.starts_with(".."))
      folders.push_back(os::parent_of(absolute(file.path)));
    const auto text = os::read_file(absolute(file.path), 16u << 20);
    if (!text) continue;
    for (std::string& repository : local_repositories(*text))
      folders.push_back(std::move(repository));
  }
  for (const std::string& folder : inputs.requirements.find_links) add(folder);
  for (const python::Requirement& requirement : inputs.requirements.requirements)
    if (requirement.kind == python::Requirement::Kind::path) add(requirement.address);
  if (inputs.pyproject)
    for (const std::string& path : inputs.pyproject->uv_paths) add(path);
  for (std::string& folder : folders) folder = launch::clean_path(folder);
  return folders;
}

// The values of ${NAME} in requirements, which uv replaces as pip does. Those that lead uv to what it
// needs are not theirs to change.
void give_variables(const Context& context, const python::Inputs& inputs, Step& step) {
  for (const std::string& name : inputs.requirements.variables) {
    const auto value = context.host.variables.find(name);
    const bool is_given = std::any_of(step.env.begin(), step.env.end(), [&](const std::string& v) {
      return v.starts_with(name + "=");
    });
    if (value != context.host.variables.end() && !is_given)
      step.env.push_back(name + "=" + value->second);
  }
}

// uv reads less than pip: no UTF-16, no continued markers. It sees such files in a plain form, in
// their own places, since paths in them are relative to those.
Result<void> show_plain_requirements(const Context& context, const ResolveRequest& request,
                                     const std::string& folder, Step& step) {
  size_t number = 0;
  for (const std::string& file : request.inputs.requirements.files) {
    const std::string path = file.starts_with("/") ? file : os::join(request.project_folder, file);
    const std::string bytes = TRY(os::read_file(path, 64u << 20));
    const std::string plain = TRY(python::plain_requirements(bytes, file, context.host.variables));
    if (plain == bytes) continue;
    const std::string copy = os::join(folder, fmt::format("requirements-{}", ++number));
    TRY(os::write_file_atomically(copy, plain));
    step.mounts.push_back({.source = copy, .target = launch::clean_path(path), .read_only = true});
  }
  return {};
}

// What uv may see: the project and its neighbours that the inputs name, its cache, the answer's
// folder, and the host's settings for indexes. A build for metadata writes beside its sources
// (setuptools' *.egg-info), so it gets these folders with writes that are thrown away.
Result<Step> uv_step(const Context& context, const ResolveRequest& request,
                     const runtime::RootSource& root, const std::string& answer_folder) {
  Step step;
  step.name = "resolving the Python packages";
  step.root = root;
  step.working_dir = request.project_folder;
  show(step, request.project_folder, true);
  for (const std::string& folder : local_folders(request)) show(step, folder, true);
  for (runtime::Mount& mount : step.mounts) {
    if (!os::is_folder(mount.source)) continue;
    mount.read_only = false;
    mount.discard_writes = true;
  }
  TRY(show_plain_requirements(context, request, answer_folder, step));
  show(step, answer_folder, false);
  TRY(give_uv_access(context, step));
  give_variables(context, request.inputs, step);
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
  runtime::RootSource source = root_source(root);
  StepOutput output;
  for (const bool allow_build : {false, true}) {
    uv.allow_build = allow_build;
    const python::UvCommand command = python::uv_command(uv);
    Step step = TRY(uv_step(context, request, source, answer.path()));
    step.args = command.arguments;
    step.input = command.input;
    output = TRY(run_step(step));
    if (output.status != 0 && lacks_git(output.err)) {
      context.progress.warn("some packages come from git: it is added to the resolver");
      const store::Root richer = TRY(with_git());
      step.root = source = root_source(richer);
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
  if (!request.inputs.packages.empty())
    return Error(Code::unsupported, "{} is installed as it is; the packages of kist.toml ({}) cannot be added",
                 printable(fmt::format("{}", fmt::join(request.inputs.main, ", "))),
                 printable(fmt::format("{}", fmt::join(request.inputs.packages, ", "))))
        .hint("add them where that lock is made, or name what it is made from: `inputs = "
              "[\"pyproject.toml\"]` under [environment] in kist.toml");
  const python::ProjectFolder files(request.project_folder);
  std::vector<std::string> warnings;
  auto lock = python::read_locked_input(
      request.inputs, files, target,
      {.client = context.offline ? nullptr : &context.client, .index_url = context.default_index},
      warnings);
  for (std::string& warning : warnings) context.progress.warn(std::move(warning));
  return lock;
}

// The Debian packages; none over an image.
Result<std::vector<python::LockedDebianPackage>> resolve_debian(const Context& context,
                                                                const ResolveRequest& request) {
  if (request.image) return std::vector<python::LockedDebianPackage>();
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
  return lock_debian(context, debian);
}

}  // namespace

Result<python::Lock> resolve(const Context& context, const ResolveRequest& request,
                             store::Transaction& tx) {
  auto packages = TRY(resolve_debian(context, request));
  std::string python = request.image ? request.image->python : python_of(packages, request.suite.python);
  if (request.interpreter) python = request.interpreter->python;
  const std::string base = request.image ? request.image->base : request.suite.base();
  if (split(request.inputs.python, '.').size() > 2 && request.inputs.python != python)
    context.progress.warn(fmt::format("{} asks for Python {}, {} has {}", request.inputs.python_from,
                                      request.inputs.python, base, python));
  python::Target target =
      TRY(python::make_target(request.platform, python, request.suite.glibc_minor));
  if (request.image) TRY(stand_on(request.image->locked, target));
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
  lock.kist->base = base;
  if (request.image) lock.kist->image = request.image->locked;
  if (request.interpreter) lock.kist->interpreter = request.interpreter->locked;
  lock.kist->debian = std::move(packages);
  return lock;
}

}  // namespace kist::environment
