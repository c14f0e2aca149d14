// Unpacking archives of sources. All paths are resolved inside the folder by descriptor
// (RESOLVE_IN_ROOT), so that no link in the archive, whenever it was made, leads out of it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "archive/tar_reader.h"
#include "archive/zip.h"
#include "base/text.h"
#include "os/files.h"
#include "python/sdist.h"
#include "store/tree.h"

namespace kist::python {
namespace {

constexpr uint64_t kMaxEntries = 300'000;
constexpr uint64_t kMaxBytes = 16ull << 30;
constexpr size_t kPieceBytes = 256u << 10;

class Unpacker {
 public:
  explicit Unpacker(os::Fd root) : root_(std::move(root)) {}

  Result<void> folder(const std::string& path) {
    if (path.empty()) return {};
    TRY(folder(parent_path(path)));
    const os::Fd parent = TRY(open_folder(parent_path(path)));
    const std::string name(os::name_of(path));
    if (::mkdirat(parent.get(), name.c_str(), 0755) == 0) return {};
    if (errno != EEXIST) return Error::from_errno(errno, "create folder '{}'", printable(path));
    struct stat st = {};
    if (::fstatat(parent.get(), name.c_str(), &st, 0) != 0 || !S_ISDIR(st.st_mode))
      return Error(Code::invalid, "'{}' is a folder and something else", printable(path));
    return {};
  }

  // A later entry of one name replaces the earlier, as with tar.
  Result<os::Fd> begin_file(const std::string& path, uint32_t mode) {
    const os::Fd parent = TRY(make_room(path));
    return os::open_at(parent, std::string(os::name_of(path)),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, (mode & 0111) != 0 ? 0755 : 0644);
  }

  Result<void> end_file(os::Fd file, uint32_t mode) {
    const timespec time{.tv_sec = store::kTreeTime, .tv_nsec = 0};
    const timespec times[2] = {time, time};
    if (::fchmod(file.get(), (mode & 0111) != 0 ? 0755 : 0644) != 0 ||
        ::futimens(file.get(), times) != 0)
      return Error::from_errno(errno, "set mode and time");
    return std::move(file).close();
  }

  Result<void> symlink(const std::string& path, const std::string& target) {
    TRY(check_target(path, target));
    const os::Fd parent = TRY(make_room(path));
    if (::symlinkat(target.c_str(), parent.get(), std::string(os::name_of(path)).c_str()) != 0)
      return Error::from_errno(errno, "create link '{}'", printable(path));
    return {};
  }

