#include "environment/foreign_compiler.h"

#include <algorithm>

#include "base/text.h"
#include "environment/image_base.h"
#include "environment/interpreter.h"
#include "environment/platform.h"
#include "environment/suite.h"
#include "os/files.h"

namespace kist::environment {
namespace {

using python::LockedDebianPackage;

constexpr uint64_t kMaxLockBytes = 256u << 20;

// "3.13.5-2", of the package that has the compiler.
std::string revision_of(const std::vector<LockedDebianPackage>& packages, const std::string& minor) {
  const std::string wanted = fmt::format("python{}-minimal", minor);
  for (const LockedDebianPackage& package : packages)
    if (package.name == wanted) return package.version;
  return "";
}

// Builds of one version, in archives and in images, differ in how they were linked, not in what they compile to.
bool has_same_version(const python::Lock& a, const python::Lock& b) {
  return a.kist->python == b.kist->python && split(a.kist->python, '.').size() > 2;
}

bool has_same_python(const python::Lock& a, const python::Lock& b, const std::string& minor) {
  if (a.kist->interpreter.has_value() != b.kist->interpreter.has_value()) return false;
  if (a.kist->image.has_value() != b.kist->image.has_value()) return false;
  if (a.kist->image && a.kist->image->python != b.kist->image->python) return false;
  if (a.kist->interpreter || a.kist->image) return has_same_version(a, b);
  const std::string revision = revision_of(a.kist->debian, minor);
  return !revision.empty() && revision == revision_of(b.kist->debian, minor);
}

// `suite`: of Debian's packages; over an image it is not looked at.
Result<oci::Digest> tree_of(const Context& context, const python::Lock& own, const std::string& suite,
                            const std::string& lock_folder, store::Transaction& tx) {
  const Base base = TRY(own.kist->image ? assemble_image(context, own.kist->base, *own.kist->image, tx)
                                        : assemble_debian(context, own.kist->debian, suite, host_architecture(), tx));
  if (!own.kist->interpreter) return base.digest;
  const Interpreter interpreter =
      TRY(bring_interpreter(context, *own.kist->interpreter, host_platform(), lock_folder, tx));
  const store::Part parts[] = {{"base", &base.tree}, {"interpreter", &interpreter.files}};
  const store::Tree merged = TRY(store::merge(parts));
  return tx.put_tree(merged);
}

Error no_interpreter(const python::Lock& lock, const std::string& minor, const std::string& there_is) {
  const bool is_by_version = lock.kist->interpreter || lock.kist->image;
  const std::string wanted = is_by_version ? lock.kist->python : revision_of(lock.kist->debian, minor);
  Error error(Code::unsupported, "byte-code for {} needs Python {} for {}, there is {}",
              printable(lock.kist->platform), printable(wanted), host_platform(),
              there_is.empty() ? "none" : printable(there_is));
  if (lock.kist->interpreter)
    return std::move(error).hint(fmt::format("name that version's archive for {} in kist.toml too, then `kist lock`",
                                             host_platform()));
  return std::move(error).hint(fmt::format("`kist lock --upgrade --platform {}{}`", printable(lock.kist->platform),
                                           lock.kist->image ? " --platform " + host_platform() : ""));
}

// Which image has the same Python for this machine, the project's lock for it knows.
Result<oci::Digest> compiler_of_image(const Context& context, const python::Lock& lock, const std::string& lock_folder,
                                      const std::string& minor, store::Transaction& tx) {
  const auto own = lock_of_this_machine(lock, lock_folder);
  if (!own || own->kist->base != lock.kist->base || !has_same_python(*own, lock, minor))
    return no_interpreter(lock, minor, own ? own->kist->python : "");
  auto tree = tree_of(context, *own, "", lock_folder, tx);
  if (tree || tree.error().code() != Code::not_found) return tree;
  return Error(Code::unsupported, "byte-code for {} needs the base image '{}' for {}, which is not here",
               printable(lock.kist->platform), printable(own->kist->base), host_platform())
      .hint("`kist lock --upgrade`");
}

Result<oci::Digest> make_compiler(const Context& context, const python::Lock& lock, const std::string& lock_folder,
                                  store::Transaction& tx) {
  const std::string minor = TRY(target_of(lock)).python();
  if (lock.kist->image) return compiler_of_image(context, lock, lock_folder, minor, tx);
  const Suite suite = TRY(suite_of_base(lock.kist->base));
  const auto own = lock_of_this_machine(lock, lock_folder);
  const bool fits = own && own->kist->base == lock.kist->base && has_same_python(*own, lock, minor);
  if (fits) {
    const auto known = TRY(find_name(context.store, tx, base_name(own->kist->debian, suite.name, host_architecture())));
    if (known) return tree_of(context, *own, suite.name, lock_folder, tx);
  }
  // The base set alone: of what the project has installed beside it nothing is needed.
  std::string there_is;
  if (!lock.kist->interpreter) {
    const auto packages = lock_debian(context, {.suite = suite.name,
                                                .architecture = host_architecture(),
                                                .system = {},
                                                .keep = lock.kist->debian});
    if (!packages && !fits) return packages.error();
    if (packages) there_is = revision_of(*packages, minor);
    if (packages && there_is == revision_of(lock.kist->debian, minor)) {
      const Base base = TRY(assemble_debian(context, *packages, suite.name, host_architecture(), tx));
      return base.digest;
    }
  } else if (own && own->kist->interpreter) {
    there_is = own->kist->python;
  }
  if (fits) return tree_of(context, *own, suite.name, lock_folder, tx);
  return no_interpreter(lock, minor, there_is);
}

// The store's name for a compiler of this lock.
Result<std::string> compiler_name(const python::Lock& lock) {
  const std::string minor = TRY(target_of(lock)).python();
  const bool is_by_version = lock.kist->interpreter || lock.kist->image;
  const std::string revision = is_by_version ? lock.kist->python : revision_of(lock.kist->debian, minor);
  const std::string text = fmt::format("{}\n{}\n{}\n{}\n", host_platform(), lock.kist->base, revision,
                                       lock.kist->interpreter.has_value());
  return "compiler/" + oci::Sha256::of(text).hex();
}

}  // namespace

std::optional<python::Lock> lock_of_this_machine(const python::Lock& lock, const std::string& lock_folder) {
  for (const std::string& platform : {std::string(), host_platform()}) {
    const std::string name = python::lock_file_name(lock.kist->environment, platform);
    const auto text = os::read_file(os::join(lock_folder, name), kMaxLockBytes);
    if (!text) continue;
    std::vector<std::string> warnings;
    auto other = python::parse_lock(*text, name, warnings);
    if (other && other->kist && other->kist->platform == host_platform()) return std::move(*other);
  }
  return std::nullopt;
}

Result<oci::Digest> foreign_compiler(const Context& context, const python::Lock& lock,
                                     const std::string& lock_folder, store::Transaction& tx) {
  const std::string name = TRY(compiler_name(lock));
  const auto known = TRY(find_name(context.store, tx, name));
  if (known && context.store.tree(*known).has_value()) {
    tx.name(name, *known);
    return *known;
  }
  const oci::Digest made = TRY(make_compiler(context, lock, lock_folder, tx));
  tx.name(name, made);
  return made;
}

Result<Completed> complete_environment(const Context& context, const python::Lock& lock,
                                       const std::string& lock_folder, const Environment& environment,
                                       store::Transaction& tx) {
  Completed out{.tree = environment.digest, .compiler = environment.digest};
  if (lock.kist->platform != host_platform()) {
    const auto compiler = foreign_compiler(context, lock, lock_folder, tx);
    // A network that is down is no reason to give the same lock another digest.
    if (!compiler && compiler.error().code() != Code::unsupported) return compiler.error();
    if (!compiler) {
      context.progress.warn(fmt::format("{}; without it the image starts slower and has another digest; to get it: {}",
                                        compiler.error().message(), compiler.error().hint_text()));
      out.has_bytecode = false;
      return out;
    }
    out.compiler = *compiler;
  }
  if (!environment.bytecode) return out;
  BytecodePlan plan = *environment.bytecode;
  if (lock.kist->platform != host_platform()) plan.compiler = out.compiler;
  out.tree = TRY(complete_now(context, plan, tx));
  if (!plan.compiler) out.compiler = out.tree;
  return out;
}

}  // namespace kist::environment
