#include "store/tree.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/text.h"
#include "store/tree_rules.h"

namespace kist::store {
namespace {

// '/' first, so that a folder's content follows it directly: "a", "a/b", "a-b".
int rank_of(char c) { return c == '/' ? -1 : static_cast<unsigned char>(c); }

bool is_inside(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' && path.starts_with(folder);
}

Entry make_folder(std::string_view path) {
  Entry entry;
  entry.path = std::string(path);
  entry.kind = Kind::folder;
  entry.mode = 0755;
  return entry;
}

// Takes entries in path order, adds missing parents, refuses what contradicts.
class Assembler {
 public:
  explicit Assembler(size_t expected) { entries_.reserve(expected + expected / 8); }

  Result<void> add(Entry entry) {
    if (!entries_.empty() && entries_.back().path == entry.path) {
      if (entries_.back() == entry) return {};
      return Error(Code::invalid, "'{}' occurs twice with different entries",
                   printable(entry.path));
    }
    while (!open_.empty() && !is_inside(entry.path, entries_[open_.back()].path)) open_.pop_back();
    const size_t base = open_.empty() ? 0 : entries_[open_.back()].path.size() + 1;
    TRY(add_parents(entry.path, base));
    if (entry.kind == Kind::folder) open_.push_back(entries_.size());
    entries_.push_back(std::move(entry));
    return {};
  }

  std::vector<Entry> finish() && { return std::move(entries_); }

 private:
  Result<void> add_parents(std::string_view path, size_t base) {
    for (size_t slash = path.find('/', base); slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      const std::string_view parent = path.substr(0, slash);
      // In path order nothing can stand between a path and the first thing below it.
      if (!entries_.empty() && entries_.back().path == parent) {
        return Error(Code::invalid, "'{}' is a {} and cannot hold '{}'", printable(parent),
                     kind_name(entries_.back().kind), printable(path));
      }
      open_.push_back(entries_.size());
      entries_.push_back(make_folder(parent));
    }
    return {};
  }

  std::vector<Entry> entries_;
  std::vector<size_t> open_;  // Indexes of the folders that lead to the last entry.
};

}  // namespace

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t limit = std::min(a.size(), b.size());
  size_t i = 0;
  // Eight bytes at a time: neighbours in a tree share prefixes of some 60 bytes.
  for (; i + 8 <= limit; i += 8) {
    uint64_t x;
    uint64_t y;
    std::memcpy(&x, a.data() + i, 8);
    std::memcpy(&y, b.data() + i, 8);
    if (x == y) continue;
    const int bits = std::endian::native == std::endian::little ? std::countr_zero(x ^ y)
                                                                : std::countl_zero(x ^ y);
    return i + static_cast<size_t>(bits) / 8;
  }
  while (i < limit && a[i] == b[i]) ++i;
  return i;
}

bool path_less(std::string_view a, std::string_view b) {
  const size_t i = common_prefix(a, b);
  if (i == a.size() || i == b.size()) return a.size() < b.size();
  return rank_of(a[i]) < rank_of(b[i]);
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::folder:
      return "folder";
    case Kind::file:
      return "file";
    case Kind::symlink:
      return "symlink";
  }
  return "unknown kind";
}

Result<void> check_path(std::string_view path, size_t from) {
  if (path.empty()) return Error(Code::invalid, "a path is empty");
  if (path.size() > kMaxPathBytes) {
    return Error(Code::invalid, "path '{}' has {} bytes, more than {}", printable(path, 60),
                 path.size(), kMaxPathBytes);
  }
  if (path.front() == '/')
    return Error(Code::invalid, "path '{}' starts with '/'", printable(path));
  if (path.find('\0', from) != std::string_view::npos)
    return Error(Code::invalid, "path '{}' has a NUL byte", printable(path));
  // The component that holds the first unknown byte is looked at from its start.
  size_t start = from == 0 ? 0 : path.rfind('/', from - 1) + 1;  // npos + 1 is 0.
  while (true) {
    const size_t slash = std::min(path.find('/', start), path.size());
    const std::string_view name = path.substr(start, slash - start);
    if (name.empty()) {
      return Error(Code::invalid, "path '{}' has an empty component at offset {}", printable(path),
                   start);
    }
    if (name == "." || name == "..")
      return Error(Code::invalid, "path '{}' has the component '{}'", printable(path), name);
    if (name.size() > kMaxNameBytes) {
      return Error(Code::invalid, "path '{}' has a component of {} bytes, more than {}",
                   printable(path, 60), name.size(), kMaxNameBytes);
    }
    if (slash == path.size()) return {};
    start = slash + 1;
  }
}

