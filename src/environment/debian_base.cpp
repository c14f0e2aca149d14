#include "environment/debian_base.h"

#include <algorithm>

#include "base/text.h"
#include "debian/base_set.h"
#include "debian/configure.h"
#include "debian/deb.h"
#include "debian/library_packages.h"
#include "debian/mirror.h"
#include "debian/release.h"
#include "debian/solver.h"
#include "environment/configure_step.h"
#include "environment/pieces.h"
#include "environment/platform.h"
#include "os/mapped_file.h"

namespace kist::environment {
namespace {

// Changes whenever the same packages would give another base.
constexpr std::string_view kRecipe = "kist-debian-base 1";
constexpr size_t kMaxDebBytes = 16ull << 30;

debian::ContentReader reader_of(const Context& context) {
  return [&context](const store::Entry& file) { return context.store.read_object(file); };
}

debian::LockedDeb to_debian(const python::LockedDebianPackage& package) {
  return {.name = package.name,
          .version = package.version,
          .architecture = package.architecture,
          .sha256 = package.sha256,
          .size_bytes = package.size_bytes,
          .path = package.path,
          .suite = package.suite};
}

python::LockedDebianPackage to_lock(const debian::LockedDeb& deb) {
  return {.name = deb.name,
          .version = deb.version,
          .architecture = deb.architecture,
          .suite = deb.suite,
          .component = "main",
          .path = deb.path,
          .size_bytes = deb.size_bytes,
          .sha256 = deb.sha256};
}

// Every archive that may hold a package, its own pocket's first: what moved from security to a
// point release is found under the other address.
std::vector<std::string> urls_of(const python::LockedDebianPackage& package,
                                 const std::vector<debian::Pocket>& pockets) {
  std::vector<std::string> first;
  std::vector<std::string> others;
  for (const debian::Pocket& pocket : pockets)
    for (const debian::Archive& archive : pocket.archives)
      (pocket.suite == package.suite ? first : others).push_back(archive.uri + "/" + package.path);
  first.insert(first.end(), others.begin(), others.end());
  std::vector<std::string> unique;
  for (std::string& url : first)
    if (std::find(unique.begin(), unique.end(), url) == unique.end()) unique.push_back(std::move(url));
  return unique;
}

Piece deb_piece(const Context& context, const python::LockedDebianPackage& package,
                const std::vector<debian::Pocket>& pockets) {
  const debian::DebOptions options{.filter = debian::PathFilter::slim()};
  const std::string key = debian::deb_key(package.sha256, options);
  Piece piece;
  piece.label = fmt::format("{} {}", package.name, package.version);
  piece.remedy = "if it stays so, the mirror may have a newer one: `kist lock --upgrade`";
  piece.store_names = {"deb/" + key, "deb/" + key + "-meta"};
  piece.download = http::Download{.urls = urls_of(package, pockets),
                                  .sha256 = package.sha256,
                                  .size_bytes = package.size_bytes,
                                  .path = os::join(context.cache("partial"), package.sha256.hex()),
                                  .label = piece.label};
  piece.install = [options](const std::string& path, store::Transaction& tx)
      -> Result<std::vector<store::Tree>> {
    const os::MappedFile file = TRY(os::MappedFile::open(path, kMaxDebBytes));
    debian::Deb deb = TRY(debian::unpack_deb(file.bytes(), options, tx));
    std::vector<store::Tree> trees;
    trees.push_back(std::move(deb.files));
    trees.push_back(std::move(deb.meta));
    return trees;
  };
  return piece;
}

// Fetches and unpacks; each package with what it says about itself.
Result<std::vector<debian::InstalledDeb>> install(
    const Context& context, const std::vector<python::LockedDebianPackage>& packages,
    const std::vector<debian::Pocket>& pockets, store::Transaction& tx, std::string_view phase,
    Base& base) {
  std::vector<Piece> pieces;
  for (const python::LockedDebianPackage& package : packages)
    pieces.push_back(deb_piece(context, package, pockets));
  Gathered gathered = TRY(gather(context, pieces, tx, phase));
  base.assembled += gathered.assembled;
  base.fetched_bytes += gathered.fetched_bytes;
  const debian::ContentReader reader = reader_of(context);
  std::vector<debian::InstalledDeb> installed;
  for (size_t i = 0; i < packages.size(); ++i) {
    auto meta = TRY(debian::read_meta(gathered.trees[i][1], reader), "{}", pieces[i].label);
    installed.push_back({.deb = to_debian(packages[i]),
                         .files = std::move(gathered.trees[i][0]),
                         .meta = std::move(meta)});
  }
  return installed;
}

// The packages that have the interpreter's libraries, and those that every wheel may rely on.
std::vector<std::string> library_packages(const Context& context, const DebianRequest& request,
                                          const debian::Solver& solver) {
  std::vector<std::string> libraries = {"libz.so.1", "libexpat.so.1"};
  libraries.insert(libraries.end(), request.libraries.begin(), request.libraries.end());
  std::vector<std::string> packages;
  for (const std::string& library : libraries) {
    const auto candidates = debian::packages_of_library(library);
    const auto known = std::find_if(candidates.begin(), candidates.end(),
                                    [&](const std::string& name) { return solver.knows(name); });
    if (known != candidates.end())
      packages.push_back(*known);
    else if (!candidates.empty())
      context.progress.warn(fmt::format(
          "the interpreter needs {}, which neither it nor Debian's {} brings: what uses it will not work",
          printable(library), request.suite));
  }
  return packages;
}

}  // namespace

std::string base_name(const std::vector<python::LockedDebianPackage>& packages,
                      const std::string& suite, const std::string& architecture) {
  const debian::DebOptions options{.filter = debian::PathFilter::slim()};
  oci::Sha256 hash;
  hash.update(fmt::format("{} {}\n{}\n{}\n", kRecipe, debian::kAssembleRecipe, suite, architecture));
  for (const python::LockedDebianPackage& package : packages)
    hash.update(debian::deb_key(package.sha256, options) + (package.tool ? " tool\n" : "\n"));
  return "base/" + hash.finish().hex();
}

Result<std::vector<python::LockedDebianPackage>> lock_debian(const Context& context,
                                                             const DebianRequest& request) {
  const debian::AptConfig apt = TRY(context.apt());
  const auto pockets = TRY(debian::find_pockets(apt, request.suite));
  const debian::IndexContext indexes{.client = context.client,
                                     .cache_dir = context.cache("debian"),
                                     .now_s = context.now_s,
                                     .machine_keyrings = apt.keyrings,
                                     .offline = context.offline};
  const auto packages = TRY(debian::fetch_indexes(pockets, request.architecture, indexes));
  auto solver = TRY(debian::Solver::open(packages, request.architecture, context.cache("debian")));
  const debian::BaseSet base = TRY(debian::base_packages(request.suite));
  debian::SolveRequest solve{.packages = base.packages, .architecture = request.architecture};
  const auto more = request.has_own_python ? library_packages(context, request, solver) : base.interpreter;
  solve.packages.insert(solve.packages.end(), more.begin(), more.end());
  solve.packages.insert(solve.packages.end(), request.system.begin(), request.system.end());
  for (const python::LockedDebianPackage& package : request.keep)
    solve.keep.push_back(to_debian(package));
  const auto debs = TRY(solver.solve(solve), "resolving the Debian packages");
  std::vector<python::LockedDebianPackage> locked;
  for (const debian::LockedDeb& deb : debs) locked.push_back(to_lock(deb));
  if (request.system.empty()) return locked;  // The base set's scripts need no container.
  const auto tools = debian::configure_tools();
  solve.packages.insert(solve.packages.end(), tools.begin(), tools.end());
  solve.keep = debs;
  const auto with_tools = TRY(solver.solve(solve), "resolving the tools for scripts");
  for (const debian::LockedDeb& deb : with_tools) {
    if (std::find(debs.begin(), debs.end(), deb) != debs.end()) continue;
    locked.push_back(to_lock(deb));
    locked.back().tool = true;
  }
  return locked;
}

Result<Base> assemble_debian(const Context& context,
                             const std::vector<python::LockedDebianPackage>& packages,
                             const std::string& suite, const std::string& architecture,
                             store::Transaction& tx) {
  Base base;
  base.packages = packages.size();
  const std::string name = base_name(packages, suite, architecture);
  const auto known = TRY(find_name(context.store, tx, name));
  if (known) {
    if (auto tree = context.store.tree(*known)) {
      base.tree = std::move(*tree);
      base.digest = *known;
      return base;
    }
  }
  const debian::AptConfig apt = TRY(context.apt());
  const auto pockets = TRY(debian::find_pockets(apt, suite));
  std::vector<python::LockedDebianPackage> in_base;
  std::vector<python::LockedDebianPackage> tools;
  for (const python::LockedDebianPackage& package : packages)
    (package.tool ? tools : in_base).push_back(package);
  const auto installed = TRY(install(context, in_base, pockets, tx, "fetched the base:", base));
  const debian::AssembleOptions options{.architecture = architecture,
                                        .filter = debian::PathFilter::slim()};
  const debian::ContentReader reader = reader_of(context);
  auto assembled = debian::assemble(installed, {}, options, reader, tx, nullptr);
  const bool can_run = host_architecture() == architecture;
  if (!assembled && assembled.error().code() == Code::unsupported && !tools.empty() && can_run) {
    // Some script must run after all: with the tools that scripts take for granted.
    const auto helpers = TRY(install(context, tools, pockets, tx, "fetched tools for scripts:", base));
    assembled = debian::assemble(installed, helpers, options, reader, tx, configure_runner(context, tx));
  }
  debian::Assembled done = TRY(std::move(assembled), "assembling the Debian base");
  base.tree = std::move(done.tree);
  base.digest = TRY(tx.put_tree(base.tree));
  tx.name(name, base.digest);
  return base;
}

}  // namespace kist::environment
