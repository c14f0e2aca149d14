#include "engine/base_image.h"

#include <algorithm>

#include "archive/turn_around.h"
#include "base/text.h"
#include "engine/image_transfer.h"
#include "engine/remote.h"
#include "environment/foreign_compiler.h"
#include "environment/image_base.h"
#include "environment/image_python.h"
#include "environment/platform.h"
#include "environment/root_variant.h"
#include "environment/suite.h"

namespace kist::engine {
namespace {

using environment::Context;
using images::Image;
using images::ImageStore;

images::Intake intake_for(const Context& context) {
  return {.store = context.store,
          .variant = environment::variant_of(context),
          .workers = context.workers,
          .progress = context.progress};
}

registry::Host registry_host_of(const Context& context) {
  return {.home = context.host.home, .variables = context.host.variables,
          .default_registry = context.default_registry, .insecure = false};
}

Error missing_offline(const std::string& name) {
  return Error(Code::unavailable, "--offline: the base image '{}' is not on this machine", printable(name))
      .hint("run it once without `--offline`, or bring the image: `kist load`");
}

// For another platform by digest: the name stays with this machine's image.
Result<Image> pull(const Context& context, oci::Reference reference, const oci::Platform& platform) {
  if (context.offline || context.network == nullptr) return missing_offline(reference.string());
  const images::Intake intake = intake_for(context);
  const Transfer transfer{.intake = intake, .host = registry_host_of(context), .network = *context.network};
  if (!reference.digest && platform.string() != oci::Platform::host().string()) {
    const std::string named = TRY(read_manifest(transfer, reference));
    reference.digest = oci::Sha256::of(named);
  }
  if (reference.digest) reference.tag.clear();
  auto pulled = pull_image(transfer, reference, platform);
  if (pulled) return std::move(pulled->image);
  Error error = std::move(pulled).error();
  if (error.code() != Code::not_found || !error.hint_text().empty()) return error;
  return std::move(error).hint(
      fmt::format("`kist tags {}` shows what there is", shell_quote(reference.repository_name())));
}

bool is_for(const Image& image, const oci::Platform& platform) {
  return image.config.platform.os == platform.os && image.config.platform.architecture == platform.architecture;
}

bool leads_to_registry(const oci::Reference& reference, const registry::Host& host) {
  const auto conf = registry::read_registries_conf(host);
  return !conf || registry::addresses_of(reference, host, *conf, false).has_value();
}

// By the name in kist.toml.
class Lookup {
 public:
  Lookup(const Context& context, const std::string& name, const oci::Platform& platform)
      : context_(context), store_(context.store), name_(name), platform_(platform) {}

  Result<Image> run(bool upgrade) {
    const oci::Reference reference = TRY(oci::Reference::parse(name_));
    if (reference.digest) return by_digest(reference);
    const bool is_local_name = reference.registry.empty() || reference.registry == "localhost";
    if (context_.offline || (is_local_name && !upgrade)) return here_or_pulled(reference);
    if (is_local_name && !leads_to_registry(reference, registry_host_of(context_))) return here_or_pulled(reference);
    auto pulled = pull(context_, reference, platform_);
    if (pulled) return pulled;
    const Code code = pulled.error().code();
    // Registries say "denied" of what they do not have; a name without one may be this machine's alone.
    const bool may_be_here =
        code == Code::not_found || (is_local_name && (code == Code::denied || code == Code::unavailable));
    auto found = may_be_here ? here() : Result<Image>(pulled.error());
    if (!found) return pulled;
    context_.progress.warn(fmt::format("no registry gives '{}': taking the image of that name on this machine",
                                       printable(name_)));
    return found;
  }

 private:
  Result<Image> here() const {
    Image image = TRY(store_.find(name_));
    if (is_for(image, platform_)) return image;
    return Error(Code::unsupported, "'{}' on this machine is for {}, want {}", printable(name_),
                 image.config.platform.string(), platform_.string())
        .hint(fmt::format("`kist pull --platform {} {}`", platform_.string(), shell_quote(name_)));
  }

  Result<Image> by_digest(const oci::Reference& reference) const {
    auto known = store_.read(*reference.digest);
    if (!known && known.error().code() == Code::not_found) return pull(context_, reference, platform_);
    return known;
  }

  Result<Image> here_or_pulled(const oci::Reference& reference) const {
    auto found = here();
    if (found || found.error().code() == Code::invalid) return found;
    if (context_.offline) return missing_offline(name_);
    if (leads_to_registry(reference, registry_host_of(context_))) return pull(context_, reference, platform_);
    if (found.error().code() != Code::not_found) return found;
    return Error(Code::not_found, "the base image '{}' is not on this machine, and its name leads to no registry",
                 printable(name_))
        .hint("`kist images` lists what is there; a name with a registry in it is pulled");
  }

