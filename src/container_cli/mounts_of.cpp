#include "container_cli/mounts_of.h"

#include <algorithm>

#include "base/text.h"
#include "launch/paths.h"

namespace kist::container_cli {
namespace {

using containers::MountRequest;
using containers::Volume;

bool is_propagation(std::string_view word) {
  constexpr std::string_view kWords[] = {"private", "rprivate", "slave", "rslave", "shared", "rshared"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

std::string host_folder(std::string_view path, const launch::Host& host) {
  if (path == "~") return host.home;
  if (path.starts_with("~/")) return launch::host_path(path.substr(2), host.home);
  return launch::host_path(path, host.working_dir);
}

Result<std::string> target_of(std::string_view text) {
  if (!text.starts_with('/'))
    return Error(Code::invalid, "target '{}' is not absolute", printable(text))
        .hint("write it as `SOURCE:/path/inside`");
  std::string clean = launch::clean_path(text);
  if (clean == "/") return Error(Code::invalid, "target '/' would hide the whole container");
  return clean;
}

// -v makes a folder that is not there, as docker does; it belongs to whoever calls.
Result<std::string> made_source(std::string_view text, const launch::Host& host) {
  std::string path = host_folder(text, host);
  if (!os::exists(path)) TRY(os::make_folders(path, 0755), "source '{}' does not exist", printable(path));
  return path;
}

Result<std::string> bind_source(std::string_view text, const launch::Host& host) {
  std::string path = host_folder(text, host);
  if (os::exists(path)) return path;
  return Error(Code::not_found, "source '{}' does not exist", printable(path))
      .hint(fmt::format("`mkdir -p {}`", shell_quote(path)));
}

class Planner {
 public:
  Planner(const launch::ReadyImage& image, const Here& here) : image_(image), here_(here) {}

  Result<void> take_image();
  Result<void> take_from(const std::string& text);
  Result<void> take_volume(const std::string& text);
  Result<void> take_mount(const std::string& text);
  Result<void> take_tmpfs(const std::string& text);
  MountPlan finish() && { return std::move(plan_); }
  void begin_flags() { given_.clear(); }
  void make_volumes_by(std::string driver) { volume_driver_ = std::move(driver); }

 private:
  // Over what an earlier source has for the place.
  Result<void> add(MountRequest mount, bool replaces);
  Result<void> add_volume(MountRequest mount, Volume volume);

  const launch::ReadyImage& image_;
  const Here& here_;
  MountPlan plan_;
  std::string volume_driver_ = "local";
  std::vector<std::string> given_;  // Places that flags have named.
};

Result<void> Planner::add(MountRequest mount, bool replaces) {
  if (std::find(given_.begin(), given_.end(), mount.destination) != given_.end())
    return Error(Code::invalid, "two mounts have the target '{}'", printable(mount.destination));
  if (replaces) given_.push_back(mount.destination);
  const auto same = std::find_if(plan_.mounts.begin(), plan_.mounts.end(),
                                 [&](const MountRequest& m) { return m.destination == mount.destination; });
  if (same == plan_.mounts.end()) {
    plan_.mounts.push_back(std::move(mount));
    return {};
  }
  std::erase_if(plan_.volumes, [&](const Volume& v) { return v.anonymous && v.name == same->source; });
  *same = std::move(mount);
  return {};
}

Result<void> Planner::add_volume(MountRequest mount, Volume volume) {
  mount.type = "volume";
  if (volume.name.empty()) {
    volume.name = TRY(containers::new_id());
    volume.anonymous = true;
    volume.labels["com.docker.volume.anonymous"] = "";
  }
  TRY(containers::check_volume_name(volume.name));
  mount.source = volume.name;
  TRY(add(std::move(mount), true));
  plan_.volumes.push_back(std::move(volume));
  return {};
}

Result<void> Planner::take_image() {
  for (const std::string& path : image_.volumes) {
    MountRequest mount;
    mount.destination = TRY(target_of(path), "the image's VOLUME");
    const bool twice = std::any_of(plan_.mounts.begin(), plan_.mounts.end(),
                                   [&](const MountRequest& m) { return m.destination == mount.destination; });
    if (!twice) TRY(add_volume(std::move(mount), {}));
  }
  begin_flags();
  return {};
}

// "CONTAINER[:ro|rw]"
Result<void> Planner::take_from(const std::string& text) {
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string how = colon == text.size() ? "" : text.substr(colon + 1);
  if (!how.empty() && how != "ro" && how != "rw" && how != "z")
    return Error(Code::invalid, "'{}' is neither ro nor rw", printable(how));
  const auto record = TRY(here_.record(text.substr(0, colon)));
  for (MountRequest mount : record.mounts) {
    if (mount.type == "tmpfs") continue;
    mount.read_only = mount.read_only || how == "ro";
    if (how == "rw") mount.read_only = false;
    if (mount.type == "volume") plan_.volumes.push_back({.name = mount.source});
    TRY(add(std::move(mount), false));
  }
  return {};
}

// "SOURCE:TARGET[:OPTIONS]", "VOLUME:TARGET[:OPTIONS]", "TARGET".
Result<void> Planner::take_volume(const std::string& text) {
  const auto parts = split(text, ':');
  const bool alone = parts.size() == 1;
  const std::string_view source = alone ? std::string_view() : parts[0];
  if (parts.size() > 3 || (!alone && source.empty()))
    return Error(Code::invalid, "'{}' is not SOURCE:TARGET[:ro], with TARGET an absolute path", printable(text));
  MountRequest mount;
  mount.destination = TRY(target_of(alone ? parts[0] : parts[1]));
  for (const std::string_view option : split(parts.size() == 3 ? parts[2] : "rw", ',')) {
    if (option == "ro") mount.read_only = true;
    else if (option == "nocopy") mount.no_copy = true;
    else if (is_propagation(option)) mount.propagation = option;
    else if (option != "rw" && option != "z" && option != "Z" && option != "consistent" && option != "cached" &&
             option != "delegated")
      return Error(Code::invalid, "'{}' is no option of a volume, want ro, rw, nocopy, rslave, rshared or rprivate",
                   printable(option));
  }
  if (alone || (source[0] != '/' && source[0] != '.' && source[0] != '~'))
    return add_volume(std::move(mount), {.name = std::string(source), .driver = volume_driver_});
  mount.type = "bind";
  mount.source = TRY(made_source(source, here_.host));
  return add(std::move(mount), true);
}

// Fields with commas may be in quotes, as in CSV: 'type=volume,"volume-opt=o=size=1m,uid=3"'.
std::vector<std::string> fields_of(std::string_view text) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"') out.back() += text[i++];
    else if (text[i] == '"' && (quoted || out.back().empty())) quoted = !quoted;
    else if (text[i] == ',' && !quoted) out.emplace_back();
    else out.back() += text[i];
  }
  return out;
}

Result<bool> truth(std::string_view value, std::string_view key) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return Error(Code::invalid, "{}: '{}' is neither true nor false", key, printable(value));
}

Result<void> add_named(std::string_view text, std::string_view key, std::map<std::string, std::string>& out) {
  const size_t equals = std::min(text.find('='), text.size());
  if (equals == 0) return Error(Code::invalid, "{}: '{}' has no name before '='", key, printable(text));
  out[std::string(text.substr(0, equals))] = text.substr(std::min(equals + 1, text.size()));
  return {};
}

Result<uint32_t> octal(std::string_view text) {
  uint32_t out = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || out > 0777) return Error(Code::invalid, "'{}' is no octal mode", printable(text));
    out = out * 8 + static_cast<uint32_t>(c - '0');
  }
  return out;
}

