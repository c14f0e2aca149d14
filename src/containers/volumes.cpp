#include "containers/volumes.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "containers/id_maps.h"
#include "containers/json_fields.h"
#include "containers/notes.h"

namespace kist::containers {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr int kVersion = 1;

template <class F>
void fields(F& f, Volume& v) {
  f("name", v.name);
  f("driver", v.driver);
  f("options", v.options);
  f("labels", v.labels);
  f("createdNs", v.created_ns);
  f("anonymous", v.anonymous);
}

std::string encode(const Volume& volume) {
  JsonWriter writer([](auto& f, auto& value) { fields(f, value); });
  boost::json::object root = writer.object_of(volume);
  root["version"] = kVersion;
  return boost::json::serialize(root) + "\n";
}

Result<Volume> decode(std::string_view json) {
  boost::system::error_code failed;
  boost::json::parse_options any_bytes;
  any_bytes.allow_invalid_utf8 = true;
  const boost::json::value root = boost::json::parse({json.data(), json.size()}, failed, {}, any_bytes);
  if (failed || !root.is_object()) return Error(Code::corrupt, "the volume's record is not JSON");
  const auto version = root.get_object().if_contains("version");
  if (version == nullptr || !version->is_int64() || version->get_int64() != kVersion)
    return Error(Code::corrupt, "the volume's record has another version than {}", kVersion);
  Volume volume;
  JsonReader reader([](auto& f, auto& value) { fields(f, value); });
  reader.read(root.get_object(), volume);
  if (!reader.wrong().empty())
    return Error(Code::corrupt, "the volume's record: {} has the wrong type", reader.wrong());
  return volume;
}

std::string option(const Volume& volume, const char* key) {
  const auto found = volume.options.find(key);
  return found == volume.options.end() ? std::string() : found->second;
}

std::vector<std::string_view> words(const std::string& text) {
  auto out = split(text, ',');
  std::erase(out, std::string_view());
  return out;
}

Result<void> check_options(const Volume& volume, bool is_root) {
  if (volume.driver != "local" && volume.driver != "tmpfs")
    return Error(Code::unsupported, "there is no volume driver '{}', only local and tmpfs", printable(volume.driver));
  for (const auto& [key, value] : volume.options)
    if (key != "type" && key != "o" && key != "device")
      return Error(Code::invalid, "'{}' is no option of a volume, want type, o or device", printable(key));
  const std::string type = option(volume, "type");
  const std::string how = option(volume, "o");
  if (volume.is_memory()) {
    if (!is_root && !words(how).empty())
      return Error(Code::unsupported, "a volume in memory with '{}' needs root", printable(how))
          .hint("leave the options out, or `--tmpfs PATH:size=…` for a container of its own");
    return {};
  }
  const auto parts = words(how);
  const bool bind = std::find(parts.begin(), parts.end(), "bind") != parts.end() ||
                    std::find(parts.begin(), parts.end(), "rbind") != parts.end();
  if ((type.empty() || type == "none" || type == "bind") && (bind || volume.options.empty())) {
    if (bind && !option(volume, "device").starts_with('/'))
      return Error(Code::invalid, "a volume with o=bind needs a folder: `--opt device=/FOLDER`");
    return {};
  }
  return Error(Code::unsupported, "a volume of type '{}' with '{}' is not supported", printable(type), printable(how))
      .hint("type=tmpfs, and type=none with o=bind and device=/FOLDER, are");
}

// "size=1m,uid=3,noexec" for mount(2).
unsigned long tmpfs_flags(const Volume& volume, std::string& data) {
  unsigned long flags = MS_NOSUID | MS_NODEV;
  const std::string how = option(volume, "o");
  for (const std::string_view word : words(how)) {
    if (word == "noexec") flags |= MS_NOEXEC;
    else if (word == "ro") flags |= MS_RDONLY;
    else if (word != "rw" && word != "exec" && word != "nosuid" && word != "nodev")
      data += fmt::format("{}{}", data.empty() ? "" : ",", word);
  }
  return flags;
}

bool is_mounted(const std::string& path) {
  struct stat here = {};
  struct stat above = {};
  return ::stat(path.c_str(), &here) == 0 && ::stat(os::parent_of(path).c_str(), &above) == 0 &&
         here.st_dev != above.st_dev;
}

bool is_empty(const std::string& folder) {
  const auto names = os::list_folder(folder);
  return names && names->empty();
}

}  // namespace

bool Volume::is_memory() const { return driver == "tmpfs" || option(*this, "type") == "tmpfs"; }

std::string Volume::bound_folder() const { return is_memory() ? std::string() : option(*this, "device"); }

