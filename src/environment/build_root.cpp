#include "environment/build_root.h"

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/platform.h"
#include "environment/python_packages.h"
#include "python/uv.h"
#include "python/uv_program.h"

namespace kist::environment {
namespace {

constexpr uint32_t kAnyPythonMinor = 13;

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
Result<store::Tree> uv_tree(const Context& context, python::Target target, store::Transaction& tx) {
  // Its program is all that is used of it: one tree serves every version of Python.
  target.python_minor = kAnyPythonMinor;
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

}  // namespace

Result<store::Root> tool_root(const Context& context, const ToolRoot& request,
                              store::Transaction& tx) {
  Base base;
  if (request.image != nullptr) base.tree = *request.image;
  else base = TRY(assemble_debian(context, request.debian, request.suite, host_architecture(), tx));
  python::Target here = request.target;
  here.platform = host_platform();
  const store::Tree uv = TRY(uv_tree(context, here, tx));
  const store::Tree venv = TRY(venv_tree(here, tx));
  std::vector<store::Part> parts = {{"base", &base.tree}, {"uv", &uv}, {"virtual environment", &venv}};
  if (request.interpreter != nullptr) parts.push_back({"interpreter", request.interpreter});
  const store::Tree merged = TRY(store::merge(parts));
  const oci::Digest digest = TRY(tx.put_tree(merged));
  tx.name("resolver/" + digest.hex(), digest);
  return root_of(context, digest, tx);
}

void show(Step& step, const std::string& path, bool read_only) {
  if (!path.empty() && os::exists(path))
    step.mounts.push_back({.source = path, .target = path, .read_only = read_only});
}

Result<void> give_uv_access(const Context& context, Step& step) {
  step.network = true;
  TRY(os::make_folders(context.cache("uv")));
  show(step, context.cache("uv"), false);
  const launch::Host& host = context.host;
  for (const std::string& path : {os::join(host.home, ".config/uv"), os::join(host.home, ".netrc"),
                                  std::string("/etc/uv"), lookup(host, "NETRC"),
                                  lookup(host, "SSL_CERT_FILE"), lookup(host, "SSL_CERT_DIR")})
    show(step, path, true);
  for (const std::string& folder : context.index_folders) show(step, folder, true);
  auto variables = python::uv_environment(host.variables, {});
  for (const std::string& variable : context.index_variables) {
    const size_t equals = variable.find('=');
    variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  // The base's own bundle may lack the certificate authority of a company's proxy.
  if (variables["SSL_CERT_FILE"].empty())
    variables["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt";
  show(step, variables["SSL_CERT_FILE"], true);
  for (const auto& [name, value] : variables)
    if (reaches_uv(name)) step.env.push_back(name + "=" + value);
  step.env.push_back("HOME=" + host.home);
  step.env.push_back("PATH=/opt/kist/bin:/usr/local/bin:/usr/bin:/bin");
  step.env.push_back("LANG=C.UTF-8");
  return {};
}

}  // namespace kist::environment
