// kist du
#include <algorithm>

#include "base/text.h"
#include "images/image_store.h"
#include "launch/ready.h"
#include "store/usage.h"
#include "verbs/json.h"
#include "verbs/machine_verbs.h"

namespace kist::verbs {
namespace {

// "<key>/<environment>" as a person knows it: the project's folder, from its ready file.
std::string environment_title(const environment::Context& context, const std::string& item) {
  const std::string path =
      os::join(context.store.home(), fmt::format("projects/{}.ready", item));
  const auto text = os::read_file(path, 16 << 20);
  const auto ready = text ? launch::decode(*text) : Result<launch::Ready>(text.error());
  if (!ready) return item;
  if (ready->environment == "default") return ready->project;
  return fmt::format("{} ({})", ready->project, ready->environment);
}

boost::json::object usage_json(const store::Usage& usage, const std::string& title) {
  return {{"name", json_text(title)},
          {"files", usage.files},
          {"apparent_bytes", usage.apparent_bytes},
          {"unique_bytes", usage.unique_bytes},
          {"shared_bytes", usage.shared_bytes}};
}

// What each image shows, and what is kept of its layers so that they can be given away again.
Result<std::vector<store::UsageItem>> image_items(const environment::Context& context) {
  const std::vector<images::Image> all = TRY(images::ImageStore(context.store).list());
  std::vector<store::UsageItem> items;
  for (const images::Image& image : all) {
    store::UsageItem item;
    item.name = image.names.empty() ? image.id.string() : fmt::format("{}", fmt::join(image.names, ", "));
    item.trees.push_back(image.tree);
    for (const images::Layer& layer : image.layers) item.trees.push_back(layer.blob);
    items.push_back(std::move(item));
  }
  return items;
}

struct Measured {
  std::vector<store::Usage> environments;
  std::vector<store::Usage> images;
};

void print_json(const environment::Context& context, const Measured& measured,
                const store::StoreSize& size, cli::Terminal& terminal) {
  boost::json::array list;
  for (const store::Usage& usage : measured.environments)
    list.push_back(usage_json(usage, environment_title(context, usage.name)));
  boost::json::array image_list;
  for (const store::Usage& usage : measured.images)
    image_list.push_back(usage_json(usage, usage.name));
  terminal.line(json_line(
      boost::json::object{{"store", json_text(context.store.home())},
                          {"environments", std::move(list)},
                          {"images", std::move(image_list)},
                          {"objects", size.objects},
                          {"object_bytes", size.object_bytes},
                          {"trees", size.trees},
                          {"tree_bytes", size.tree_bytes},
                          {"roots", size.roots},
                          {"root_bytes", size.root_bytes},
                          {"other_bytes", size.other_bytes}}));
}

void print_usage(const store::Usage& usage, const std::string& title, cli::Terminal& terminal) {
  terminal.line(fmt::format("{:>10}{:>10}{:>10}  {}", human_bytes(usage.apparent_bytes),
                            human_bytes(usage.unique_bytes), human_bytes(usage.shared_bytes),
                            printable(title)));
}

void print_heading(std::string_view what, cli::Terminal& terminal) {
  terminal.line(fmt::format("{:>10}{:>10}{:>10}  {}", "apparent", "unique", "shared", what));
}

void print_text(const environment::Context& context, const Measured& measured,
                const store::StoreSize& size, cli::Terminal& terminal) {
  if (!measured.environments.empty()) print_heading("environment", terminal);
  for (const store::Usage& usage : measured.environments)
    print_usage(usage, environment_title(context, usage.name), terminal);
  if (!measured.images.empty()) print_heading("image", terminal);
  for (const store::Usage& usage : measured.images)
    print_usage(usage, usage.name, terminal);
  terminal.line(fmt::format("{} on disk: {} in {} objects, {} in {} trees, {} in {} roots, {} other",
                            human_bytes(size.object_bytes + size.tree_bytes + size.root_bytes +
                                        size.other_bytes),
                            human_bytes(size.object_bytes), size.objects,
                            human_bytes(size.tree_bytes), size.trees,
                            human_bytes(size.root_bytes), size.roots,
                            human_bytes(size.other_bytes)));
}

}  // namespace

Result<int> du_verb(const cli::Parsed& parsed, const environment::Context& context,
                    cli::Terminal& terminal) {
  const auto items = TRY(store::environment_items(context.store));
  const auto images_items = TRY(image_items(context));
  Measured measured;
  measured.environments = TRY(store::measure_usage(context.store, items));
  measured.images = TRY(store::measure_usage(context.store, images_items));
  for (auto* list : {&measured.environments, &measured.images})
    std::stable_sort(list->begin(), list->end(), [](const store::Usage& a, const store::Usage& b) {
      return a.apparent_bytes > b.apparent_bytes;
    });
  const store::StoreSize size = TRY(store::measure_store(context.store));
  if (parsed.has("--json"))
    print_json(context, measured, size, terminal);
  else
    print_text(context, measured, size, terminal);
  return 0;
}

}  // namespace kist::verbs