Result<void> check_volume_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  constexpr size_t kMaxNameBytes = 200;
  if (name.size() > 1 && name.size() <= kMaxNameBytes && plain(name[0]) &&
      std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '_' || c == '.' || c == '-'; }))
    return {};
  return Error(Code::invalid,
               "'{}' is no volume's name, want letters, digits, and '_', '.' or '-' after the first", printable(name))
      .hint("a folder of the host has an absolute path: `-v /folder:/inside`");
}

Volumes::Volumes(const std::string& kist_home, std::string memory)
    : folder_(os::join(kist_home, "volumes")), memory_(std::move(memory)), is_root_(::geteuid() == 0) {}

std::string Volumes::folder_of(std::string_view name) const { return os::join(folder_, name); }

Result<os::FileLock> Volumes::hold(os::FileLock::Mode mode) const {
  TRY(os::make_folders(folder_, 0700));
  return os::FileLock::acquire(os::join(folder_, "lock"), mode);
}

bool Volumes::exists(std::string_view name) const {
  return check_volume_name(name) && os::exists(os::join(folder_of(name), "record"));
}

Result<Volume> Volumes::find(std::string_view name) const {
  if (!exists(name))
    return Error(Code::not_found, "no such volume: {}", printable(name)).hint("`kist volume ls` lists them");
  const std::string text = TRY(os::read_file(os::join(folder_of(name), "record"), kMaxFileBytes));
  Volume volume = TRY(decode(text), "volume {}", name);
  volume.name = std::string(name);
  return volume;
}

