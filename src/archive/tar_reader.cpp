// Goes through libarchive, which is hardened and security-supported and never the bottleneck: a
// header costs about 2 µs, xz a hundred times more. Only the tar format and the one filter that the
// caller names are enabled; with detection by content a hostile file could choose any decoder and
// stack 25 of them.
#include "archive/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"

namespace kist::archive {

struct TarReader::State {
  ::archive* handle = nullptr;
  Source source;
  std::optional<Error> source_error;
  TarLimits limits;
  uint64_t entries = 0;
  uint64_t unpacked_bytes = 0;
  bool at_data_end = true;
  uint64_t data_offset = 0;  // How much of this entry was handed out, holes included.
  bool has_block = false;    // One was read and not yet handed out: a hole may lie before it.
  std::string_view block;
  uint64_t block_offset = 0;
  std::string start;  // The first bytes, gathered to look at them.
  ~State() { ::archive_read_free(handle); }
};

namespace {

constexpr size_t kZeroBytes = 64 << 10;
constexpr std::array<char, kZeroBytes> kZeros{};

la_ssize_t pull(::archive*, void* user, const void** buffer) {
  auto* state = static_cast<TarReader::Source*>(user);
  const auto piece = (*state)();
  if (!piece) return -1;
  *buffer = piece->data();
  return static_cast<la_ssize_t>(piece->size());
}

int filter_code(TarFilter filter) {
  switch (filter) {
    case TarFilter::none: return ARCHIVE_FILTER_NONE;
    case TarFilter::gzip: return ARCHIVE_FILTER_GZIP;
    case TarFilter::xz: return ARCHIVE_FILTER_XZ;
    case TarFilter::zstd: return ARCHIVE_FILTER_ZSTD;
    case TarFilter::bzip2: return ARCHIVE_FILTER_BZIP2;
  }
  return ARCHIVE_FILTER_NONE;
}

// What a stream of this kind begins with. libarchive takes what is something else for an empty
// archive, which would turn a wrong download into a package without files.
std::string_view magic_of(TarFilter filter) {
  switch (filter) {
    case TarFilter::none: return {};
    case TarFilter::gzip: return "\x1f\x8b";
    case TarFilter::xz: return std::string_view("\xfd" "7zXZ\0", 6);
    case TarFilter::zstd: return "\x28\xb5\x2f\xfd";
    case TarFilter::bzip2: return "BZh";
  }
  return {};
}

// Reads until there are enough bytes to compare, and puts them back in front.
Result<void> check_start(TarReader::Source& source, TarFilter filter, std::string& start) {
  const std::string_view magic = magic_of(filter);
  while (start.size() < std::max<size_t>(magic.size(), 1)) {
    const std::string_view piece = TRY(source());
    if (piece.empty()) break;
    start += piece;
  }
  if (start.empty()) return Error(Code::corrupt, "not a tar stream: it is empty");
  if (!start.starts_with(magic))
    return Error(Code::corrupt, "not a stream of the announced compression: it starts with '{}'",
                 printable(std::string_view(start).substr(0, magic.size())));
  source = [&start, given = false, rest = std::move(source)]() mutable -> Result<std::string_view> {
    if (std::exchange(given, true)) return rest();
    return std::string_view(start);
  };
  return {};
}

std::string reason(::archive* handle) {
  const char* text = ::archive_error_string(handle);
  return text == nullptr ? "unknown reason" : printable(text);
}

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

TarKind kind_of(::archive_entry* raw) {
  if (::archive_entry_hardlink(raw) != nullptr) return TarKind::hardlink;
  switch (::archive_entry_filetype(raw)) {
    case AE_IFREG: return TarKind::file;
    case AE_IFDIR: return TarKind::folder;
    case AE_IFLNK: return TarKind::symlink;
    case AE_IFCHR: return TarKind::character_device;
    case AE_IFBLK: return TarKind::block_device;
    case AE_IFIFO: return TarKind::fifo;
    default: return TarKind::other;
  }
}

void fill(::archive_entry* raw, TarEntry& entry) {
  entry.path = text_or_empty(::archive_entry_pathname(raw));
  entry.kind = kind_of(raw);
  entry.mode = ::archive_entry_perm(raw) & 07777;
  entry.uid = static_cast<uint64_t>(::archive_entry_uid(raw));
  entry.gid = static_cast<uint64_t>(::archive_entry_gid(raw));
  entry.mtime_s = ::archive_entry_mtime(raw);
  entry.size_bytes =
      entry.kind == TarKind::file ? static_cast<uint64_t>(::archive_entry_size(raw)) : 0;
  entry.target.clear();
  if (entry.kind == TarKind::symlink) entry.target = text_or_empty(::archive_entry_symlink(raw));
  if (entry.kind == TarKind::hardlink) entry.target = text_or_empty(::archive_entry_hardlink(raw));
  entry.is_sparse = ::archive_entry_sparse_count(raw) > 0;
  entry.device_major = static_cast<uint32_t>(::archive_entry_rdevmajor(raw));
  entry.device_minor = static_cast<uint32_t>(::archive_entry_rdevminor(raw));
  entry.xattrs.clear();
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  ::archive_entry_xattr_reset(raw);
  while (::archive_entry_xattr_next(raw, &name, &value, &size) == ARCHIVE_OK)
    entry.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
  std::sort(entry.xattrs.begin(), entry.xattrs.end());
}

Result<void> check(const TarEntry& entry, uint64_t number, const TarLimits& limits) {
  if (entry.path.empty()) return Error(Code::corrupt, "tar entry {} has no name", number);
  if (entry.path.size() > limits.path_bytes || entry.target.size() > limits.path_bytes)
    return Error(Code::invalid, "tar entry '{}' has a name or target longer than {} bytes",
                 printable(entry.path), limits.path_bytes);
  return {};
}

}  // namespace

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader& TarReader::operator=(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

Result<TarReader> TarReader::open(Source source, TarFilter filter, const TarLimits& limits) {
  auto state = std::make_unique<State>();
  state->limits = limits;
  State* raw = state.get();
  TRY(check_start(source, filter, state->start));
  // The source's own error is kept, because libarchive can carry only a number and a text.
  state->source = [raw, source = std::move(source)]() -> Result<std::string_view> {
    auto piece = source();
    if (!piece) raw->source_error = piece.error();
    return piece;
  };
  state->handle = ::archive_read_new();
  KIST_ASSERT(state->handle != nullptr);
  ::archive_read_support_format_tar(state->handle);
  if (::archive_read_append_filter(state->handle, filter_code(filter)) < ARCHIVE_WARN)
    return Error(Code::unsupported, "cannot decompress: {}", reason(state->handle));
  // Names are bytes. Without this, names outside ASCII fail in the C locale.
  ::archive_read_set_options(state->handle, "tar:hdrcharset=BINARY");
  if (::archive_read_open2(state->handle, &state->source, nullptr, pull, nullptr, nullptr) !=
      ARCHIVE_OK) {
    if (state->source_error) return *state->source_error;
    return Error(Code::corrupt, "not a tar stream of the announced kind: {}",
                 reason(state->handle));
  }
  return TarReader(std::move(state));
}

Result<TarReader> TarReader::open(std::string_view bytes, TarFilter filter,
                                  const TarLimits& limits) {
  return open(
      [bytes]() mutable -> Result<std::string_view> { return std::exchange(bytes, {}); }, filter,
      limits);
}

Result<bool> TarReader::next(TarEntry& entry) {
  State& state = *state_;
  // Read, not skipped: what is passed over counts against the limits too.
  while (!state.at_data_end) TRY(read());
  ::archive_entry* raw = nullptr;
  const int status = ::archive_read_next_header(state.handle, &raw);
  if (status == ARCHIVE_EOF) return false;
  if (state.source_error) return *state.source_error;
  if (status < ARCHIVE_WARN)
    return Error(Code::corrupt, "damaged tar stream after {} entries: {}", state.entries,
                 reason(state.handle));
  if (++state.entries > state.limits.entries)
    return Error(Code::invalid, "tar stream has more than {} entries", state.limits.entries);
  fill(raw, entry);
  TRY(check(entry, state.entries, state.limits));
  if (entry.size_bytes > state.limits.unpacked_bytes - state.unpacked_bytes)
    return Error(Code::invalid, "tar stream unpacks to more than {}",
                 human_bytes(state.limits.unpacked_bytes));
  state.unpacked_bytes += entry.size_bytes;
  state.at_data_end = entry.kind != TarKind::file || entry.size_bytes == 0;
  state.data_offset = 0;
  state.has_block = false;
  return true;
}

Result<std::string_view> TarReader::read() {
  State& state = *state_;
  if (state.at_data_end) return std::string_view();
  while (!state.has_block) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int status = ::archive_read_data_block(state.handle, &data, &size, &offset);
    if (state.source_error) return *state.source_error;
    if (status == ARCHIVE_EOF) {
      state.at_data_end = true;
      return std::string_view();
    }
    if (status < ARCHIVE_WARN)
      return Error(Code::corrupt, "damaged tar stream in entry {}: {}", state.entries,
                   reason(state.handle));
    state.block = std::string_view(static_cast<const char*>(data), size);
    state.block_offset = static_cast<uint64_t>(offset);
    // An empty block behind a hole is how libarchive says that a file ends with the hole.
    state.has_block = size > 0 || state.block_offset > state.data_offset;
  }
  if (state.block_offset > state.data_offset) {
    const uint64_t hole = std::min<uint64_t>(state.block_offset - state.data_offset, kZeroBytes);
    state.data_offset += hole;
    state.has_block = !state.block.empty() || state.block_offset > state.data_offset;
    return std::string_view(kZeros.data(), hole);
  }
  state.data_offset += state.block.size();
  state.has_block = false;
  return state.block;
}

uint64_t TarReader::position() const {
  return static_cast<uint64_t>(::archive_filter_bytes(state_->handle, 0));
}

Result<std::string> clean_tar_path(std::string_view raw) {
  if (raw.starts_with('/'))
    return Error(Code::invalid, "path '{}' is absolute, want one inside the archive",
                 printable(raw));
  std::string out;
  for (const std::string_view part : split(raw, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return Error(Code::invalid, "path '{}' has '..' in it", printable(raw));
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

}  // namespace kist::archive
