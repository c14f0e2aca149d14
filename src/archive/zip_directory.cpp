// Opening a zip: the end records, the central directory, and every check that needs no content.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <numeric>

#include "archive/zip.h"
#include "archive/zip_format.h"
#include "base/text.h"
#include "os/files.h"

namespace kist::archive {
namespace zip {

Result<void> read_exactly(const os::Fd& fd, uint64_t offset, char* into, size_t size) {
  while (size > 0) {
    const ssize_t got = ::pread(fd.get(), into, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read {} bytes at offset {}", size, offset);
    if (got == 0)
      return Error(Code::corrupt, "the file ends at offset {}, {} bytes too early", offset, size);
    into += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return {};
}

}  // namespace zip

using namespace zip;

namespace {

// Where the directory is, from the end records.
struct Extent {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

constexpr size_t kMaxName = 4095;       // PATH_MAX, without the NUL.
constexpr size_t kMaxComponent = 255;   // NAME_MAX of every file system that matters.
constexpr size_t kMaxDepth = 128;
// Deflate's best: 258 bytes for 2 bits (a length code and a distance code of one bit each).
constexpr uint64_t kDeflateRatio = 1032;

Error bad_name(std::string_view name, std::string_view why) {
  return Error(Code::invalid, "entry '{}' has a name {}", printable(name), why);
}

// Says what is wrong with one component, if anything.
Result<void> check_component(std::string_view name, std::string_view component) {
  if (component == "..") return bad_name(name, "that contains '..'");
  if (component.size() > kMaxComponent)
    return bad_name(name, fmt::format("with a component of {} bytes, more than {}",
                                      component.size(), kMaxComponent));
  return {};
}

Result<void> check_name(std::string_view name) {
  if (name.empty()) return Error(Code::invalid, "an entry has an empty name");
  if (name.size() > kMaxName)
    return bad_name(name, fmt::format("of {} bytes, more than {}", name.size(), kMaxName));
  if (name.front() == '/') return bad_name(name, "that is absolute");
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return bad_name(name, "with a NUL byte");
    if (byte < 0x20 || byte == 0x7f) return bad_name(name, "with a control character");
  }
  if (!is_valid_utf8(name)) return bad_name(name, "that is not UTF-8");
  return {};
}

// Fills `out` with the name without "." and empty components; returns whether that differs from
// the name (less the one trailing slash of a folder, which the caller has removed).
Result<bool> normalise(std::string_view name, std::string& out) {
  bool changed = false;
  size_t depth = 0;
  out.clear();
  for (const std::string_view component : split(name, '/')) {
    if (component.empty() || component == ".") {
      changed = true;
      continue;
    }
    TRY(check_component(name, component));
    if (++depth > kMaxDepth)
      return bad_name(name, fmt::format("of more than {} components", kMaxDepth));
    if (!out.empty()) out += '/';
    out += component;
  }
  return changed;
}

// The usual case, without building a string: nothing to normalise.
bool is_plain(std::string_view name) {
  return name.find("./") == std::string_view::npos && name.find("//") == std::string_view::npos &&
         name.find("/.") == std::string_view::npos && name != "." && name != ".." &&
         !name.empty() && name.back() != '/' && name.size() <= kMaxComponent &&
         static_cast<size_t>(std::count(name.begin(), name.end(), '/')) < kMaxDepth;
}

Result<Extent> read_end64(const os::Fd& fd, uint64_t end_offset, const Extent& old, bool& found) {
  found = false;
  if (end_offset < kLocator64Bytes + kEnd64Bytes) return old;
  char locator[kLocator64Bytes];
  TRY(read_exactly(fd, end_offset - kLocator64Bytes, locator, sizeof locator));
  if (u32(locator) != kLocator64Signature) return old;
  if (u32(locator + 4) != 0 || u32(locator + 16) > 1)
    return Error(Code::unsupported, "the zip spans several disks");
  const uint64_t at = u64(locator + 8);
  // Exactly before its locator: anything between could be a second truth. (So the extensible data
  // sector, which nobody writes, is refused.)
  if (at != end_offset - kLocator64Bytes - kEnd64Bytes)
    return Error(Code::invalid, "the zip64 end record is said to be at offset {}, want {}", at,
                 end_offset - kLocator64Bytes - kEnd64Bytes);
  char record[kEnd64Bytes];
  TRY(read_exactly(fd, at, record, sizeof record));
  if (u32(record) != kEnd64Signature || u64(record + 4) != kEnd64Bytes - 12)
    return Error(Code::invalid, "there is no zip64 end record at offset {}", at);
  if (u32(record + 16) != 0 || u32(record + 20) != 0)
    return Error(Code::unsupported, "the zip spans several disks");
  const Extent extent{
      .entries = u64(record + 32), .offset = u64(record + 48), .size_bytes = u64(record + 40)};
  if (u64(record + 24) != extent.entries)
    return Error(Code::invalid, "the zip64 end record counts {} and {} entries",
                 u64(record + 24), extent.entries);
  const bool agrees = (old.entries == kMax16 || old.entries == extent.entries) &&
                      (old.offset == kMax32 || old.offset == extent.offset) &&
                      (old.size_bytes == kMax32 || old.size_bytes == extent.size_bytes);
  if (!agrees) return Error(Code::invalid, "the two end records contradict each other");
  found = true;
  return extent;
}

// Finds the end record: the last one whose comment reaches exactly to the end of the file.
Result<Extent> find_directory(const os::Fd& fd, uint64_t file_bytes) {
  const size_t tail_bytes = static_cast<size_t>(std::min<uint64_t>(file_bytes, kEndBytes + kMax16));
  if (tail_bytes < kEndBytes)
    return Error(Code::invalid, "not a zip: {} bytes, shorter than an end record", file_bytes);
  std::string tail(tail_bytes, '\0');
  TRY(read_exactly(fd, file_bytes - tail_bytes, tail.data(), tail_bytes));
  size_t at = tail_bytes - kEndBytes;
  while (u32(tail.data() + at) != kEndSignature ||
         at + kEndBytes + u16(tail.data() + at + 20) != tail_bytes) {
    if (at-- == 0) return Error(Code::invalid, "not a zip, or cut off: it has no end record");
  }
  const char* end = tail.data() + at;
  const uint64_t end_offset = file_bytes - tail_bytes + at;
  const bool one_disk = (u16(end + 4) == 0 || u16(end + 4) == kMax16) &&
                        (u16(end + 6) == 0 || u16(end + 6) == kMax16);
  if (!one_disk) return Error(Code::unsupported, "the zip spans several disks");
  if (u16(end + 8) != u16(end + 10))
    return Error(Code::invalid, "the end record counts {} and {} entries", u16(end + 8),
                 u16(end + 10));
  const Extent old{.entries = u16(end + 10), .offset = u32(end + 16), .size_bytes = u32(end + 12)};
  bool is_zip64 = false;
  const Extent extent = TRY(read_end64(fd, end_offset, old, is_zip64));
  const uint64_t directory_end =
      is_zip64 ? end_offset - kLocator64Bytes - kEnd64Bytes : end_offset;
  if (extent.offset > directory_end || extent.size_bytes != directory_end - extent.offset)
    return Error(Code::invalid,
                 "the directory is said to have {} bytes from offset {}, but ends at {}",
                 extent.size_bytes, extent.offset, directory_end);
  return extent;
}

}  // namespace

// Builds a ZipFile step by step; only open() uses it.
class ZipDirectory {
 public:
  ZipDirectory(ZipFile& file, const ZipLimits& limits) : file_(file), limits_(limits) {}

  Result<void> read() {
    extent_ = TRY(find_directory(file_.fd_, file_.file_bytes_));
    TRY(check_extent());
    file_.directory_ = std::make_unique<std::string>(extent_.size_bytes, '\0');
    file_.normalised_names_ = std::make_unique<std::deque<std::string>>();
    TRY(read_exactly(file_.fd_, extent_.offset, file_.directory_->data(), extent_.size_bytes));
    file_.entries_.reserve(extent_.entries);
    std::string_view rest = *file_.directory_;
    for (uint64_t i = 0; i < extent_.entries; ++i) TRY(read_entry(rest));
    if (!rest.empty())
      return Error(Code::invalid, "the directory has {} bytes after its last entry", rest.size());
    TRY(check_total());
    return check_overlap();
  }

 private:
  Result<void> check_extent() const {
    if (extent_.entries > limits_.entries)
      return Error(Code::invalid, "{} entries, more than the limit of {}", extent_.entries,
                   limits_.entries);
    if (extent_.size_bytes > limits_.directory_bytes)
      return Error(Code::invalid, "a directory of {}, more than the limit of {}",
                   human_bytes(extent_.size_bytes), human_bytes(limits_.directory_bytes));
    // Before anything is reserved for a count that may be a lie.
    if (extent_.entries > extent_.size_bytes / kCentralBytes)
      return Error(Code::invalid, "a directory of {} bytes cannot hold {} entries",
                   extent_.size_bytes, extent_.entries);
    return {};
  }

  Result<void> read_entry(std::string_view& rest) {
    if (rest.size() < kCentralBytes || u32(rest.data()) != kCentralSignature)
      return Error(Code::invalid, "entry {} of the directory has no header",
                   file_.entries_.size() + 1);
    const char* header = rest.data();
    const size_t name_bytes = u16(header + 28);
    const size_t extra_bytes = u16(header + 30);
    const size_t comment_bytes = u16(header + 32);
    const size_t total = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    if (rest.size() < total)
      return Error(Code::invalid, "entry {} of the directory is cut off",
                   file_.entries_.size() + 1);
    ZipEntry entry;
    entry.raw_name = rest.substr(kCentralBytes, name_bytes);
    entry.flags = u16(header + 8);
    entry.method = u16(header + 10);
    entry.crc = u32(header + 16);
    entry.packed_bytes = u32(header + 20);
    entry.size_bytes = u32(header + 24);
    entry.header_offset = u32(header + 42);
    // Whatever system made it: that is what Python's zipfile does, and others follow it.
    entry.unix_mode = static_cast<uint16_t>(u32(header + 38) >> 16);
    const std::string_view extra = rest.substr(kCentralBytes + name_bytes, extra_bytes);
    TRY(set_name(entry, extra));
    TRY(widen(entry, extra, u16(header + 34)));
    TRY(check_entry(entry));
    rest.remove_prefix(total);
    file_.entries_.push_back(entry);
    return {};
  }

  Result<void> set_name(ZipEntry& entry, std::string_view extra) {
    std::string_view name = entry.raw_name;
    TRY(check_name(name));
    // The field carries version, CRC and a second name, which some readers prefer.
    if (const auto field = extra_field(extra, kExtraUnicodePath);
        field && (field->size() < 5 || field->substr(5) != name))
      return Error(Code::invalid, "entry '{}' has a second name", printable(name));
    if (name.back() == '/') {
      entry.is_folder = true;
      name.remove_suffix(1);
    }
    entry.name = name;
    if (is_plain(name)) return {};
    std::string normal;
    const bool changed = TRY(normalise(name, normal));
    if (changed) entry.name = file_.normalised_names_->emplace_back(std::move(normal));
    if (entry.name.empty() && !entry.is_folder) return bad_name(entry.raw_name, "without a file");
    return {};
  }

  // Replaces the fields that say "see the zip64 field" by its values, which stand in this order.
  static Result<void> widen(ZipEntry& entry, std::string_view extra, uint16_t disk) {
    std::string_view field = extra_field(extra, kExtraZip64).value_or(std::string_view());
    for (uint64_t* value : {&entry.size_bytes, &entry.packed_bytes, &entry.header_offset}) {
      if (*value != kMax32) continue;
      if (field.size() < 8)
        return Error(Code::invalid, "entry '{}' lacks its zip64 sizes", printable(entry.raw_name));
      *value = u64(field.data());
      field.remove_prefix(8);
    }
    if (disk != 0 && disk != kMax16)
      return Error(Code::unsupported, "entry '{}' is on another disk", printable(entry.raw_name));
    return {};
  }

  Result<void> check_entry(const ZipEntry& entry) {
    const std::string name = printable(entry.raw_name);
    constexpr uint16_t kUnreadable =
        kFlagEncrypted | kFlagPatched | kFlagStrongEncryption | kFlagMaskedHeaders;
    if ((entry.flags & kUnreadable) != 0)
      return Error(Code::unsupported, "entry '{}' is encrypted or patched", name);
    if (entry.method != kStored && entry.method != kDeflate)
      return Error(Code::unsupported, "entry '{}' has compression method {}, want stored or deflate",
                   name, entry.method);
    if (entry.is_folder && entry.size_bytes != 0)
      return Error(Code::invalid, "entry '{}' is a folder with content", name);
    if (entry.method == kStored && entry.size_bytes != entry.packed_bytes)
      return Error(Code::invalid, "entry '{}' is stored, but {} and {} bytes long", name,
                   entry.packed_bytes, entry.size_bytes);
    if (entry.method == kDeflate && entry.size_bytes / kDeflateRatio > entry.packed_bytes)
      return Error(Code::invalid, "entry '{}' says that it unpacks from {} to {} bytes", name,
                   entry.packed_bytes, entry.size_bytes);
    total_bytes_ += entry.size_bytes;
    if (entry.size_bytes > limits_.unpacked_bytes || total_bytes_ > limits_.unpacked_bytes)
      return Error(Code::invalid, "unpacks to more than the limit of {}",
                   human_bytes(limits_.unpacked_bytes));
    return {};
  }

  Result<void> check_total() const {
    if (total_bytes_ > limits_.ratio_floor_bytes &&
        total_bytes_ / limits_.ratio > file_.file_bytes_)
      return Error(Code::invalid, "unpacks from {} to {}, more than {} times as much",
                   human_bytes(file_.file_bytes_), human_bytes(total_bytes_), limits_.ratio);
    return {};
  }

  // Each entry may use the bytes from its header to the next one's, and no more: no byte is two
  // things, and a small archive cannot be unpacked to a huge one by describing its bytes often.
  Result<void> check_overlap() {
    std::vector<ZipEntry>& entries = file_.entries_;
    std::vector<uint32_t> order(entries.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto by_offset = [&](uint32_t a, uint32_t b) {
      return entries[a].header_offset < entries[b].header_offset;
    };
    if (!std::is_sorted(order.begin(), order.end(), by_offset))
      std::sort(order.begin(), order.end(), by_offset);
    uint64_t limit = extent_.offset;
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      ZipEntry& entry = entries[*it];
      const uint64_t header_bytes = kLocalBytes + entry.raw_name.size();
      if (entry.header_offset >= limit || limit - entry.header_offset < header_bytes ||
          limit - entry.header_offset - header_bytes < entry.packed_bytes)
        return Error(Code::invalid, "entry '{}' overlaps what follows it",
                     printable(entry.raw_name));
      entry.end_limit = limit;
      limit = entry.header_offset;
    }
    return {};
  }

  ZipFile& file_;
  const ZipLimits& limits_;
  Extent extent_;
  uint64_t total_bytes_ = 0;
};

Result<ZipFile> ZipFile::open(const std::string& path, const ZipLimits& limits) {
  ZipFile file;
  file.fd_ = TRY(os::open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat st = {};
  if (::fstat(file.fd_.get(), &st) != 0)
    return Error::from_errno(errno, "stat '{}'", printable(path));
  if (!S_ISREG(st.st_mode))
    return Error(Code::invalid, "'{}' is not a regular file", printable(path));
  file.file_bytes_ = static_cast<uint64_t>(st.st_size);
  TRY(ZipDirectory(file, limits).read(), "reading zip '{}'", printable(path));
  return file;
}

const ZipEntry* ZipFile::find(std::string_view name) const {
  for (const ZipEntry& entry : entries_)
    if (entry.name == name) return &entry;
  return nullptr;
}

}  // namespace kist::archive
