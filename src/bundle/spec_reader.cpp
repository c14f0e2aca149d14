#include "bundle/spec_reader.h"

#include <sys/mount.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "bundle/json_value.h"
#include "bundle/spec_parts.h"
#include "bundle/spec_words.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

void read_user(const Value& json, User& user) {
  json["uid"].to(user.uid);
  json["gid"].to(user.gid);
  json["umask"].to(user.umask);
  json["additionalGids"].each([&](const Value& item) {
    uint32_t gid = 0;
    item.to(gid);
    user.additional_gids.push_back(gid);
  });
  constexpr size_t kMaxGroups = 65536;  // The kernel's.
  if (user.additional_gids.size() > kMaxGroups)
    json["additionalGids"].wrong("more than {} groups", kMaxGroups);
}

void read_capability_set(const Value& json, uint64_t& set, std::vector<std::string>& unknown) {
  json.each([&](const Value& item) {
    std::string name;
    item.to(name);
    if (const auto number = capability_number(name))
      set |= uint64_t{1} << *number;
    else
      unknown.push_back(std::move(name));
  });
}

void read_capabilities(const Value& json, std::optional<Capabilities>& out) {
  if (!json.present()) return;
  Capabilities& sets = out.emplace();
  read_capability_set(json["bounding"], sets.bounding, sets.unknown);
  read_capability_set(json["effective"], sets.effective, sets.unknown);
  read_capability_set(json["inheritable"], sets.inheritable, sets.unknown);
  read_capability_set(json["permitted"], sets.permitted, sets.unknown);
  read_capability_set(json["ambient"], sets.ambient, sets.unknown);
  std::sort(sets.unknown.begin(), sets.unknown.end());
  sets.unknown.erase(std::unique(sets.unknown.begin(), sets.unknown.end()), sets.unknown.end());
}

void read_rlimits(const Value& json, std::vector<Rlimit>& out) {
  json.each([&](const Value& item) {
    Rlimit limit;
    limit.resource = static_cast<int>(read_word(item["type"], rlimit_words(), "a resource limit"));
    item["soft"].to(limit.soft);
    item["hard"].to(limit.hard);
    for (const Rlimit& other : out)
      if (other.resource == limit.resource) item["type"].wrong("is there twice");
    if (limit.soft > limit.hard)
      item["soft"].wrong("{} is above the hard limit {}", limit.soft, limit.hard);
    out.push_back(limit);
  });
}

void read_scheduler(const Value& json, std::optional<Scheduler>& out) {
  if (!json.present()) return;
  Scheduler& scheduler = out.emplace();
  scheduler.policy = static_cast<uint32_t>(
      read_word(json["policy"], scheduler_policy_words(), "a scheduling policy"));
  json["nice"].to(scheduler.nice);
  int32_t priority = 0;
  json["priority"].to(priority);
  scheduler.priority = static_cast<uint32_t>(priority);
  json["flags"].each([&](const Value& item) {
    scheduler.flags |= read_word(item, scheduler_flag_words(), "a scheduling flag");
  });
  json["runtime"].to(scheduler.runtime_ns);
  json["deadline"].to(scheduler.deadline_ns);
  json["period"].to(scheduler.period_ns);
  constexpr int kLowest = -20;
  constexpr int kHighest = 19;
  if (scheduler.nice < kLowest || scheduler.nice > kHighest)
    json["nice"].wrong("want an integer from {} to {}, got {}", kLowest, kHighest, scheduler.nice);
}

void read_io_priority(const Value& json, std::optional<IoPriority>& out) {
  if (!json.present()) return;
  IoPriority& priority = out.emplace();
  priority.io_class =
      static_cast<uint32_t>(read_word(json["class"], io_class_words(), "a class of io priority"));
  json["priority"].to(priority.level);
  constexpr uint32_t kHighest = 7;
  if (priority.level > kHighest)
    json["priority"].wrong("want an integer from 0 to {}, got {}", kHighest, priority.level);
}

