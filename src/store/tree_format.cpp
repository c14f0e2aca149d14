// The bytes of a tree; docs/formats/tree.md. One tree has one encoding, because its sha256 is the
// tree's name: the reader refuses every spelling that the writer would not have chosen.

#include <algorithm>

#include "base/text.h"
#include "store/tree.h"
#include "store/tree_rules.h"

namespace kist::store {
namespace {

constexpr std::string_view kMagic = "kist tree\n";
constexpr uint64_t kVersion = 1;
// Suffix length, one byte of suffix, shared length, kind, mode, uid, gid, mtime, xattr count.
constexpr size_t kMinEntryBytes = 9;
// Shared prefixes make small inputs large: without a limit 1 MB could ask for 400 MB of paths.
constexpr uint64_t kMaxPathBytesInAll = 1ull << 29;

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

// Times are stored relative to kTreeTime, which nearly all have. Unsigned, so that it may wrap.
uint64_t zigzag_of(int64_t mtime_s) {
  const int64_t delta =
      static_cast<int64_t>(static_cast<uint64_t>(mtime_s) - static_cast<uint64_t>(kTreeTime));
  return (static_cast<uint64_t>(delta) << 1) ^ static_cast<uint64_t>(delta >> 63);
}

int64_t mtime_of(uint64_t zigzag) {
  const uint64_t delta = (zigzag >> 1) ^ (~(zigzag & 1) + 1);
  return static_cast<int64_t>(delta + static_cast<uint64_t>(kTreeTime));
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes), total_(bytes.size()) {}

  size_t offset() const { return total_ - rest_.size(); }
  bool at_end() const { return rest_.empty(); }
  size_t left() const { return rest_.size(); }

  // False at the end, above `limit`, and for a spelling longer than needed.
  bool varint(uint64_t limit, uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return false;
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return false;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return (byte != 0 || shift == 0) && value <= limit;
    }
    return false;
  }

  bool bytes(size_t count, std::string_view& out) {
    if (count > rest_.size()) return false;
    out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return true;
  }

  bool text(size_t limit, std::string_view& out) {
    uint64_t length = 0;
    return varint(limit, length) && bytes(length, out);
  }

 private:
  std::string_view rest_;
  size_t total_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : in_(bytes) {}

  Result<std::vector<Entry>> run() {
    TRY(read_header());
    entries_.reserve(count_);
    while (entries_.size() < count_) {
      Entry& entry = entries_.emplace_back();
      if (!read_path(entry)) return broken("path");
      TRY(check_place(entry));
      if (!read_fields(entry)) return broken("fields");
      const Result<void> fields = check_fields(entry);
      if (!fields) return refused(fields.error());
      if (entry.kind == Kind::folder) open_.push_back(entries_.size() - 1);
    }
    if (!in_.at_end()) {
      return Error(Code::corrupt, "tree has {} bytes after its last entry", in_.left());
    }
    return std::move(entries_);
  }

 private:
  Result<void> read_header() {
    std::string_view magic;
    if (!in_.bytes(kMagic.size(), magic) || magic != kMagic)
      return Error(Code::corrupt, "not a tree: it does not begin with 'kist tree'");
    uint64_t version = 0;
    if (!in_.varint(UINT64_MAX, version)) return Error(Code::corrupt, "tree has no version");
    if (version != kVersion) {
      return Error(Code::unsupported, "tree has the version {}, this kist reads {}", version,
                   kVersion);
    }
    if (!in_.varint(kMaxEntries, count_) || count_ > in_.left() / kMinEntryBytes)
      return Error(Code::corrupt, "tree has a bad number of entries");
    return {};
  }

  bool read_path(Entry& entry) {
    const std::string_view before = previous();
    uint64_t shared = 0;
    std::string_view suffix;
    if (!in_.varint(before.size(), shared) || !in_.text(kMaxPathBytes, suffix) || suffix.empty())
      return false;
    path_bytes_ += shared + suffix.size();
    if (path_bytes_ > kMaxPathBytesInAll) return false;
    entry.path.reserve(shared + suffix.size());
    entry.path.append(before.substr(0, shared));
    entry.path.append(suffix);
    shared_ = shared;
    return true;
  }

  // In order, with the longest shared prefix, below a folder that is there.
  Result<void> check_place(const Entry& entry) {
    const Result<void> path = check_path(entry.path, shared_);
    if (!path) return refused(path.error());
    const std::string_view before = previous();
    // The suffix is not empty, so only `before` can end where the shared prefix does.
    if (shared_ < before.size() &&
        (before[shared_] == entry.path[shared_] || !path_less(before, entry.path))) {
      return Error(Code::corrupt, "tree entry {}: '{}' does not come after '{}'", number(),
                   printable(entry.path), printable(before));
    }
    // What is open leads to the entry before, of which the first shared_ bytes are ours too.
    while (!open_.empty() && !leads_here(entries_[open_.back()].path, entry.path)) open_.pop_back();
    const size_t have = open_.empty() ? 0 : entries_[open_.back()].path.size() + 1;
    if (entry.path.find('/', have) != std::string::npos) {
      return Error(Code::corrupt, "tree entry {}: '{}' has no parent folder", number(),
                   printable(entry.path));
    }
    return {};
  }

