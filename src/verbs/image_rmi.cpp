// kist rmi [-f] IMAGE…
#include <algorithm>
#include <set>

#include "base/text.h"
#include "images/users.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {
namespace {

using images::Image;

// The name that was asked by; empty when it was an id or a digest.
std::string asked_name(const Image& image, const std::string& text) {
  const std::string name = launch::image_name(text);
  for (const std::string& candidate : {name, "localhost/" + name})
    if (std::find(image.names.begin(), image.names.end(), candidate) != image.names.end())
      return candidate;
  return "";
}

Error conflict(const Image& image, std::string_view why) {
  return Error(Code::exists, "conflict: unable to delete {} (must be forced) - {}",
               short_id(image.id), why)
      .hint(fmt::format("`kist rmi --force {}`", short_id(image.id)));
}

size_t count_repositories(const Image& image) {
  std::set<std::string> repositories;
  for (const std::string& name : image.names) repositories.insert(name.substr(0, name.rfind(':')));
  return repositories.size();
}

Result<void> check_free(const Image& image, const environment::Context& context) {
  const std::vector<std::string> users = TRY(images::containers_using(context.store, image.tree));
  if (users.empty()) return {};
  return conflict(image, fmt::format("container {} is using it", printable(users[0].substr(0, 12))));
}

Result<void> remove_one(const std::string& text, bool is_forced,
                        const environment::Context& context, cli::Terminal& terminal) {
  const images::ImageStore store(context.store);
  const Image image = TRY(store.find(text));
  const std::string name = asked_name(image, text);
  if (!name.empty() && image.names.size() > 1) {
    TRY(store.untag(name));
    note_image(context, "untag", image.id, name);
    terminal.line("Untagged: " + name);
    return {};
  }
  if (name.empty() && count_repositories(image) > 1 && !is_forced)
    return conflict(image, "image is referenced in multiple repositories");
  if (!is_forced) TRY(check_free(image, context));
  const std::vector<std::string> removed = TRY(store.remove(image));
  for (const std::string& gone : image.names) terminal.line("Untagged: " + gone);
  note_image(context, "delete", image.id, name);
  for (const std::string& digest : removed) terminal.line("Deleted: " + digest);
  return {};
}

// By id, so that an image goes with all its names.
Result<std::vector<std::string>> all_unused(const environment::Context& context) {
  const std::vector<Image> all = TRY(images::ImageStore(context.store).list());
  std::vector<std::string> out;
  for (const Image& image : all) {
    const auto users = TRY(images::containers_using(context.store, image.tree));
    if (users.empty()) out.push_back(image.id.string());
  }
  return out;
}

}  // namespace

// As docker: goes on after one that failed, and says so with its exit status.
Result<int> rmi_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal) {
  std::vector<std::string> asked = parsed.positionals();
  if (parsed.has("--all") == !asked.empty())
    return Error(Code::invalid, "{}", asked.empty() ? "kist rmi needs IMAGE…" : "--all takes no IMAGE").hint("`kist rmi --help`");
  if (parsed.has("--all")) asked = TRY(all_unused(context));
  bool has_failed = false;
  for (const std::string& text : asked) {
    const auto removed = remove_one(text, parsed.has("--force") || parsed.has("--all"), context, terminal);
    if (removed) continue;
    // Nothing there is what --force asked for.
    if (parsed.has("--force") && removed.error().code() == Code::not_found) continue;
    terminal.error(removed.error());
    has_failed = true;
  }
  return has_failed ? 1 : 0;
}

}  // namespace kist::verbs