void read_process_fields(const Value& json, Process& process) {
  json["terminal"].to(process.terminal);
  json["consoleSize"]["height"].to(process.console_rows);
  json["consoleSize"]["width"].to(process.console_columns);
  json["cwd"].to(process.cwd);
  if (process.cwd.empty() || process.cwd[0] != '/')
    json["cwd"].wrong("want an absolute path, got {}", json["cwd"].shown());
  json["args"].to(process.args);
  if (process.args.empty() || process.args[0].empty())
    json["args"].wrong("want at least the name of a program");
  json["env"].to(process.env);
  read_user(json["user"], process.user);
  read_capabilities(json["capabilities"], process.capabilities);
  read_rlimits(json["rlimits"], process.rlimits);
  json["noNewPrivileges"].to(process.no_new_privileges);
  json["apparmorProfile"].to(process.apparmor_profile);
  json["selinuxLabel"].to(process.selinux_label);
  json["oomScoreAdj"].to(process.oom_score_adj);
  constexpr int kMost = 1000;
  if (process.oom_score_adj && std::abs(*process.oom_score_adj) > kMost)
    json["oomScoreAdj"].wrong("want an integer from -1000 to 1000, got {}", *process.oom_score_adj);
  read_scheduler(json["scheduler"], process.scheduler);
  read_io_priority(json["ioPriority"], process.io_priority);
}

void read_mounts(const Value& json, std::vector<Mount>& out) {
  constexpr size_t kMaxMounts = 4096;
  json.each([&](const Value& item) {
    Mount mount;
    item["destination"].to(mount.destination);
    if (mount.destination.empty())
      item["destination"].wrong("want an absolute path, got {}", item["destination"].shown());
    // Relative ones are deprecated, and read from the root.
    if (!mount.destination.starts_with('/')) mount.destination.insert(0, "/");
    item["type"].to(mount.type);
    item["source"].to(mount.source);
    item["options"].each([&](const Value& option) {
      std::string text;
      option.to(text);
      add_mount_option(text, mount.options);
    });
    mount.options.bind |= mount.type == "bind";
    read_id_maps(item["uidMappings"], mount.uid_maps);
    read_id_maps(item["gidMappings"], mount.gid_maps);
    if (mount.uid_maps.empty() != mount.gid_maps.empty())
      item.wrong("uidMappings and gidMappings go together");
    mount.options.id_map |= !mount.uid_maps.empty();
    if (mount.options.id_map && !mount.options.bind)
      item.wrong("only a bind mount can have id mappings");
    if (mount.options.bind && mount.source.empty() && !mount.options.remount)
      item["source"].wrong("a bind mount needs one");
    out.push_back(std::move(mount));
    if (out.size() > kMaxMounts) item.wrong("more than {} mounts", kMaxMounts);
  });
}

void read_hook_list(const Value& json, std::vector<Hook>& out) {
  json.each([&](const Value& item) {
    Hook hook;
    item["path"].to(hook.path);
    if (!hook.path.starts_with('/'))
      item["path"].wrong("want an absolute path, got {}", item["path"].shown());
    item["args"].to(hook.args);
    item["env"].to(hook.env);
    std::optional<int> timeout;
    item["timeout"].to(timeout);
    if (timeout && *timeout <= 0)
      item["timeout"].wrong("want a positive number of seconds, got {}", *timeout);
    hook.timeout_s = timeout.value_or(0);
    out.push_back(std::move(hook));
  });
}

void read_hooks(const Value& json, Hooks& hooks) {
  read_hook_list(json["prestart"], hooks.prestart);
  read_hook_list(json["createRuntime"], hooks.create_runtime);
  read_hook_list(json["createContainer"], hooks.create_container);
  read_hook_list(json["startContainer"], hooks.start_container);
  read_hook_list(json["poststart"], hooks.poststart);
  read_hook_list(json["poststop"], hooks.poststop);
}

// Major version 1 is what we know; a newer minor version adds fields, which may be ignored.
void read_version(const Value& json, std::string& version) {
  json.to(version);
  const auto parts = split(version, '.');
  if (version.empty()) return json.wrong("is missing; want a version such as \"1.2.0\"");
  const bool numbers = parts.size() >= 3 && parse_number(parts[0]) && parse_number(parts[1]) &&
                       !parts[2].empty() && std::isdigit(static_cast<unsigned char>(parts[2][0]));
  if (!numbers) return json.wrong("want a version such as \"1.2.0\", got {}", json.shown());
  if (parse_number(parts[0]) != 1) json.refuse(Code::unsupported, "only version 1 is supported");
}

