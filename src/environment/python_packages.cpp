#include "environment/python_packages.h"

#include "base/text.h"
#include "http/address.h"
#include "python/inputs_files.h"
#include "python/install.h"

namespace kist::environment {
namespace {

// Bounds what one file name of a lock may do to a message or a path.
Result<std::vector<std::string>> urls_of(const python::LockedFile& file,
                                         const std::string& lock_folder) {
  if (!file.url.empty()) return std::vector<std::string>{file.url};
  const std::string path =
      file.path.starts_with("/") ? file.path : os::join(lock_folder, file.path);
  if (!os::exists(path))
    return Error(Code::not_found, "'{}' does not exist", printable(path))
        .hint("`kist lock` to lock what there is now");
  return std::vector<std::string>{http::file_url(path)};
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + "\"";
}

// A relative path in the lock is told as if the project lay where an image has it: where it lies on
// this machine is no part of the lock, and must not be one of the tree.
std::string url_inside(const std::string& path) {
  return http::file_url(python::normal_path(path.starts_with("/") ? path : os::join("/app", path)));
}

std::string with_subdirectory(const std::string& subdirectory) {
  return subdirectory.empty() ? "" : fmt::format(R"(, "subdirectory": {})", json_string(subdirectory));
}

}  // namespace

// PEP 610; addresses without credentials, as the lock has them.
Result<std::optional<std::string>> direct_url_json(const python::SelectedPackage& package,
                                                   const std::string& lock_folder) {
  using Kind = python::SelectedPackage::Kind;
  switch (package.kind) {
    case Kind::wheel:
    case Kind::sdist: break;
    case Kind::archive: {
      const python::LockedFile& file = package.file;
      return std::optional(fmt::format(
          R"({{"archive_info": {{"hashes": {{"sha256": "{}"}}}}, "url": {}{}}})", file.sha256()->hex(),
          json_string(file.url.empty() ? url_inside(file.path) : file.url),
          with_subdirectory(file.subdirectory)));
    }
    case Kind::vcs: {
      const python::LockedVcs& vcs = package.vcs;
      const std::string wanted =
          vcs.requested_revision.empty()
              ? ""
              : fmt::format(R"(, "requested_revision": {})", json_string(vcs.requested_revision));
      return std::optional(fmt::format(
          R"({{"url": {}, "vcs_info": {{"commit_id": {}{}, "vcs": {}}}{}}})",
          json_string(vcs.url.empty() ? url_inside(vcs.path) : vcs.url),
          json_string(vcs.commit_id), wanted, json_string(vcs.type),
          with_subdirectory(vcs.subdirectory)));
    }
    case Kind::directory: {
      const python::LockedDirectory& folder = package.directory;
      const std::string whole =
          folder.path.starts_with("/") ? folder.path : os::join(lock_folder, folder.path);
      // An editable package is read from its folder: its tree is of this machine anyway.
      const auto real = folder.editable ? os::real_path(whole) : Result<std::string>(folder.path);
      return std::optional(fmt::format(
          R"({{"dir_info": {{{}}}, "url": {}{}}})", folder.editable ? R"("editable": true)" : "",
          json_string(url_inside(real ? *real : whole)),
          with_subdirectory(folder.subdirectory)));
    }
  }
  return std::optional<std::string>();
}

Result<Piece> wheel_piece(const Context& context, const python::SelectedPackage& package,
                          const python::Target& target, const std::string& lock_folder) {
  const auto direct_url = TRY(direct_url_json(package, lock_folder));
  return wheel_piece_with(context, package, target, lock_folder, direct_url);
}

Result<Piece> wheel_piece_with(const Context& context, const python::SelectedPackage& package,
                               const python::Target& target, const std::string& lock_folder,
                               const std::optional<std::string>& direct_url) {
  const oci::Digest sha256 = *package.file.sha256();
  python::InstallTarget install;
  install.python_minor = target.python();
  install.direct_url_json = direct_url;

  Piece piece;
  piece.label = fmt::format("{} {}", package.name, package.version);
  piece.remedy = fmt::format("if it stays so, take another file or version: `kist lock "
                             "--upgrade-package {}`", printable(package.name));
  piece.store_names = {"wheel/" + python::package_key(sha256, install)};
  http::Download download;
  download.urls = TRY(urls_of(package.file, lock_folder), "{}", piece.label);
  download.sha256 = sha256;
  download.size_bytes = package.file.size_bytes;
  download.path = os::join(context.cache("partial"), sha256.hex());
  download.label = piece.label;
  piece.download = std::move(download);
  const python::WheelIdentity identity{
      .file_name = package.file.name, .name = package.name, .version = package.version};
  piece.install = [install, identity, &context, label = piece.label](
                      const std::string& path,
                      store::Transaction& tx) -> Result<std::vector<store::Tree>> {
    auto got = TRY(python::install_wheel(path, identity, install, tx, context.workers));
    for (const std::string& warning : got.warnings)
      context.progress.warn(fmt::format("{}: {}", label, warning));
    std::vector<store::Tree> trees;
    trees.push_back(std::move(got.tree));
    return trees;
  };
  return piece;
}

Result<store::Tree> venv_tree(const python::Target& target, store::ObjectSink& sink) {
  store::TreeBuilder builder(sink);
  const std::string python = "python" + target.python();
  builder.folder("opt/kist/bin");
  builder.folder("opt/kist/lib/" + python + "/site-packages");
  builder.symlink("opt/kist/lib64", "lib");
  builder.symlink("opt/kist/bin/python", target.python_program());
  builder.symlink("opt/kist/bin/python3", "python");
  builder.symlink("opt/kist/bin/" + python, "python");
  // Without the micro version: the base's security updates must not change this tree.
  const std::string config = fmt::format(
      "home = {}/bin\ninclude-system-site-packages = false\nversion = {}\nexecutable = {}\n",
      target.python_home, target.python(), target.python_program());
  TRY(builder.file("opt/kist/pyvenv.cfg", 0644, config));
  return std::move(builder).finish();
}

}  // namespace kist::environment