Result<Volume> Volumes::create(Volume volume) const {
  if (volume.name.empty()) volume.name = TRY(new_id());
  TRY(check_volume_name(volume.name));
  TRY(check_options(volume, is_root_));
  if (exists(volume.name)) {
    Volume there = TRY(find(volume.name));
    if (there.driver != volume.driver || (!volume.options.empty() && there.options != volume.options))
      return Error(Code::exists, "there is a volume '{}' with another driver or other options", volume.name)
          .hint(fmt::format("`kist volume inspect {}`", volume.name));
    return there;
  }
  if (volume.created_ns == 0) {
    timespec now = {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    volume.created_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }
  TRY(os::make_folders(folder_, 0700));
  TRY(os::make_folders(folder_of(volume.name), 0700));
  const std::string data = os::join(folder_of(volume.name), "data");
  // Whatever the caller's umask.
  if (::mkdir(data.c_str(), 0755) == 0) (void)!::chmod(data.c_str(), 0755);
  else if (errno != EEXIST) return Error::from_errno(errno, "create '{}'", data);
  TRY(os::write_file_atomically(os::join(folder_of(volume.name), "record"), encode(volume), 0600));
  return volume;
}

Result<std::vector<Volume>> Volumes::list() const {
  std::vector<Volume> out;
  if (!os::exists(folder_)) return out;
  const auto names = TRY(os::list_folder(folder_));
  for (const std::string& name : names)
    if (auto volume = find(name)) out.push_back(std::move(*volume));
  return out;
}

Result<void> Volumes::remove(const Volume& volume) const {
  close(volume.name);
  const std::string folder = folder_of(volume.name);
  // Without a record there is no volume, so a death here leaves what the next create() takes over.
  if (::unlink(os::join(folder, "record").c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove the volume '{}'", volume.name);
  return remove_written(folder);
}

std::string Volumes::data_path(const Volume& volume) const {
  if (const std::string bound = volume.bound_folder(); !bound.empty()) return bound;
  if (volume.is_memory() && !is_root_) return os::join(os::join(memory_, "volumes"), volume.name);
  return os::join(folder_of(volume.name), "data");
}

Result<void> Volumes::mount_memory(const Volume& volume) const {
  const std::string path = data_path(volume);
  if (!is_root_) return os::make_folders(path, 0755);
  if (is_mounted(path)) return {};
  std::string data;
  const unsigned long flags = tmpfs_flags(volume, data);
  if (::mount("tmpfs", path.c_str(), "tmpfs", flags, data.c_str()) != 0)
    return Error::from_errno(errno, "mount the volume '{}' with '{}'", volume.name, printable(data));
  return {};
}

// What a death in the middle of fill() has left.
Result<void> Volumes::complete(const Volume& volume) const {
  const std::string filled = os::join(folder_of(volume.name), "filled");
  if (!os::exists(filled)) return {};
  const std::string data = data_path(volume);
  const auto names = TRY(os::list_folder(filled));
  for (const std::string& name : names)
    if (::renameat2(AT_FDCWD, os::join(filled, name).c_str(), AT_FDCWD, os::join(data, name).c_str(),
                    RENAME_NOREPLACE) != 0 && errno != EEXIST)
      return Error::from_errno(errno, "fill the volume '{}'", volume.name);
  struct stat st = {};
  if (::stat(filled.c_str(), &st) == 0) {
    (void)!::chown(data.c_str(), st.st_uid, st.st_gid);
    (void)!::chmod(data.c_str(), st.st_mode & 07777);
  }
  return os::remove_tree(filled);
}

Result<std::string> Volumes::open(std::string_view name) const {
  const Volume volume = TRY(find(name));
  const std::string path = data_path(volume);
  if (!volume.bound_folder().empty()) {
    if (!os::is_folder(path))
      return Error(Code::not_found, "the folder '{}' of the volume '{}' does not exist", printable(path), volume.name)
          .hint(fmt::format("`mkdir -p {}`", shell_quote(path)));
    return path;
  }
  if (!volume.is_memory() && !os::exists(os::join(folder_of(name), "filled"))) return path;
  const auto lock = TRY(os::FileLock::acquire(os::join(folder_of(name), "lock"), os::FileLock::Mode::exclusive));
  if (volume.is_memory()) TRY(mount_memory(volume));
  else TRY(complete(volume));
  return path;
}

void Volumes::close(std::string_view name) const {
  const auto volume = find(name);
  if (!volume || !volume->is_memory()) return;
  const std::string path = data_path(*volume);
  if (!is_root_) (void)os::remove_tree(path).has_value();
  else if (is_mounted(path)) (void)::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

Result<void> Volumes::fill(std::string_view name, const os::Fd& folder, const CopyOptions& options) const {
  const Volume volume = TRY(find(name));
  const std::string data = data_path(volume);
  if (!is_empty(data)) return {};
  const auto lock = TRY(os::FileLock::acquire(os::join(folder_of(name), "lock"), os::FileLock::Mode::exclusive));
  if (!is_empty(data)) return {};
  // Memory goes with its last user, so there is no half of it to come back to.
  const bool staged = volume.bound_folder().empty() && !volume.is_memory();
  const std::string target = staged ? os::join(folder_of(name), "filling") : data;
  if (staged) {
    TRY(os::remove_tree(target));
    TRY(os::make_folders(target, 0700));
  }
  const os::Fd to = TRY(os::open_file(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  TRY(copy_contents(folder, to, options, volume.bound_folder().empty()), "copying what the image has into the volume '{}'", name);
  if (!staged) return {};
  const std::string filled = os::join(folder_of(name), "filled");
  if (::rename(target.c_str(), filled.c_str()) != 0) return Error::from_errno(errno, "fill the volume '{}'", name);
  return complete(volume);
}

Result<std::vector<std::string>> users_of(const Place& place, std::string_view volume, bool alive) {
  std::vector<std::string> out;
  const auto ids = TRY(place.ids());
  const std::string quoted = fmt::format("\"{}\"", volume);
  for (const std::string& id : ids) {
    // Most containers do not name it: these need no parsing.
    const auto text = os::read_file(place.file_of(id, "record"), 16u << 20);
    if (!text || text->find(quoted) == std::string::npos) continue;
    const auto record = decode_record(*text);
    if (!record) continue;
    const bool uses = std::any_of(record->mounts.begin(), record->mounts.end(), [&](const MountRequest& mount) {
      return mount.type == "volume" && mount.source == volume;
    });
    if (!uses) continue;
    if (alive) {
      // Looked after: from before it starts until it has ended for good.
      const auto status = place.status(id);
      if (!place.is_looked_after(id) && !(status && status->is_alive())) continue;
    }
    out.push_back(id);
  }
  return out;
}

Result<void> discard(const Place& place, const Volumes& volumes, const Record& record, bool with_volumes) {
  TRY(place.remove(record));
  note(place, record, "destroy");
  if (!with_volumes) return {};
  const auto is_volume = [](const MountRequest& mount) { return mount.type == "volume"; };
  if (std::none_of(record.mounts.begin(), record.mounts.end(), is_volume)) return {};
  const auto lock = TRY(volumes.hold(os::FileLock::Mode::exclusive));
  for (const MountRequest& mount : record.mounts) {
    if (!is_volume(mount)) continue;
    const auto volume = volumes.find(mount.source);
    if (!volume || !volume->anonymous) continue;
    const auto users = users_of(place, volume->name);
    if (!users || !users->empty() || !volumes.remove(*volume)) continue;
    note_volume(place, volume->name, "destroy", {{"driver", volume->driver}});
  }
  return {};
}

}  // namespace kist::containers
