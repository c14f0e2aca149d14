#include "environment/image_base.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "environment/image_python.h"
#include "environment/interpreter_archive.h"
#include "environment/pieces.h"
#include "os/files.h"

namespace kist::environment {
namespace {

// Changes whenever the same image would give another base.
constexpr std::string_view kRecipe = "kist-image-base 1";
constexpr std::string_view kEnvironmentFolder = "opt/kist";
constexpr const char* kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Set by kist, or of the image's own Python alone.
constexpr std::array<std::string_view, 10> kNotTaken = {
    "PATH",       "HOME",       "USER",        "LOGNAME",          "HOSTNAME",
    "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "KIST_ENVIRONMENT", "PYTHONPYCACHEPREFIX"};

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// What the image compiled knows its sources' times, which a root of links has not: Python would compile it
// anew at each start. Packages beside the library are not seen in a virtual environment.
bool is_library_bytecode(std::string_view path, std::string_view library) {
  if (library.empty() || !is_at_or_below(path, library) || !path.ends_with(".pyc")) return false;
  const std::string_view inside = path.substr(library.size());
  return inside.find("/__pycache__/") != std::string_view::npos && !inside.starts_with("/site-packages/") &&
         !inside.starts_with("/dist-packages/");
}

std::string library_of(const store::Tree& tree, const std::string& program) {
  if (program.empty()) return {};
  const std::string home = os::parent_of(os::parent_of(program));
  std::string_view name = os::name_of(program);
  std::string found;
  for (int minor = 8; minor < 100; ++minor) {
    const std::string folder = library_folder(tree, home, fmt::format("3.{}", minor));
    if (name == fmt::format("python3.{}", minor)) return folder;
    if (found.empty() && tree.find(folder + "/os.py") != nullptr) found = folder;
  }
  return found;
}

Result<store::Tree> tree_of(const store::Tree& image, const python::LockedImage& locked) {
  const store::Entry* const opt = image.find("opt");
  if (opt != nullptr && opt->kind != store::Kind::folder)
    return Error(Code::unsupported, "/opt is a {} in it, want a folder: the environment lies at /opt/kist",
                 opt->kind == store::Kind::symlink ? "link" : "file");
  const std::string library = library_of(image, locked.python);
  std::vector<store::Entry> entries = image.entries();
  std::erase_if(entries, [&](const store::Entry& entry) {
    return is_at_or_below(entry.path, kEnvironmentFolder) || is_library_bytecode(entry.path, library) ||
           (locked.python.empty() && is_at_or_below(entry.path, kInterpreterHome.substr(1)));
  });
  return store::Tree::make(std::move(entries));
}

}  // namespace

Result<images::Image> locked_image(const Context& context, const std::string& base,
                                   const python::LockedImage& image) {
  auto found = images::ImageStore(context.store).read(image.digest);
  if (found || found.error().code() != Code::not_found) return found;
  return Error(Code::not_found, "the base image '{}' ({}) is not on this machine", printable(base),
               image.digest.string())
      .hint("`kist run true` brings it");
}

std::string image_base_name(const python::LockedImage& image) {
  return "image-base/" +
         oci::Sha256::of(fmt::format("{}\n{}\n{}\n", kRecipe, image.digest.string(), image.python)).hex();
}

Result<Base> assemble_image(const Context& context, const std::string& base, const python::LockedImage& image,
                            store::Transaction& tx) {
  Base out;
  const std::string name = image_base_name(image);
  const auto known = TRY(find_name(context.store, tx, name));
  if (known) {
    if (auto tree = context.store.tree(*known)) {
      out.tree = std::move(*tree);
      out.digest = *known;
      return out;
    }
  }
  const images::Image found = TRY(locked_image(context, base, image));
  const store::Tree whole = TRY(context.store.tree(found.tree));
  out.tree = TRY(tree_of(whole, image), "base '{}'", printable(base));
  out.digest = TRY(tx.put_tree(out.tree));
  tx.name(name, out.digest);
  return out;
}

bool has_environment(const store::Tree& image) { return image.find(kEnvironmentFolder) != nullptr; }

std::vector<std::string> variables_of_image(const oci::ImageConfig& config) {
  std::string path = kUsualPath;
  std::vector<std::string> out;
  for (const std::string& variable : config.run.env) {
    const std::string name = variable.substr(0, variable.find('='));
    if (name == "PATH" && variable.size() > name.size() + 1) path = variable.substr(name.size() + 1);
    const bool is_taken = std::find(kNotTaken.begin(), kNotTaken.end(), name) == kNotTaken.end();
    if (is_taken && !name.empty() && name.size() < variable.size()) out.push_back(variable);
  }
  std::string whole = "/opt/kist/bin";
  for (const std::string_view folder : split(path, ':'))
    if (folder != "/opt/kist/bin" && !folder.empty()) whole += ":" + std::string(folder);
  out.insert(out.begin(), "PATH=" + whole);
  return out;
}

}  // namespace kist::environment
