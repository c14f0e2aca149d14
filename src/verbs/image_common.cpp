#include "container_cli/verb.h"
#include "environment/root_variant.h"
#include "events/events.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {

bool is_image_verb(std::string_view name) {
  for (const char* known :
       {"images", "load", "save", "bundle", "import", "tag", "rmi", "inspect", "history", "image", "image exists"})
    if (name == known) return true;
  return false;
}

Result<int> image_verb(std::string_view name, const cli::Parsed& parsed,
                       const environment::Context& context, cli::Terminal& terminal) {
  if (name == "images") return images_verb(parsed, context, terminal);
  if (name == "load") return load_verb(parsed, context, terminal);
  if (name == "save" || name == "bundle") return save_verb(parsed, context, terminal);
  if (name == "import") return import_verb(parsed, context, terminal);
  if (name == "tag") return tag_verb(parsed, context, terminal);
  if (name == "rmi") return rmi_verb(parsed, context, terminal);
  if (name == "inspect") return inspect_verb(parsed, context, terminal);
  if (name == "image exists") return container_cli::exists_status(images::ImageStore(context.store).find(parsed.positionals()[0]));
  if (name == "history") return history_verb(parsed, context, terminal);
  return Error(Code::invalid, "kist image wants one of: ls, load, save, import, tag, rm, inspect, history, exists, pull, push, build, prune")
      .hint("`kist image ls`");
}

std::vector<std::string> without_image_word(std::vector<std::string> args) {
  if (args.size() < 2 || args[0] != "image") return args;
  const std::pair<std::string_view, std::string_view> words[] = {
      {"ls", "images"},     {"list", "images"},     {"rm", "rmi"},
      {"remove", "rmi"},    {"load", "load"},       {"save", "save"},
      {"import", "import"}, {"tag", "tag"},         {"inspect", "inspect"},
      {"history", "history"}, {"pull", "pull"},     {"push", "push"},
      {"build", "build"}};
  for (const auto& [word, verb] : words) {
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
