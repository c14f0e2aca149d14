#include "debian/alternatives.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace kist::debian {
namespace {

constexpr std::string_view kFolder = "etc/alternatives/";
constexpr std::string_view kRecords = "var/lib/dpkg/alternatives/";

struct Group {
  std::string link;
  std::map<std::string, std::string> slaves;   // Name to link; all choices share it.
  std::map<std::string, Alternative> choices;  // By target: sorted, and a second call replaces.
};

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of("/\n") == std::string_view::npos;
}

Result<AlternativeLink> parse_link(const std::vector<std::optional<std::string>>& words, size_t at) {
  if (at + 2 >= words.size() || !words[at] || !words[at + 1] || !words[at + 2])
    return Error(Code::invalid, "update-alternatives has a word that is not known");
  AlternativeLink link{*words[at + 1], *words[at], *words[at + 2]};
  if (!link.link.starts_with('/') || !link.target.starts_with('/') || !is_plain_name(link.name))
    return Error(Code::invalid, "update-alternatives has '{}' where a path or name belongs",
                 printable(link.link));
  return link;
}

const Alternative& best_of(const Group& group) {
  const Alternative* best = &group.choices.begin()->second;
  for (const auto& [target, choice] : group.choices)
    if (choice.priority > best->priority) best = &choice;
  return *best;
}

std::string record_of(const Group& group) {
  std::string out = "auto\n" + group.link + "\n";
  for (const auto& [name, link] : group.slaves) out += name + "\n" + link + "\n";
  out += "\n";
  for (const auto& [target, choice] : group.choices) {
    out += fmt::format("{}\n{}\n", target, choice.priority);
    for (const auto& [name, link] : group.slaves) {
      const auto slave = std::find_if(choice.slaves.begin(), choice.slaves.end(),
                                      [&](const AlternativeLink& s) { return s.name == name; });
      if (slave != choice.slaves.end()) out += slave->target;
      out += "\n";
    }
  }
  return out + "\n";
}

std::string without_slash(const std::string& path) { return merged_path(path.substr(1)); }

// A link, unless a package brings a file of its own there, which is then left as it is.
void add_link(const AlternativeLink& link, const RootView& root, std::set<std::string>& made,
              store::TreeBuilder& builder) {
  const std::string path = without_slash(link.link);
  const store::Entry* present = root.find_link(path);
  const std::string indirect = fmt::format("/{}{}", kFolder, link.name);
  if (present != nullptr &&
      (present->kind != store::Kind::symlink || present->target != indirect))
    return;
  if (!made.insert(link.name).second) return;
  if (present == nullptr) builder.symlink(path, indirect);
  builder.symlink(std::string(kFolder) + link.name, link.target);
}

}  // namespace

Result<std::optional<Alternative>> parse_alternative(
    const std::vector<std::optional<std::string>>& words) {
  using Answer = std::optional<Alternative>;
  size_t at = 1;
  while (at < words.size() && words[at] && words[at]->starts_with("--") &&
         *words[at] != "--install") {
    // Options that come before the action; other actions change nothing on a fresh system.
    if (*words[at] != "--quiet" && *words[at] != "--force") return Answer();
    ++at;
  }
  if (at >= words.size()) return Answer();
  if (!words[at])
    return Error(Code::invalid, "update-alternatives has a word that is not known");
  if (*words[at] != "--install") return Answer();
  Alternative alternative;
  alternative.master = TRY(parse_link(words, at + 1));
  const auto priority =
      at + 4 < words.size() && words[at + 4] ? parse_number(*words[at + 4]) : std::nullopt;
  if (!priority || *priority > 1'000'000'000)
    return Error(Code::invalid, "update-alternatives of '{}' has no priority",
                 printable(alternative.master.name));
  alternative.priority = static_cast<int>(*priority);
  for (at += 5; at < words.size(); at += 4) {
    if (words[at] != std::optional<std::string>("--slave"))
      return Error(Code::invalid, "update-alternatives of '{}' has a word that is not known",
                   printable(alternative.master.name));
    AlternativeLink slave = TRY(parse_link(words, at + 1));
    alternative.slaves.push_back(std::move(slave));
  }
  return Answer(std::move(alternative));
}

Result<void> add_alternatives(const std::vector<Alternative>& all, const RootView& root,
                              store::TreeBuilder& builder) {
  std::map<std::string, Group> groups;
  for (const Alternative& alternative : all) {
    if (!root.exists(alternative.master.target)) continue;
    Group& group = groups[alternative.master.name];
    group.link = alternative.master.link;
    for (const AlternativeLink& slave : alternative.slaves) group.slaves[slave.name] = slave.link;
    group.choices.insert_or_assign(alternative.master.target, alternative);
  }
  std::set<std::string> made;
  for (const auto& [name, group] : groups) {
    const Alternative& best = best_of(group);
    add_link({name, group.link, best.master.target}, root, made, builder);
    for (const AlternativeLink& slave : best.slaves)
      if (root.exists(slave.target))
        add_link({slave.name, group.slaves.at(slave.name), slave.target}, root, made, builder);
    TRY(builder.file(std::string(kRecords) + name, 0644, record_of(group)));
  }
  return {};
}

}  // namespace kist::debian
