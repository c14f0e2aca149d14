#include "engine/build_image.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include "base/text.h"
#include "engine/application.h"
#include "engine/base_image.h"
#include "engine/credentials.h"
#include "engine/edit_backup.h"
#include "engine/image_base.h"
#include "engine/image_config.h"
#include "engine/image_layers.h"
#include "engine/keep_finished.h"
#include "engine/lock.h"
#include "environment/bytecode_application.h"
#include "environment/bytecode_part.h"
#include "environment/bytecode_piece.h"
#include "environment/foreign_compiler.h"
#include "environment/image_base.h"
#include "environment/platform.h"
#include "environment/root_variant.h"
#include "images/built_layer.h"
#include "images/intake.h"
#include "images/layer_entries.h"
#include "images/stack.h"
#include "store/tree_links.h"

namespace kist::engine {
namespace {

using environment::Context;
using environment::NamedTree;

constexpr std::string_view kPhase = "writing layers";
constexpr const char* kDevelopment = "dev";
constexpr size_t kMostLayers = 127;  // As docker.

struct Work {
  const Context& context;
  const BuildRequest& request;
  Project project;
  python::Inputs inputs;
  python::Lock lock;
  std::string lock_text;
  std::optional<images::Image> base;  // When the base is an image.
  store::Transaction& tx;