  const Context& context_;
  const ImageStore store_;
  const std::string& name_;
  const oci::Platform platform_;
};

// The digest of an earlier lock, while the same is asked for.
std::optional<oci::Digest> kept_digest(const BaseImageRequest& request) {
  if (request.upgrade || request.previous == nullptr || !request.previous->kist) return std::nullopt;
  const python::KistSection& kist = *request.previous->kist;
  const bool is_same = kist.image && kist.base == request.inputs.settings.base && kist.platform == request.platform;
  return is_same ? std::optional(kist.image->digest) : std::nullopt;
}

Result<Image> image_by_digest(const Context& context, const std::string& name, const oci::Digest& digest,
                              const std::string& platform) {
  auto known = ImageStore(context.store).read(digest);
  if (known || known.error().code() != Code::not_found) return known;
  oci::Reference reference = TRY(oci::Reference::parse(name));
  if (!context.offline && !leads_to_registry(reference, registry_host_of(context)))
    return Error(Code::not_found, "the base image '{}' ({}) is not on this machine, and its name leads to no registry",
                 printable(name), digest.string())
        .hint("bring it (`kist load`), or `kist lock --upgrade` to take what has this name now");
  reference.digest = digest;
  const oci::Platform parsed = TRY(oci::Platform::parse(platform));
  return pull(context, std::move(reference), parsed);
}

std::string path_of(const oci::ImageConfig& config) {
  for (const std::string& variable : config.run.env)
    if (variable.starts_with("PATH=")) return variable.substr(5);
  return {};
}

Error no_python(Error error, const std::string& name, bool is_named) {
  const std::string frame = fmt::format("the base image '{}' has no Python that can be used", printable(name));
  const std::string bring = "bring one, `interpreter = { url = …, sha256 = … }`, or let kist make the base, "
                            "`base = \"debian:trixie\"`";
  return std::move(error).context(frame).hint(
      is_named ? "leave `interpreter` out to take the one on its PATH; " + bring
               : "name one that is elsewhere in it, `interpreter = \"/opt/conda/bin/python\"` under [environment] in "
                 "kist.toml; " + bring);
}

Result<void> check_wanted(const environment::ImagePython& python, const std::string& name,
                          const python::Inputs& inputs) {
  auto good = environment::check_python(python.version, inputs);
  if (good) return {};
  if (good.error().code() != Code::unsupported) return good;
  return std::move(good).error()
      .context(fmt::format("'{}' of the base image '{}'", python.program, printable(name)))
      .hint("name an image with such a Python as `base`, or leave `base` out and kist chooses one");
}

Result<void> check_request(const BaseImageRequest& request) {
  const std::vector<std::string>& system = request.inputs.system;
  if (system.empty()) return {};
  return Error(Code::unsupported, "Debian packages ({}) cannot be installed over an image: base '{}'",
               printable(fmt::format("{}", fmt::join(system, ", "))), printable(request.inputs.settings.base))
      .hint("take an image that has them, or `base = \"debian:trixie\"`");
}

// What the environment stands on, by the image's files alone.
Result<environment::ChosenImage> examine(const Context& context, const BaseImageRequest& request,
                                         const Image& image) {
  const std::string& name = request.inputs.settings.base;
  environment::ChosenImage chosen{
      .base = name, .locked = {.digest = image.digest, .python = {}, .libc = {}}, .python = {}};
  const store::Tree tree = TRY(context.store.tree(image.tree));
  const environment::ReadEntry read = [&](const store::Entry& entry) { return context.store.read_object(entry); };
  if (request.inputs.settings.interpreter_for(request.platform) != nullptr) {
    chosen.locked.libc =
        TRY(environment::find_image_libc(tree, read, request.platform), "base image '{}'", printable(name));
    if (chosen.locked.libc.starts_with("glibc")) return chosen;
    return Error(Code::unsupported, "the interpreter of kist.toml needs glibc, the base image '{}' has {}",
                 printable(name), chosen.locked.libc)
        .hint("leave `interpreter` out to take the image's own Python");
  }
  const std::string& named = request.inputs.settings.image_python;
  auto found = environment::find_image_python({.tree = tree,
                                               .read = read,
                                               .platform = request.platform,
                                               .path = path_of(image.config),
                                               .named = named,
                                               .wanted = request.inputs.python});
  if (!found) {
    const Code code = found.error().code();
    const bool is_about_python = code == Code::not_found || code == Code::unsupported || code == Code::invalid;
    return is_about_python ? no_python(std::move(found).error(), name, !named.empty()) : std::move(found).error();
  }
  TRY(check_wanted(*found, name, request.inputs));
  chosen.python = found->version;
  chosen.locked.python = found->program;
  chosen.locked.libc = found->libc;
  return chosen;
}

}  // namespace

Result<std::optional<environment::ChosenImage>> choose_base_image(const Context& context,
                                                                  const BaseImageRequest& request) {
  const std::string& name = request.inputs.settings.base;
  if (!python::is_image_base(name)) return std::optional<environment::ChosenImage>();
  TRY(check_request(request));
  const oci::Platform platform = TRY(oci::Platform::parse(request.platform));
  const auto kept = kept_digest(request);
  const Image image = TRY(kept ? image_by_digest(context, name, *kept, request.platform)
                               : Lookup(context, name, platform).run(request.upgrade));
  if (!is_for(image, platform))
    return Error(Code::unsupported, "the base image '{}' is for {}, want {}", printable(name),
                 image.config.platform.string(), request.platform)
        .hint("name an image, or the digest of an index, that has one for this platform");
  environment::ChosenImage chosen = TRY(examine(context, request, image));
  return std::optional(std::move(chosen));
}

Result<std::optional<Image>> bring_base_image(const Context& context, const python::Lock& lock) {
  if (!lock.kist || !lock.kist->image) return std::optional<Image>();
  Image image = TRY(image_by_digest(context, lock.kist->base, lock.kist->image->digest, lock.kist->platform));
  return std::optional(std::move(image));
}

namespace {

// Over the same image for this machine.
std::optional<python::Lock> compiler_lock(const python::Lock& lock, const std::string& lock_folder) {
  if (!lock.kist || !lock.kist->image || lock.kist->platform == environment::host_platform()) return std::nullopt;
  auto own = environment::lock_of_this_machine(lock, lock_folder);
  const bool is_same = own && own->kist->image && own->kist->base == lock.kist->base;
  return is_same ? std::move(own) : std::nullopt;
}

}  // namespace

Result<void> bring_compiler_image(const Context& context, const python::Lock& lock, const std::string& lock_folder) {
  const auto own = compiler_lock(lock, lock_folder);
  if (!own) return {};
  const auto known = TRY(context.store.find(environment::image_base_name(*own->kist->image)));
  if (known && context.store.tree(*known).has_value()) return {};
  const auto brought = bring_base_image(context, *own);
  return brought || brought.error().code() == Code::not_found ? Result<void>() : brought.error();
}

Result<void> warn_of_missing(const Context& context, const environment::ChosenImage& image,
                             const std::vector<std::string>& libraries) {
  const Image found = TRY(environment::locked_image(context, image.base, image.locked));
  const store::Tree tree = TRY(context.store.tree(found.tree));
  for (const std::string& library : libraries) {
    const auto& entries = tree.entries();
    const bool is_there = std::any_of(entries.begin(), entries.end(), [&](const store::Entry& entry) {
      return os::name_of(entry.path) == library;
    });
    if (!is_there)
      context.progress.warn(fmt::format(
          "the interpreter needs {}, which neither it nor the base image '{}' brings: what uses it will not work",
          printable(library), printable(image.base)));
  }
  return {};
}

Result<void> copy_base_image(const Context& from, const Context& to, const python::Lock& lock) {
  const auto found = TRY(bring_base_image(from, lock));
  if (!found) return {};
  images::NewImage image;
  image.manifest_bytes = found->manifest_bytes;
  image.config_bytes = found->config_bytes;
  std::vector<images::LayerSource> layers;
  for (const images::Layer& layer : found->layers)
    layers.push_back({.claim = {layer.digest, layer.size_bytes, layer.diff_id},
                      .title = layer.digest.hex().substr(0, 12),
                      .open = [&from, layer]() -> Result<archive::Source> {
                        return archive::turn_around([&from, layer](const auto& output) {
                          return images::write_blob(from.store, layer, output);
                        });
                      }});
  TRY(images::take_image(intake_for(to), std::move(image), std::move(layers)));
  return {};
}

Result<void> copy_compiler_image(const Context& from, const Context& to, const python::Lock& lock,
                                 const std::string& lock_folder) {
  const auto own = compiler_lock(lock, lock_folder);
  return own ? copy_base_image(from, to, *own) : Result<void>();
}

std::vector<std::string> pins_of(const Image& image) {
  std::vector<std::string> out = {image.tree.string()};
  for (const images::Layer& layer : image.layers) {
    out.push_back(layer.tree.string());
    out.push_back(layer.blob.string());
  }
  return out;
}

}  // namespace kist::engine