void read_root(const Value& json, Spec& spec) {
  if (!json.present()) return json.wrong("is missing");
  json["path"].to(spec.root_path);
  if (spec.root_path.empty()) json["path"].wrong("is missing");
  json["readonly"].to(spec.root_read_only);
}

}  // namespace

uint64_t read_word(const Value& json, std::span<const Word> words, std::string_view kind) {
  std::string name;
  json.to(name);
  if (const auto number = number_of(words, name)) return *number;
  std::vector<std::string> names;
  for (const Word& word : words) names.emplace_back(word.name);
  const auto near = nearest(name, names);
  json.wrong("{} is not {}{}", json.shown(), kind,
             near ? fmt::format("; did you mean \"{}\"?", *near) : std::string());
  return 0;
}

void read_id_maps(const Value& json, std::vector<IdMap>& out) {
  constexpr size_t kMaxRanges = 340;  // The kernel's.
  json.each([&](const Value& item) {
    IdMap map;
    item["containerID"].to(map.inside);
    item["hostID"].to(map.outside);
    item["size"].to(map.size);
    constexpr uint64_t kEnd = uint64_t{1} << 32;
    if (map.size == 0) item["size"].wrong("want at least 1");
    if (uint64_t{map.inside} + map.size > kEnd || uint64_t{map.outside} + map.size > kEnd)
      item["size"].wrong("{} goes beyond the last id", map.size);
    for (const IdMap& other : out)
      if (uint64_t{map.inside} < uint64_t{other.inside} + other.size &&
          uint64_t{other.inside} < uint64_t{map.inside} + map.size)
        item.wrong("overlaps another range of the container's ids");
    out.push_back(map);
  });
  if (out.size() > kMaxRanges) json.wrong("more than {} ranges", kMaxRanges);
}

std::optional<int> capability_number(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (!upper.starts_with("CAP_")) upper.insert(0, "CAP_");
  const auto number = number_of(capability_words(), upper);
  return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

Result<Spec> read_spec(std::string_view bytes) {
  if (bytes.size() > kMaxConfigBytes)
    return Error(Code::invalid, "larger than {} bytes", kMaxConfigBytes);
  Document document(bytes);
  const Value json = document.root();
  Spec spec;
  read_version(json["ociVersion"], spec.version);
  read_root(json["root"], spec);
  json["hostname"].to(spec.hostname);
  json["domainname"].to(spec.domainname);
  if (json["process"].present()) read_process_fields(json["process"], spec.process.emplace());
  read_mounts(json["mounts"], spec.mounts);
  read_hooks(json["hooks"], spec.hooks);
  json["annotations"].members([&](std::string_view name, const Value& value) {
    if (name.empty()) value.wrong("an annotation needs a name");
    value.to(spec.annotations[std::string(name)]);
  });
  read_linux(json["linux"], spec);
  if (json["vm"].present())
    json["vm"].refuse(Code::unsupported, "virtual machines are not supported");
  if (document.error()) return *document.error();
  return spec;
}

Result<Spec> read_spec_file(const std::string& path) {
  const auto bytes = os::read_file(path, kMaxConfigBytes);
  if (!bytes) return Error(bytes.error()).context("reading the container's configuration");
  return TRY(read_spec(*bytes), "'{}'", printable(path));
}

Result<Process> read_process(std::string_view bytes) {
  if (bytes.size() > kMaxConfigBytes)
    return Error(Code::invalid, "larger than {} bytes", kMaxConfigBytes);
  Document document(bytes);
  Process process;
  read_process_fields(document.root(), process);
  if (document.error()) return *document.error();
  return process;
}

Result<Resources> read_resources(std::string_view bytes) {
  if (bytes.size() > kMaxConfigBytes)
    return Error(Code::invalid, "larger than {} bytes", kMaxConfigBytes);
  Document document(bytes);
  Resources resources;
  read_resource_fields(document.root(), resources);
  if (document.error()) return *document.error();
  return resources;
}

}  // namespace kist::bundle