  ImageForm form() const {
    if (request.is_development) return ImageForm::development;
    return inputs.project.image.is_minimal ? ImageForm::minimal : ImageForm::production;
  }
  ReadObject reader() const {
    return [this](const store::Entry& entry) { return context.store.read_object(entry); };
  }
};

Result<python::Lock> lock_of(const Context& context, const BuildRequest& request, Project& project,
                             const python::Inputs& inputs, store::Transaction& tx) {
  if (!request.project.frozen) {
    LockOutcome outcome = TRY(ensure_lock(
        context, project, inputs, {.platform = request.platform, .only_check = request.project.locked}, tx));
    return std::move(outcome.lock);
  }
  learn_credentials(context, project, inputs);
  choose_platform(project, request.platform);
  auto found = TRY(read_lock(project, context.progress));
  if (found) return std::move(*found);
  return Error(Code::not_found, "--frozen: there is no lock '{}'", printable(project.lock_path))
      .hint(request.platform.empty() || request.platform == environment::host_platform()
                ? "`kist lock`"
                : fmt::format("`kist lock --platform {}`", printable(request.platform)));
}

// An image has no folder of this machine to read from: what is editable here is installed there.
python::Lock installed(python::Lock lock) {
  for (python::LockedPackage& package : lock.packages)
    if (package.directory) package.directory->editable = false;
  return lock;
}

// The environment's parts, each package with its byte-code, and the standard library's as the last one.
Result<std::vector<NamedTree>> parts_of(const Work& work, const python::Lock& lock,
                                        environment::Completed& completed) {
  const std::string folder = os::parent_of(work.project.lock_path);
  environment::Environment environment =
      TRY(environment::assemble(work.context, lock, folder, work.tx));
  completed = TRY(environment::complete_environment(work.context, lock, folder, environment, work.tx));
  std::vector<NamedTree> parts = std::move(environment.parts);
  if (parts.empty()) parts = TRY(environment::parts_of(work.context, lock, folder, work.tx));
  const store::Tree tree = TRY(work.context.store.tree(completed.tree));
  store::Tree bytecode = TRY(environment::share_out_bytecode(tree, parts, is_package_part));
  if (!bytecode.empty()) parts.push_back({std::string(kBytecodePart), std::move(bytecode)});
  return parts;
}

Result<store::Tree> without_left_out(const store::Tree& tree, ImageForm form) {
  std::vector<store::Entry> entries = tree.entries();
  std::erase_if(entries, [&](const store::Entry& entry) { return is_left_out(entry.path, form); });
  return store::Tree::make(std::move(entries));
}

Result<std::vector<NamedTree>> image_parts(const Work& work, std::vector<NamedTree> parts) {
  std::vector<NamedTree> out;
  for (NamedTree& part : parts) {
    if (part.name == kInterpreterPart || part.name == kBytecodePart)
      part.tree = TRY(without_left_out(part.tree, work.form()));
    if (part.name != kBasePart) {
      out.push_back(std::move(part));
      continue;
    }
    if (work.base) continue;  // Its layers lie below as they are.
    DebianParts debian =
        TRY(split_debian(part.tree, *work.lock.kist, work.form(), work.reader(), work.tx));
    out.push_back({std::string(kBasePart), std::move(debian.base)});
    if (!debian.interpreter.empty())
      out.push_back({std::string(kInterpreterPart), std::move(debian.interpreter)});
    out.push_back({std::string(kDebianPart), std::move(debian.debian)});
  }
  return out;
}

Result<store::Tree> merged(std::span<const NamedTree> parts) {
  std::vector<store::Part> views;
  for (const NamedTree& part : parts) views.push_back({part.name, &part.tree});
  return store::merge(views);
}

Result<store::Tree> application_of(const Work& work, const environment::Completed& environment) {
  const store::Tree files = TRY(application_tree(
      work.context, {.folder = work.project.folder,
                     .include = work.inputs.project.image.include,
                     .left_out = work.request.left_out}, work.tx));
  if (!environment.has_bytecode) return files;
  const python::Target target = TRY(environment::target_of(work.lock));
  std::vector<NamedTree> parts;
  store::Tree bytecode = TRY(environment::application_bytecode(
      work.context, {.lock = work.lock, .target = target, .compiler = environment.compiler}, files, work.tx));
  parts.push_back({"the application", files});
  parts.push_back({"its byte-code", std::move(bytecode)});
  return merged(parts);
}

// Byte-code that the base image has itself stays as it is there.
Result<void> leave_out_known(const store::Tree& base, std::vector<NamedTree>& parts) {
  for (NamedTree& part : parts) {
    if (part.name != kBytecodePart) continue;
    std::vector<store::Entry> entries = part.tree.entries();
    std::erase_if(entries, [&](const store::Entry& entry) {
      return entry.kind == store::Kind::file && base.find(entry.path) != nullptr;
    });
    part.tree = TRY(store::Tree::make(std::move(entries)));
  }
  std::erase_if(parts, [](const NamedTree& part) {
    const auto& entries = part.tree.entries();
    return part.name == kBytecodePart && std::all_of(entries.begin(), entries.end(), [](const store::Entry& entry) {
             return entry.kind == store::Kind::folder;
           });
  });
  return {};
}

// Hides the /opt/kist of an image that has one, as those have that kist built.
Result<LayerTree> hiding_layer(const store::Tree& base, store::Transaction& tx) {
  store::TreeBuilder builder(tx);
  builder.folder("opt", base.find("opt")->mode);
  TRY(builder.file(fmt::format("opt/kist/{}", images::kOpaque), 0644, ""));
  store::Tree tree = TRY(std::move(builder).finish());
  return LayerTree{.name = "no other environment", .tree = std::move(tree), .may_hide = true};
}

struct Stack {
  std::vector<LayerTree> layers;  // Bottom first; above those of a base image.
  store::Tree tree;               // All of them on top of each other.
  oci::ImageConfig config;
};

Result<Stack> stack_of(const Work& work) {
  Stack stack;
  const python::Lock lock = installed(work.lock);
  environment::Completed completed;
  std::vector<NamedTree> parts = TRY(parts_of(work, lock, completed));
  store::Tree application = TRY(application_of(work, completed));
  parts = TRY(image_parts(work, std::move(parts)));
  store::Tree base;
  if (work.base) {
    base = TRY(work.context.store.tree(work.base->tree));
    TRY(leave_out_known(base, parts));
  }
  stack.layers = TRY(layers_of(parts, lock));
  stack.tree = TRY(merged(parts), "assembling the image");
  if (work.base && environment::has_environment(base)) {
    LayerTree hiding = TRY(hiding_layer(base, work.tx));
    base = TRY(images::lay_over(base, hiding.tree));
    stack.layers.insert(stack.layers.begin(), std::move(hiding));
  }
  if (work.base) stack.tree = TRY(images::lay_over(base, stack.tree));
  ConfigRequest request{.inputs = work.inputs,
                              .lock = work.lock,
                              .lock_text = work.lock_text,
                              .is_development = work.request.is_development,
                              .base = work.base ? &*work.base : nullptr,
                              .labels = work.request.labels,
                              .variables = work.context.host.variables};
  if (store::follow(stack.tree, "bin/bash") == nullptr) request.shell = "/bin/sh";
  stack.config = TRY(image_config(request));
  store::Tree metadata = TRY(metadata_tree(request, stack.tree, work.reader(), work.tx));
  stack.layers.push_back({.name = "application", .tree = std::move(application)});
  stack.layers.push_back({.name = "metadata", .tree = std::move(metadata)});
  for (size_t i = stack.layers.size() - 2; i < stack.layers.size(); ++i)
    stack.tree = TRY(images::lay_over(stack.tree, stack.layers[i].tree));
  return stack;
}

// Largest first, so that no core ends with a long one alone.
Result<std::vector<images::Layer>> write_layers(const Work& work, const Stack& stack, BuiltLayers& out) {
  std::vector<size_t> order(stack.layers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return stack.layers[a].tree.size_bytes() > stack.layers[b].tree.size_bytes();
  });
  std::vector<std::optional<images::Layer>> layers(stack.layers.size());
  std::atomic<size_t> known = 0;
  std::atomic<uint64_t> written = 0;
  Progress& progress = work.context.progress;
  progress.begin(kPhase, order.size(), 0);
  const auto build = [&](size_t n) -> Result<void> {
    const size_t i = order[n];
    const images::BuiltLayer built =
        TRY(images::build_layer(work.context.store, work.tx, stack.layers[i].tree, work.request.compression,
                                stack.layers[i].may_hide),
            "layer {}", stack.layers[i].name);
    layers[i] = built.layer;
    if (built.was_known) ++known;
    else written += built.layer.tar_bytes;
    progress.advance(kPhase, 1, 0);
    return {};
  };
  TRY(work.context.workers.for_each(order.size(), build));
  out.known = known;
  out.written_bytes = written;
  progress.end(kPhase, fmt::format("{} layers, {} of them new ({})", order.size(), order.size() - known,
                                   human_bytes(written)));
  std::vector<images::Layer> all;
  for (const auto& layer : layers) all.push_back(*layer);
  return all;
}

// The base's own layers first, as they are.
Result<void> add_base_layers(const images::Image& base, Stack& stack, std::vector<images::Layer>& layers,
                             BuiltLayers& out) {
  if (base.layers.size() + layers.size() > kMostLayers)
    return Error(Code::unsupported, "the image would have {} layers, {} of them the base image's, want at most {}",
                 base.layers.size() + layers.size(), base.layers.size(), kMostLayers)
        .hint("take a base image with fewer layers");
  layers.insert(layers.begin(), base.layers.begin(), base.layers.end());
  stack.config.history = base.config.history;
  for (size_t i = 0; i < base.layers.size(); ++i) {
    stack.config.diff_ids.push_back(base.layers[i].diff_id);
    out.names.push_back(fmt::format("base image/{}", i + 1));
  }
  out.known += base.layers.size();
  return {};
}

Result<images::NewImage> image_of(const Work& work, BuiltLayers& out) {
  Stack stack = TRY(stack_of(work));
  images::NewImage image;
  image.layers = TRY(write_layers(work, stack, out));
  if (work.base) TRY(add_base_layers(*work.base, stack, image.layers, out));
  const size_t below = work.base ? work.base->layers.size() : 0;
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    stack.config.diff_ids.push_back(image.layers[below + i].diff_id);
    stack.config.history.push_back({.created = stack.config.created,
                                    .created_by = "kist build: " + stack.layers[i].name,
                                    .author = "",
                                    .comment = "",
                                    .empty_layer = false});
    out.names.push_back(stack.layers[i].name);
  }
  image.config_bytes = oci::encode(stack.config);
  image.manifest_bytes = images::make_manifest(image.config_bytes, image.layers);
  image.names = work.request.names;
  image.has_news = out.known < image.layers.size();
  image.tree = TRY(work.tx.put_tree(stack.tree));
  return image;
}

