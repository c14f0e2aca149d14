#include "environment/python_packages.h"

#include "base/text.h"
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
  return std::vector<std::string>{"file://" + path};
}

std::string direct_url_json(const python::SelectedPackage& package) {
  // PEP 610; the address without credentials, as the lock has it.
  const std::string url = package.file.url.empty() ? "file://" + package.file.path : package.file.url;
  std::string escaped;
  for (const char c : url) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return fmt::format(R"({{"archive_info": {{"hashes": {{"sha256": "{}"}}}}, "url": "{}"}})",
                     package.file.sha256()->hex(), escaped);
}

}  // namespace

Result<Piece> wheel_piece(const Context& context, const python::SelectedPackage& package,
                          const python::Target& target, const std::string& lock_folder) {
  const oci::Digest sha256 = *package.file.sha256();
  python::InstallTarget install;
  install.python_minor = target.python();
  if (package.is_direct()) install.direct_url_json = direct_url_json(package);

  Piece piece;
  piece.label = fmt::format("{} {}", package.name, package.version);
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
  builder.symlink("opt/kist/bin/python", "/usr/bin/" + python);
  builder.symlink("opt/kist/bin/python3", "python");
  builder.symlink("opt/kist/bin/" + python, "python");
  // Without the micro version: the base's security updates must not change this tree.
  const std::string config = fmt::format(
      "home = /usr/bin\ninclude-system-site-packages = false\nversion = {}\nexecutable = /usr/bin/{}\n",
      target.python(), python);
  TRY(builder.file("opt/kist/pyvenv.cfg", 0644, config));
  return std::move(builder).finish();
}

}  // namespace kist::environment
