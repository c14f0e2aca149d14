#include "store/inventory.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "base/text.h"
#include "store/name_files.h"

namespace kist::store {
namespace {

constexpr uint64_t kMaxPinFileBytes = 1u << 20;

// A folder that another process removes meanwhile is an empty one.
Result<std::vector<std::string>> list_if_there(const std::string& path) {
  auto names = os::list_folder(path);
  if (!names && names.error().code() == Code::not_found) return std::vector<std::string>();
  return names;
}

bool is_pin_file(std::string_view name) { return name == "roots" || name.ends_with(".roots"); }

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

uint64_t sum_own(int parent, const char* name, const std::function<void(uint64_t)>& linked) {
  struct stat st = {};
  if (::fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  const auto bytes = static_cast<uint64_t>(st.st_blocks) * 512;
  if (!S_ISDIR(st.st_mode)) {
    if (st.st_nlink <= 1) return bytes;
    linked(st.st_ino);
    return 0;
  }
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return bytes;
  const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd));
  uint64_t sum = bytes;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view child = entry->d_name;
    if (child != "." && child != "..") sum += sum_own(fd, entry->d_name, linked);
  }
  return sum;
}

}  // namespace

Result<std::vector<NameRecord>> list_name_records(const Store& store) {
  std::vector<NameRecord> records;
  const std::vector<std::string> names = TRY(list_names(store.home(), ""));
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}/{}", store.home(), kNamesFolder, name);
    // Not find(), which would count as use.
    const auto stamp = os::stamp(path);
    const auto text = os::read_file(path, 4096);
    if (!stamp || !text) continue;
    NameRecord record{.name = name, .tree = {}, .used_s = stamp->mtime_ns / 1'000'000'000};
    if (const auto digest = oci::Digest::parse(trim(*text))) record.tree = *digest;
    records.push_back(std::move(record));
  }
  return records;
}

namespace {

Result<void> read_pins(const std::string& path, Pin::Owner owner, const std::string& name,
                       std::vector<Pin>& pins) {
  const auto text = os::read_file(path, kMaxPinFileBytes);
  if (!text && text.error().code() == Code::not_found) return {};
  if (!text) return text.error();
  for (const std::string_view line : lines(*text)) {
    if (trim(line).empty()) continue;
    const auto digest = oci::Digest::parse(trim(line));
    // Not understood is not the same as not needed.
    if (!digest) {
      return Error(Code::corrupt, "'{}' has the line '{}', which is not a digest", printable(path),
                   printable(line, 80))
          .hint("remove that file if nothing of that name is used any more");
    }
    pins.push_back({owner, name, *digest});
  }
  return {};
}

// Of the folders below `top`: their files "roots" and "….roots".
Result<void> read_folders(const std::string& top, Pin::Owner owner, std::vector<Pin>& pins) {
  const std::vector<std::string> keys = TRY(list_if_there(top));
  for (const std::string& key : keys) {
    const std::string folder = os::join(top, key);
    if (!os::is_folder(folder)) continue;
    const std::vector<std::string> files = TRY(list_if_there(folder));
    for (const std::string& file : files) {
      if (!is_pin_file(file)) continue;
      const std::string name =
          file == "roots" ? key : fmt::format("{}/{}", key, file.substr(0, file.size() - 6));
      TRY(read_pins(os::join(folder, file), owner, name, pins));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Pin>> list_pins(const Store& store) {
  std::vector<Pin> pins;
  TRY(read_folders(os::join(store.home(), kProjectsFolder), Pin::Owner::environment, pins));
  TRY(read_folders(os::join(store.home(), kContainersFolder), Pin::Owner::container, pins));
  const std::string records = os::join(store.home(), kImageRecordsFolder);
  const std::vector<std::string> files = TRY(list_if_there(records));
  for (const std::string& file : files) {
    if (!is_pin_file(file)) continue;
    TRY(read_pins(os::join(records, file), Pin::Owner::image, file.substr(0, file.size() - 6),
                  pins));
  }
  return pins;
}

Result<std::vector<RootRecord>> list_roots(const Store& store) {
  std::vector<RootRecord> roots;
  for (const Variant variant : {Variant::erofs, Variant::links}) {
    const std::string parent =
        fmt::format("{}/{}/{}", store.home(), kRootsFolder, variant_name(variant));
    const std::vector<std::string> names = TRY(list_if_there(parent));
    for (const std::string& name : names) {
      const auto digest = oci::Digest::parse_hex(name);
      if (!digest) continue;
      RootRecord record{
          .folder = os::join(parent, name), .variant = variant, .tree = *digest, .base = {}};
      if (const auto link = os::read_link(os::join(record.folder, "base"))) {
        const auto base = oci::Digest::parse_hex(*link);
        if (base) record.base = *base;
      }
      roots.push_back(std::move(record));
    }
  }
  return roots;
}

Result<void> each_file(
    const Store& store, std::string_view kind,
    const std::function<Result<void>(const os::Fd& shard, const std::string& name,
                                     std::string_view shard_name)>& visit) {
  for (int i = 0; i < 256; ++i) {
    const std::string shard_name = fmt::format("{:02x}", i);
    const std::string path = fmt::format("{}/{}/{}", store.home(), kind, shard_name);
    const os::Fd shard = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
    const std::vector<std::string> names = TRY(os::list_folder(path));
    for (const std::string& name : names) TRY(visit(shard, name, shard_name));
  }
  return {};
}

std::optional<DiskFile> look_at(const os::Fd& folder, const std::string& name) {
  struct stat st = {};
  if (::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return DiskFile{.disk_bytes = static_cast<uint64_t>(st.st_blocks) * 512,
                  .size_bytes = static_cast<uint64_t>(st.st_size),
                  .inode = st.st_ino,
                  .links = st.st_nlink,
                  .changed_s = st.st_ctim.tv_sec};
}

uint64_t own_disk_bytes(const std::string& path, const std::function<void(uint64_t)>& linked) {
  return sum_own(AT_FDCWD, path.c_str(), linked);
}

}  // namespace kist::store