Result<void> Planner::take_mount(const std::string& text) {
  MountRequest mount;
  Volume volume;
  std::string type = "volume";
  std::string source;
  bool not_recursive = false;
  for (const std::string& field : fields_of(text)) {
    const size_t equals = std::min(field.find('='), field.size());
    const std::string key = field.substr(0, equals);
    const std::string value = equals == field.size() ? "true" : field.substr(equals + 1);
    if (key == "type") type = value;
    else if (key == "source" || key == "src") source = value;
    else if (key == "target" || key == "destination" || key == "dst") mount.destination = TRY(target_of(value));
    else if (key == "readonly" || key == "ro") mount.read_only = TRY(truth(value, key));
    else if (key == "bind-propagation" && is_propagation(value)) mount.propagation = value;
    else if (key == "bind-nonrecursive") not_recursive = TRY(truth(value, key));
    else if (key == "volume-nocopy") mount.no_copy = TRY(truth(value, key));
    else if (key == "volume-driver") volume.driver = value;
    else if (key == "volume-opt") TRY(add_named(value, key, volume.options));
    else if (key == "volume-label") TRY(add_named(value, key, volume.labels));
    else if (key == "tmpfs-size") mount.size_bytes = TRY(launch::parse_size(value), "tmpfs-size");
    else if (key == "tmpfs-mode") mount.mode = TRY(octal(value), "tmpfs-mode");
    else if (key != "consistency")
      return Error(Code::unsupported, "'{}' is not known here", printable(field))
          .hint("write it as `type=bind,source=SRC,target=DST[,readonly]`, `type=volume,source=NAME,target=DST` or "
                "`type=tmpfs,target=DST`");
  }
  if (mount.destination.empty()) return Error(Code::invalid, "target is missing");
  mount.type = type;
  mount.recursive = !not_recursive;
  if (type == "volume") {
    volume.name = source;
    return add_volume(std::move(mount), std::move(volume));
  }
  if (type != "bind" && type != "tmpfs")
    return Error(Code::invalid, "type '{}' is not one of bind, volume, tmpfs", printable(type));
  if (type == "bind") {
    if (source.empty()) return Error(Code::invalid, "source is missing");
    mount.source = TRY(bind_source(source, here_.host));
  } else if (!source.empty()) {
    return Error(Code::invalid, "a tmpfs has no source");
  }
  return add(std::move(mount), true);
}