// The project under its guard, with what it needs.
struct Opened {
  Project project;
  os::FileLock guard;
  python::Inputs inputs;
};

Result<Opened> open_environment(const Context& context, const launch::RunRequest& request) {
  Project project = TRY(locate(request, context.host));
  os::FileLock guard = TRY(guard_edits(project));
  python::Inputs inputs = TRY(read_inputs(project, request, context.host));
  return Opened{std::move(project), std::move(guard), std::move(inputs)};
}

// For development the environment of that name, if there is one and no other was asked for.
Result<Opened> open_project(const Context& context, const BuildRequest& request) {
  Opened opened = TRY(open_environment(context, request.project));
  const bool has_own = opened.inputs.project.environments.contains(kDevelopment);
  if (!request.is_development || !has_own || request.project.environment != "default") return opened;
  launch::RunRequest other = request.project;
  other.environment = kDevelopment;
  return open_environment(context, other);
}

}  // namespace

Result<BuiltImage> build_image(const Context& context, const BuildRequest& request) {
  Opened opened = TRY(open_project(context, request));
  Project& project = opened.project;
  const python::Inputs& inputs = opened.inputs;
  for (const std::string& warning : inputs.warnings) context.progress.warn(warning);
  store::Transaction tx = TRY(context.store.begin());
  python::Lock lock = TRY(keep_finished(tx, lock_of(context, request, project, inputs, tx)));
  if (!lock.kist)
    return Error(Code::invalid, "'{}' has no [tool.kist] section: kist did not write it",
                 printable(project.lock_path)).hint("`kist lock`");
  const std::string platform = lock.kist->platform;
  const std::string lock_text = python::write_lock(lock);
  auto base = TRY(bring_base_image(context, lock));
  TRY(bring_compiler_image(context, lock, os::parent_of(project.lock_path)));
  if (base && inputs.project.image.is_minimal && !request.is_development)
    return Error(Code::unsupported, "`minimal` cannot take anything out of the base image '{}'",
                 printable(lock.kist->base))
        .hint("leave `minimal` out of [image] in kist.toml, and take a base image without a shell");
  const Work work{.context = context,
                  .request = request,
                  .project = project,
                  .inputs = inputs,
                  .lock = std::move(lock),
                  .lock_text = lock_text,
                  .base = std::move(base),
                  .tx = tx};
  BuiltLayers layers;
  const images::NewImage image = TRY(keep_finished(tx, image_of(work, layers)));
  images::Image added =
      TRY(images::ImageStore(context.store).add(std::move(tx), image, environment::variant_of(context)));
  return BuiltImage{.image = std::move(added), .platform = platform, .layers = std::move(layers)};
}

}  // namespace kist::engine