  bool leads_here(std::string_view folder, std::string_view path) const {
    return folder.size() <= shared_ && path.size() > folder.size() && path[folder.size()] == '/';
  }

  bool read_fields(Entry& entry) {
    uint64_t kind = 0;
    uint64_t mode = 0;
    uint64_t uid = 0;
    uint64_t gid = 0;
    uint64_t time = 0;
    if (!in_.varint(3, kind) || !in_.varint(07777, mode) || !in_.varint(UINT32_MAX, uid) ||
        !in_.varint(UINT32_MAX, gid) || !in_.varint(UINT64_MAX, time))
      return false;
    entry.kind = static_cast<Kind>(kind);
    entry.mode = static_cast<uint32_t>(mode);
    entry.uid = static_cast<uint32_t>(uid);
    entry.gid = static_cast<uint32_t>(gid);
    entry.mtime_s = mtime_of(time);
    if (entry.kind == Kind::symlink && mode != 0777) return false;
    return read_content(entry) && read_xattrs(entry);
  }

  bool read_content(Entry& entry) {
    std::string_view text;
    if (entry.kind == Kind::file) {
      if (!in_.varint(kMaxFileBytes, entry.size_bytes)) return false;
      if (!in_.bytes(oci::Digest::kBytes, text)) return false;
      oci::Digest::Bytes digest;
      std::copy(text.begin(), text.end(), digest.begin());
      entry.object.emplace(digest);
    } else if (entry.kind == Kind::symlink) {
      if (!in_.text(kMaxTargetBytes, text)) return false;
      entry.target = text;
    }
    return true;
  }

  bool read_xattrs(Entry& entry) {
    uint64_t count = 0;
    if (!in_.varint(kMaxXattrs, count)) return false;
    for (; count > 0; --count) {
      std::string_view name;
      std::string_view value;
      if (!in_.text(kMaxXattrNameBytes, name) || !in_.text(kMaxXattrBytes, value)) return false;
      entry.xattrs.emplace_back(name, value);
    }
    return true;
  }

  std::string_view previous() const {
    return entries_.size() < 2 ? std::string_view() : entries_[entries_.size() - 2].path;
  }
  size_t number() const { return entries_.size(); }

  Error broken(std::string_view what) const {
    return Error(Code::corrupt, "tree entry {}: bad {} before offset {}", number(), what,
                 in_.offset());
  }
  Error refused(const Error& why) const {
    return Error(Code::corrupt, "tree entry {}: {}", number(), why.message());
  }

  Reader in_;
  uint64_t count_ = 0;
  uint64_t path_bytes_ = 0;
  size_t shared_ = 0;  // Of the entry being read.
  std::vector<Entry> entries_;
  std::vector<size_t> open_;  // Indexes of the folders that lead to the last entry.
};

}  // namespace

std::string Tree::encode() const {
  constexpr size_t kTypicalEntryBytes = 64;
  std::string out;
  out.reserve(kMagic.size() + 16 + entries_.size() * kTypicalEntryBytes);
  out += kMagic;
  put_varint(out, kVersion);
  put_varint(out, entries_.size());
  std::string_view before;
  for (const Entry& entry : entries_) {
    const size_t shared = common_prefix(before, entry.path);
    put_varint(out, shared);
    put_text(out, std::string_view(entry.path).substr(shared));
    put_varint(out, static_cast<uint64_t>(entry.kind));
    put_varint(out, entry.mode);
    put_varint(out, entry.uid);
    put_varint(out, entry.gid);
    put_varint(out, zigzag_of(entry.mtime_s));
    if (entry.kind == Kind::file) {
      put_varint(out, entry.size_bytes);
      const auto& digest = entry.object->bytes();
      out.append(digest.begin(), digest.end());
    } else if (entry.kind == Kind::symlink) {
      put_text(out, entry.target);
    }
    put_varint(out, entry.xattrs.size());
    for (const auto& [name, value] : entry.xattrs) {
      put_text(out, name);
      put_text(out, value);
    }
    before = entry.path;
  }
  return out;
}

Result<Tree> Tree::decode(std::string_view bytes) {
  Tree tree;
  tree.entries_ = TRY(Decoder(bytes).run());
  return tree;
}

}  // namespace kist::store