namespace {

Result<void> check_xattrs(const Entry& entry) {
  if (entry.xattrs.size() > kMaxXattrs) {
    return Error(Code::invalid, "'{}' has {} extended attributes, more than {}",
                 printable(entry.path), entry.xattrs.size(), kMaxXattrs);
  }
  const std::string* before = nullptr;
  for (const auto& [name, value] : entry.xattrs) {
    if (name.empty() || name.size() > kMaxXattrNameBytes || name.find('\0') != std::string::npos) {
      return Error(Code::invalid, "'{}' has an extended attribute with the bad name '{}'",
                   printable(entry.path), printable(name, 60));
    }
    if (value.size() > kMaxXattrBytes) {
      return Error(Code::invalid, "'{}' has {} bytes in the extended attribute '{}', more than {}",
                   printable(entry.path), value.size(), printable(name), kMaxXattrBytes);
    }
    if (before != nullptr && *before >= name) {
      return Error(Code::invalid, "'{}' has its extended attributes out of order at '{}'",
                   printable(entry.path), printable(name));
    }
    before = &name;
  }
  return {};
}

}  // namespace

Result<void> check_fields(const Entry& entry) {
  const bool is_file = entry.kind == Kind::file;
  if (entry.kind != Kind::folder && !is_file && entry.kind != Kind::symlink) {
    return Error(Code::invalid, "'{}' has the unknown kind {}", printable(entry.path),
                 static_cast<int>(entry.kind));
  }
  if (entry.mode > 07777)
    return Error(Code::invalid, "'{}' has the mode {:o}, more than 7777", printable(entry.path),
                 entry.mode);
  if (entry.kind == Kind::symlink) {
    if (entry.target.empty())
      return Error(Code::invalid, "symlink '{}' has no target", printable(entry.path));
    if (entry.target.size() > kMaxTargetBytes) {
      return Error(Code::invalid, "symlink '{}' has a target of {} bytes, more than {}",
                   printable(entry.path), entry.target.size(), kMaxTargetBytes);
    }
    if (entry.target.find('\0') != std::string::npos)
      return Error(Code::invalid, "symlink '{}' has a NUL byte in its target",
                   printable(entry.path));
  } else if (!entry.target.empty()) {
    return Error(Code::invalid, "{} '{}' has a link target", kind_name(entry.kind),
                 printable(entry.path));
  }
  if (is_file != entry.object.has_value()) {
    return Error(Code::invalid, "{} '{}' has {} object", kind_name(entry.kind),
                 printable(entry.path), is_file ? "no" : "an");
  }
  if (entry.size_bytes > (is_file ? kMaxFileBytes : 0)) {
    return Error(Code::invalid, "{} '{}' has the size {}", kind_name(entry.kind),
                 printable(entry.path), entry.size_bytes);
  }
  return entry.xattrs.empty() ? Result<void>() : check_xattrs(entry);
}

Result<Tree> Tree::make(std::vector<Entry> entries) {
  if (entries.size() > kMaxEntries)
    return Error(Code::invalid, "{} entries, more than {}", entries.size(), kMaxEntries);
  for (Entry& entry : entries) {
    // A link has no permissions of its own; one spelling, so that equal links are equal entries.
    if (entry.kind == Kind::symlink) entry.mode = 0777;
    TRY(check_path(entry.path));
    TRY(check_fields(entry));
  }
  // Pointers are sorted, not entries, which are 200 bytes each.
  std::vector<Entry*> order(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) order[i] = &entries[i];
  const auto less = [](const Entry* a, const Entry* b) { return path_less(a->path, b->path); };
  if (!std::is_sorted(order.begin(), order.end(), less))
    std::stable_sort(order.begin(), order.end(), less);
  Assembler assembler(entries.size());
  for (Entry* entry : order) TRY(assembler.add(std::move(*entry)));
  Tree tree;
  tree.entries_ = std::move(assembler).finish();
  return tree;
}

oci::Digest Tree::digest() const { return oci::Sha256::of(encode()); }

const Entry* Tree::find(std::string_view path) const {
  const auto at = std::lower_bound(
      entries_.begin(), entries_.end(), path,
      [](const Entry& entry, std::string_view wanted) { return path_less(entry.path, wanted); });
  return at != entries_.end() && at->path == path ? &*at : nullptr;
}

uint64_t Tree::size_bytes() const {
  uint64_t sum = 0;
  for (const Entry& entry : entries_) sum += entry.size_bytes;
  return sum;
}

}  // namespace kist::store
