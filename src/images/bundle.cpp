#include "images/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "images/layer_entries.h"
#include "os/files.h"

namespace kist::images {
namespace {

constexpr size_t kReadBytes = 256u << 10;
constexpr size_t kHeaderBytes = 16u << 10;  // Of what is read to look at one header.
constexpr uint64_t kBlock = 512;
constexpr size_t kMaxMembers = 200'000;
constexpr int kMaxLinks = 8;

// `size_bytes` of a file from `offset` on; short files are told.
archive::Source read_range(std::shared_ptr<os::Fd> file, uint64_t offset, uint64_t size_bytes,
                           size_t buffer_bytes, bool is_exact) {
  auto buffer = std::make_shared<std::string>(buffer_bytes, '\0');
  return [=, left = size_bytes, at = offset]() mutable -> Result<std::string_view> {
    if (left == 0) return std::string_view();
    const size_t wanted = std::min<uint64_t>(buffer->size(), left);
    ssize_t got;
    do got = ::pread(file->get(), buffer->data(), wanted, static_cast<off_t>(at));
    while (got < 0 && errno == EINTR);
    if (got < 0) return Error::from_errno(errno, "read the archive");
    if (got == 0 && is_exact)
      return Error(Code::corrupt, "archive ends {} bytes too early: it was cut off", left);
    if (got == 0) left = 0;
    left -= static_cast<uint64_t>(got);
    at += static_cast<uint64_t>(got);
    return std::string_view(buffer->data(), static_cast<size_t>(got));
  };
}

archive::Source read_stream(int fd) {
  auto buffer = std::make_shared<std::string>(kReadBytes, '\0');
  return [fd, buffer]() -> Result<std::string_view> {
    ssize_t got;
    do got = ::read(fd, buffer->data(), buffer->size());
    while (got < 0 && errno == EINTR);
    if (got < 0) return Error::from_errno(errno, "read the archive");
    return std::string_view(buffer->data(), static_cast<size_t>(got));
  };
}

// A file without a name, so that nothing of it is left however we end.
Result<os::Fd> spool(archive::Source raw, archive::TarFilter filter, const std::string& folder) {
  os::Fd file = TRY(os::open_file(folder, O_TMPFILE | O_RDWR, 0600), "making a scratch file");
  archive::Source plain = TRY(archive::decompress(std::move(raw), filter));
  const archive::Source ahead = archive::run_ahead(std::move(plain));
  TRY(archive::each_piece(ahead, [&](std::string_view piece) { return os::write_all(file, piece); }),
      "writing the plain archive to '{}'", printable(folder));
  return file;
}

bool is_seekable(const os::Fd& fd) { return ::lseek(fd.get(), 0, SEEK_CUR) >= 0; }

Result<uint64_t> size_of(const os::Fd& fd) {
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat the archive");
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace

Result<Bundle> Bundle::open(const std::string& path, const std::string& scratch_folder) {
  Bundle bundle;
  if (os::is_folder(path)) {
    os::Fd folder = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
    bundle.folder_ = std::make_shared<os::Fd>(std::move(folder));
    return bundle;
  }
  const os::Fd file = TRY(os::open_file(path, O_RDONLY));
  return open(file, scratch_folder);
}

Result<Bundle> Bundle::open(const os::Fd& stream, const std::string& scratch_folder) {
  Bundle bundle;
  archive::Source raw = read_stream(stream.get());
  const std::string start = TRY(archive::peek(raw, 6));
  if (start.empty()) return Error(Code::corrupt, "the archive is empty");
  const archive::TarFilter filter = archive::detect_filter(start);
  if (filter == archive::TarFilter::none && is_seekable(stream)) {
    os::Fd same(::fcntl(stream.get(), F_DUPFD_CLOEXEC, 0));
    if (!same.is_open()) return Error::from_errno(errno, "keep the archive open");
    bundle.file_ = std::make_shared<os::Fd>(std::move(same));
  } else {
    os::Fd plain = TRY(spool(std::move(raw), filter, scratch_folder));
    bundle.file_ = std::make_shared<os::Fd>(std::move(plain));
  }
  TRY(bundle.index(), "looking into the archive");
  return bundle;
}

// From header to header, without reading what lies between.
Result<void> Bundle::index() {
  const uint64_t size = TRY(size_of(*file_));
  uint64_t offset = 0;
  while (offset < size) {
    archive::Source source = read_range(file_, offset, size - offset, kHeaderBytes, false);
    archive::TarReader tar = TRY(
        archive::TarReader::open(std::move(source), archive::TarFilter::none, archive::TarLimits()));
    archive::TarEntry entry;
    const bool more = TRY(tar.next(entry));
    if (!more) return {};
    if (members_.size() >= kMaxMembers)
      return Error(Code::invalid, "archive has more than {} members", kMaxMembers);
    Member member{.offset = offset + tar.position(), .size_bytes = entry.size_bytes, .link = {}};
    const std::string name = TRY(clean_layer_path(entry.path));
    const bool is_link = entry.kind == archive::TarKind::symlink;
    const bool is_hard = entry.kind == archive::TarKind::hardlink;
    const std::string target =
        is_link ? fmt::format("{}/{}", folder_of(name), entry.target) : entry.target;
    if (is_link || is_hard) member.link = TRY(clean_layer_path(target));
    if (entry.is_sparse)
      return Error(Code::unsupported, "archive has the sparse member '{}'", printable(name));
    if (member.size_bytes > size - std::min(size, member.offset))
      return Error(Code::corrupt, "archive ends within '{}': it was cut off", printable(name));
    offset = member.offset + (member.size_bytes + kBlock - 1) / kBlock * kBlock;
    const bool is_file = entry.kind == archive::TarKind::file || !member.link.empty();
    if (is_file) members_.insert_or_assign(name, std::move(member));
  }
  return {};
}

Result<Bundle::Member> Bundle::find(const std::string& name) const {
  std::string at = TRY(clean_layer_path(name));
  for (int i = 0; i < kMaxLinks; ++i) {
    const auto found = members_.find(at);
    if (found == members_.end())
      return Error(Code::not_found, "the archive has no '{}'", printable(at));
    if (found->second.link.empty()) return found->second;
    at = found->second.link;
  }
  return Error(Code::corrupt, "'{}' is a link to a link to a link", printable(name));
}

bool Bundle::has(const std::string& name) const {
  if (folder_ != nullptr) return os::open_in_root(*folder_, name, O_PATH).has_value();
  return find(name).has_value();
}

Result<archive::Source> Bundle::open_member(const std::string& name) const {
  if (folder_ == nullptr) {
    const Member member = TRY(find(name));
    return read_range(file_, member.offset, member.size_bytes, kReadBytes, true);
  }
  os::Fd fd = TRY(os::open_in_root(*folder_, name, O_RDONLY | O_NONBLOCK));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return Error(Code::invalid, "'{}' is not a file", printable(name));
  return read_range(std::make_shared<os::Fd>(std::move(fd)), 0, static_cast<uint64_t>(st.st_size),
                    kReadBytes, true);
}

Result<std::string> Bundle::read_member(const std::string& name, uint64_t limit_bytes) const {
  const archive::Source source = TRY(open_member(name));
  std::string out;
  TRY(archive::each_piece(source, [&](std::string_view piece) -> Result<void> {
    out += piece;
    if (out.size() <= limit_bytes) return {};
    return Error(Code::invalid, "'{}' is larger than {}", printable(name),
                 human_bytes(limit_bytes));
  }));
  return out;
}

}  // namespace kist::images