// "PATH[:OPTIONS]"
Result<void> Planner::take_tmpfs(const std::string& text) {
  const size_t colon = std::min(text.find(':'), text.size());
  MountRequest mount;
  mount.type = "tmpfs";
  mount.destination = TRY(target_of(text.substr(0, colon)));
  constexpr std::string_view kWords[] = {"rw",  "ro",   "exec", "noexec",  "suid",    "nosuid",
                                         "dev", "nodev", "noatime"};
  for (const std::string_view option : split(colon == text.size() ? "" : std::string_view(text).substr(colon + 1), ',')) {
    const std::string_view key = option.substr(0, option.find('='));
    if (option.empty()) continue;
    if (option.starts_with("size=") && !option.ends_with('%')) mount.size_bytes = TRY(launch::parse_size(option.substr(5)));
    else if (option.starts_with("mode=")) mount.mode = TRY(octal(option.substr(5)));
    else if (std::find(std::begin(kWords), std::end(kWords), option) != std::end(kWords) || key == "uid" || key == "gid" ||
             key == "size" || key == "nr_inodes" || key == "nr_blocks")
      mount.options += fmt::format("{}{}", mount.options.empty() ? "" : ",", option);
    else
      return Error(Code::unsupported, "option '{}' is not known here", printable(option))
          .hint("write it as `PATH[:size=64m,mode=755,exec]`");
  }
  return add(std::move(mount), true);
}

}  // namespace

Result<MountPlan> mounts_of(const cli::Parsed& parsed, const launch::ReadyImage& image, const Here& here) {
  Planner planner(image, here);
  TRY(planner.take_image());
  planner.make_volumes_by(parsed.value("--volume-driver", "local"));
  for (const std::string& text : parsed.values("--volumes-from"))
    TRY(planner.take_from(text), "--volumes-from {}", printable(text));
  for (const std::string& text : parsed.values("--volume")) TRY(planner.take_volume(text), "-v {}", printable(text));
  for (const std::string& text : parsed.values("--mount")) TRY(planner.take_mount(text), "--mount {}", printable(text));
  for (const std::string& text : parsed.values("--tmpfs")) TRY(planner.take_tmpfs(text), "--tmpfs {}", printable(text));
  return std::move(planner).finish();
}

}  // namespace kist::container_cli
