#include "cli/verbs.h"
#include "environment/root_variant.h"
#include "events/events.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {

bool is_image_verb(std::string_view name) {
  for (const char* known :
       {"images", "image exists", "load", "save", "bundle", "import", "tag", "rmi", "inspect", "history", "image"})
    if (name == known) return true;
  return false;
}

Result<int> image_verb(std::string_view name, const cli::Parsed& parsed,
                       const environment::Context& context, cli::Terminal& terminal) {
  if (name == "image exists") return image_exists_verb(parsed, context);
  if (name == "images") return images_verb(parsed, context, terminal);
  if (name == "load") return load_verb(parsed, context, terminal);
  if (name == "save" || name == "bundle") return save_verb(parsed, context, terminal);
  if (name == "import") return import_verb(parsed, context, terminal);
  if (name == "tag") return tag_verb(parsed, context, terminal);
  if (name == "rmi") return rmi_verb(parsed, context, terminal);
  if (name == "inspect") return inspect_verb(parsed, context, terminal);
  if (name == "history") return history_verb(parsed, context, terminal);
  return Error(Code::invalid, "kist image wants one of: ls, load, save, import, tag, rm, inspect, history, exists, pull, push, build, prune")
      .hint("`kist image ls`");
}

Result<int> image_exists_verb(const cli::Parsed& parsed, const environment::Context& context) {
  const auto image = images::ImageStore(context.store).find(parsed.positionals().front());
  if (image) return 0;
  if (image.error().code() == Code::not_found) return 1;
  return image.error();
}

std::vector<std::string> without_image_word(std::vector<std::string> args) {
  if (args.size() < 2 || args[0] != "image") return args;
  for (const auto& [word, verb] : cli::image_words()) {
    if (args[1] != word) continue;
    args.erase(args.begin());
    args[0] = verb;
    // A container of that name is none of its business.
    if (word == "inspect") args.insert(args.begin() + 1, "--type=image");
    break;
  }
  return args;
}

images::Intake intake_of(const environment::Context& context) {
  return {.store = context.store,
          .variant = environment::variant_of(context),
          .workers = context.workers,
          .progress = context.progress};
}

void note_image(const environment::Context& context, const char* action, const oci::Digest& id, const std::string& name) {
  events::write(context.host.kist_home, {.type = "image", .action = action, .id = id.string(),
                                         .attributes = {{"name", name.empty() ? id.string() : name}}});
}

std::string short_id(const oci::Digest& digest) { return digest.hex().substr(0, 12); }

}  // namespace kist::verbs
