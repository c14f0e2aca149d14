#include "environment/resolve.h"

#include <map>

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/platform.h"
#include "environment/python_packages.h"
#include "environment/step.h"
#include "python/pylock_complete.h"
#include "python/uv.h"
#include "python/uv_program.h"

namespace kist::environment {
namespace {

constexpr uint32_t kRecipe = 1;

// Variables of the host that uv needs inside: its own, and how to reach the network.
bool reaches_uv(std::string_view name) {
  for (const std::string_view prefix : {"UV_", "SSL_CERT_", "GIT_", "NETRC", "SSH_"})
    if (name.starts_with(prefix)) return true;
  const std::string lower = to_lower(name);
  return lower == "http_proxy" || lower == "https_proxy" || lower == "all_proxy" ||
         lower == "no_proxy" || name == "NO_COLOR" || name == "COLUMNS";
}

std::string lookup(const launch::Host& host, const char* name) {
  const auto it = host.variables.find(name);
  return it == host.variables.end() ? std::string() : it->second;
}

// The interpreter's full version, from the package that has it: "3.11.2-6+deb12u6" gives "3.11.2".
std::string python_of(const std::vector<python::LockedDebianPackage>& packages,
                      const std::string& minor) {
  for (const python::LockedDebianPackage& package : packages)
    if (package.name == "python" + minor)
      return package.version.substr(0, package.version.find_first_of("-~+"));
  return minor;
}

Result<Piece> uv_piece(const Context& context, const python::Target& target) {
  const auto release = TRY(python::pinned_uv(host_platform()));
  const python::LockedFile file{.name = std::string(release.file_name),
                                .url = "unknown",
                                .size_bytes = release.size_bytes,
                                .hashes = {{"sha256", std::string(release.sha256)}}};
  const python::SelectedPackage package{
      .name = "uv", .version = std::string(release.version), .file = file};
  return wheel_piece(context, package, target, "/");
}

// uv as a tree: from the store, or found on the index and fetched.
Result<store::Tree> uv_tree(const Context& context, const python::Target& target,
                            store::Transaction& tx) {
  std::vector<Piece> pieces;
  auto piece = TRY(uv_piece(context, target));
  const auto known = TRY(find_name(context.store, tx, piece.store_names.front()));
  if (!known) {
    if (context.offline)
      return Error(Code::unavailable, "uv is not on this machine yet").hint("run it once without `--offline`");
    const auto release = TRY(python::pinned_uv(host_platform()));
    const http::Download found =
        TRY(python::find_uv(context.client, context.default_index, release), "finding uv");
    piece.download->urls = found.urls;
  }
  pieces.push_back(std::move(piece));
  Gathered gathered = TRY(gather(context, pieces, tx, "fetched the resolver:"));
  return std::move(gathered.trees.front().front());
}

// The root that uv runs in: the base of this machine's own architecture, with uv in it.
Result<store::Root> resolver_root(const Context& context, const ResolveRequest& request,
                                  const std::vector<python::LockedDebianPackage>& debian,
                                  const python::Target& target, store::Transaction& tx) {
  const std::string architecture = host_architecture();
  std::vector<python::LockedDebianPackage> own;
  if (request.platform != host_platform())
    own = TRY(lock_debian(context, {.suite = request.suite.name, .architecture = architecture}));
  const Base base = TRY(assemble_debian(context, own.empty() ? debian : own, request.suite.name,
                                        architecture, tx));
  python::Target here = target;
  here.platform = host_platform();
  const store::Tree uv = TRY(uv_tree(context, here, tx));
  const store::Tree venv = TRY(venv_tree(here, tx));
  const store::Part parts[] = {{"base", &base.tree}, {"uv", &uv}, {"virtual environment", &venv}};
  const store::Tree merged = TRY(store::merge(parts));
  const oci::Digest digest = TRY(tx.put_tree(merged));
  tx.name("resolver/" + digest.hex(), digest);
  return root_of(context, digest, tx);
}

void add_mount(Step& step, const std::string& path, bool read_only) {
  if (!path.empty() && os::exists(path))
    step.mounts.push_back({.source = path, .target = path, .read_only = read_only});
}

// What uv may see: the project and its neighbours that requirements name (read-only), its cache, the
// answer's folder, and the host's settings for indexes.
Result<Step> uv_step(const Context& context, const ResolveRequest& request,
                     const store::Root& root, const std::string& answer_folder) {
  Step step;
  step.name = "resolving the Python packages";
  step.root = root_source(root);
  step.network = true;
  step.working_dir = request.project_folder;
  add_mount(step, request.project_folder, true);
  for (const python::InputFile& file : request.inputs.files)
    if (file.path.starts_with("/") || file.path.starts_with(".."))
      add_mount(step, os::parent_of(file.path.starts_with("/") ? file.path
                                                  : os::join(request.project_folder, file.path)), true);
  add_mount(step, answer_folder, false);
  TRY(os::make_folders(context.cache("uv")));
  add_mount(step, context.cache("uv"), false);
  const launch::Host& host = context.host;
  for (const std::string& path : {os::join(host.home, ".config/uv"), os::join(host.home, ".netrc"),
                                  std::string("/etc/uv"), lookup(host, "NETRC"),
                                  lookup(host, "SSL_CERT_FILE"), lookup(host, "SSL_CERT_DIR")})
    add_mount(step, path, true);
  for (const std::string& folder : context.index_folders) add_mount(step, folder, true);
  auto variables = python::uv_environment(host.variables, {});
  for (const std::string& variable : context.index_variables) {
    const size_t equals = variable.find('=');
    variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  // The base's own bundle may lack the certificate authority of a company's proxy.
  if (variables["SSL_CERT_FILE"].empty())
    variables["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt";
  add_mount(step, variables["SSL_CERT_FILE"], true);
  for (const auto& [name, value] : variables)
    if (reaches_uv(name)) step.env.push_back(name + "=" + value);
  step.env.push_back("HOME=" + host.home);
  step.env.push_back("PATH=/opt/kist/bin:/usr/bin:/bin");
  step.env.push_back("LANG=C.UTF-8");
  return step;
}

Result<python::Lock> run_uv(const Context& context, const ResolveRequest& request,
                            const python::Target& target, const store::Root& root) {
  TRY(os::make_folders(context.cache("resolve")));
  const os::TempDir answer = TRY(os::TempDir::make(context.cache("resolve")));
  Step step = TRY(uv_step(context, request, root, answer.path()));
  python::UvRequest uv = TRY(python::uv_request(request.inputs, target));
  uv.uv = "/opt/kist/bin/uv";
  uv.interpreter = "/usr/bin/python" + request.suite.python;
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
  if (request.previous && request.previous->kist && !request.upgrade &&
      request.previous->kist->base == request.suite.base())
    debian.keep = request.previous->kist->debian;
  auto packages = TRY(lock_debian(context, debian));
  const python::Target target =
      TRY(python::make_target(request.platform, python_of(packages, request.suite.python),
                              request.suite.glibc_minor));
  python::Lock resolved;
  if (request.inputs.is_locked() || request.inputs.kind == python::InputKind::lock) {
    resolved = TRY(read_locked(context, request, target));
  } else if (asks_for_python_packages(request.inputs)) {
    const store::Root root = TRY(resolver_root(context, request, packages, target, tx));
    resolved = TRY(run_uv(context, request, target, root));
  }
  python::Lock lock = TRY(python::complete_lock(resolved, request.inputs, target));
  KIST_ASSERT(lock.kist.has_value());
  lock.kist->recipe = kRecipe;
  lock.kist->base = request.suite.base();
  lock.kist->debian = std::move(packages);
  return lock;
}

}  // namespace kist::environment