  // A copy: a second name would let a build change two files at once.
  Result<void> hard_link(const std::string& path, const std::string& target, uint32_t mode) {
    const os::Fd from = TRY(os::open_in_root(root_, target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    struct stat st = {};
    if (::fstat(from.get(), &st) != 0 || !S_ISREG(st.st_mode))
      return Error(Code::invalid, "'{}' is a hard link to '{}', which is no file", printable(path),
                   printable(target));
    const std::string bytes = TRY(os::read_all(from));
    os::Fd to = TRY(begin_file(path, mode));
    TRY(os::write_all(to, bytes));
    return end_file(std::move(to), mode);
  }

 private:
  static std::string parent_path(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
  }

  Result<os::Fd> open_folder(const std::string& path) {
    return os::open_in_root(root_, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
  }

  // The parent's descriptor, with nothing of this name in it.
  Result<os::Fd> make_room(const std::string& path) {
    if (path.empty()) return Error(Code::invalid, "the archive has a file for its root");
    TRY(folder(parent_path(path)));
    os::Fd parent = TRY(open_folder(parent_path(path)));
    if (::unlinkat(parent.get(), std::string(os::name_of(path)).c_str(), 0) != 0 && errno != ENOENT)
      return Error(Code::invalid, "'{}' is a folder and something else", printable(path));
    return parent;
  }

  // By its text alone; what a chain of links makes of it is caught when it is followed.
  static Result<void> check_target(const std::string& path, const std::string& target) {
    int64_t depth = std::count(path.begin(), path.end(), '/');
    bool leaves = target.empty() || target.front() == '/';
    for (const std::string_view part : split(target, '/')) {
      if (part.empty() || part == ".") continue;
      depth += part == ".." ? -1 : 1;
      leaves = leaves || depth < 0;
    }
    if (!leaves) return {};
    return Error(Code::invalid, "'{}' is a link to '{}', outside the archive", printable(path),
                 printable(target));
  }

  os::Fd root_;
};

Result<void> unpack_tar_entry(archive::TarReader& tar, const archive::TarEntry& entry,
                              Unpacker& unpacker) {
  const std::string path = TRY(archive::clean_tar_path(entry.path));
  switch (entry.kind) {
    case archive::TarKind::folder:
      return unpacker.folder(path);
    case archive::TarKind::symlink:
      return unpacker.symlink(path, entry.target);
    case archive::TarKind::hardlink: {
      const std::string target = TRY(archive::clean_tar_path(entry.target));
      return unpacker.hard_link(path, target, entry.mode);
    }
    case archive::TarKind::file:
      break;
    default:
      return Error(Code::invalid, "'{}' is a device or the like, which sources have not",
                   printable(path));
  }
  os::Fd file = TRY(unpacker.begin_file(path, entry.mode));
  std::string_view piece = TRY(tar.read());
  while (!piece.empty()) {
    TRY(os::write_all(file, piece));
    piece = TRY(tar.read());
  }
  return unpacker.end_file(std::move(file), entry.mode);
}

Result<void> unpack_tar(const std::string& path, archive::TarFilter filter, Unpacker& unpacker) {
  const os::Fd file = TRY(os::open_file(path, O_RDONLY));
  std::string buffer(kPieceBytes, '\0');
  const auto source = [&]() -> Result<std::string_view> {
    ssize_t got;
    do got = ::read(file.get(), buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    if (got < 0) return Error::from_errno(errno, "read '{}'", printable(path));
    return std::string_view(buffer).substr(0, static_cast<size_t>(got));
  };
  archive::TarReader tar = TRY(archive::TarReader::open(
      source, filter, {.entries = kMaxEntries, .unpacked_bytes = kMaxBytes}));
  archive::TarEntry entry;
  while (true) {
    const bool more = TRY(tar.next(entry));
    if (!more) return {};
    TRY(unpack_tar_entry(tar, entry, unpacker));
  }
}

Result<void> unpack_zip(const std::string& path, Unpacker& unpacker) {
  const archive::ZipFile zip = TRY(
      archive::ZipFile::open(path, {.entries = kMaxEntries, .unpacked_bytes = kMaxBytes}));
  archive::ZipScratch scratch;
  for (const archive::ZipEntry& entry : zip.entries()) {
    const std::string name(entry.name);
    const uint32_t type = entry.unix_mode & S_IFMT;
    if (type != 0 && type != S_IFREG && type != S_IFDIR)
      return Error(Code::invalid, "'{}' is a link or a device, which zips of sources have not",
                   printable(name));
    if (entry.is_folder) {
      TRY(unpacker.folder(name));
      continue;
    }
    os::Fd file = TRY(unpacker.begin_file(name, entry.unix_mode));
    TRY(zip.read_chunks(entry, scratch, [&](std::string_view chunk) -> Result<void> {
      return os::write_all(file, chunk);
    }));
    TRY(unpacker.end_file(std::move(file), entry.unix_mode));
  }
  return {};
}

Result<void> unpack(const std::string& path, std::string_view file_name, Unpacker& unpacker) {
  const std::string name = to_lower(file_name);
  if (name.ends_with(".zip")) return unpack_zip(path, unpacker);
  std::optional<archive::TarFilter> filter;
  if (name.ends_with(".tar.gz") || name.ends_with(".tgz")) filter = archive::TarFilter::gzip;
  if (name.ends_with(".tar.bz2")) filter = archive::TarFilter::bzip2;
  if (name.ends_with(".tar.xz")) filter = archive::TarFilter::xz;
  if (name.ends_with(".tar")) filter = archive::TarFilter::none;
  if (!filter)
    return Error(Code::unsupported, "'{}' is no archive of a known kind, want .tar.gz or .zip",
                 printable(file_name));
  return unpack_tar(path, *filter, unpacker);
}

}  // namespace

Result<std::string> unpack_sdist(const std::string& archive_path, std::string_view file_name,
                                 const std::string& folder) {
  os::Fd root = TRY(os::open_file(folder, O_RDONLY | O_DIRECTORY));
  Unpacker unpacker(std::move(root));
  TRY(unpack(archive_path, file_name, unpacker), "unpacking '{}'", printable(file_name));
  const std::vector<std::string> top = TRY(os::list_folder(folder));
  if (top.size() != 1) return folder;
  const std::string only = os::join(folder, top.front());
  // lstat: a link at the top is not followed, here least of all.
  struct stat st = {};
  return ::lstat(only.c_str(), &st) == 0 && S_ISDIR(st.st_mode) ? only : folder;
}

}  // namespace kist::python
