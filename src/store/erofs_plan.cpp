#include "store/erofs_plan.h"

#include <algorithm>
#include <bit>

#include "base/text.h"
#include "store/erofs_writer.h"
#include "store/layout.h"

namespace kist::store::erofs {
namespace {

constexpr uint64_t kDirentBytes = 12;
constexpr uint64_t kXattrEntryBytes = 4;
constexpr uint64_t kMaxXattrBytesOfInode = 64u << 10;
constexpr unsigned kMaxChunkBits = kBlockBits + 31;

std::string_view name_in_folder(const Entry& entry) {
  return std::string_view(entry.path).substr(entry.path.rfind('/') + 1);  // npos + 1 is 0.
}

uint8_t file_type(Kind kind) {
  switch (kind) {
    case Kind::file:
      return 1;
    case Kind::folder:
      return 2;
    case Kind::symlink:
      return 7;
  }
  return 0;
}

Result<uint32_t> xattr_bytes_of(const Entry& entry) {
  uint64_t bytes = 0;
  for (const auto& [name, value] : entry.xattrs) {
    const bool is_capability = name == kCapabilityXattr;
    if (!is_shown_xattr(name) && !is_capability) continue;
    if (value.size() > UINT16_MAX) bytes = kMaxXattrBytesOfInode;
    const size_t suffix = is_capability ? kCapability.size() : name.size() - kUserPrefix.size();
    bytes += xattr_entry_bytes(suffix, value.size());
  }
  if (entry.kind == Kind::file && entry.size_bytes > 0) {
    bytes += xattr_entry_bytes(kMetacopy.size(), 0);
    bytes += xattr_entry_bytes(kRedirect.size(), redirect_of(entry).size());
  }
  if (bytes > kMaxXattrBytesOfInode) {
    return Error(Code::unsupported, "'{}' has more than {} of extended attributes",
                 printable(entry.path), human_bytes(kMaxXattrBytesOfInode));
  }
  return static_cast<uint32_t>(bytes == 0 ? 0 : bytes + kXattrHeaderBytes);
}

// Links and sizes beyond 16 and 32 bits, and times other than the superblock's, need the long form.
bool needs_extended(const Node& node, const Entry& entry) {
  return entry.mtime_s != kTreeTime || entry.uid > UINT16_MAX || entry.gid > UINT16_MAX ||
         node.content_bytes > UINT32_MAX || node.folder_count + 2 > UINT16_MAX;
}

void plan_file(Node& node) {
  if (node.content_bytes == 0) return;
  node.layout = Layout::chunks;
  const unsigned bits = chunk_bits(node.content_bytes);
  const uint64_t chunks = ((node.content_bytes - 1) >> bits) + 1;
  node.inline_bytes = static_cast<uint32_t>(chunks * sizeof kHole);
}

// The tail of the content goes behind the inode when both fit into one block, where the kernel
// wants the tail whole; `next` is moved to the next block if they do not fit into this one.
void plan_content(Node& node, uint64_t& next, uint32_t& next_block) {
  const uint64_t tail = node.content_bytes % kBlock;
  const uint64_t head = node.head_bytes();
  const bool fits = tail != 0 && head + tail <= kBlock;
  node.layout = fits ? Layout::inlined : Layout::plain;
  node.inline_bytes = fits ? static_cast<uint32_t>(tail) : 0;
  if (fits && (next + head) % kBlock + tail > kBlock) next = align(next, kBlock);
  node.first_block = next_block;
  node.block_count =
      static_cast<uint32_t>((node.content_bytes - node.inline_bytes + kBlock - 1) / kBlock);
  next_block += node.block_count;
}

}  // namespace

uint64_t xattr_entry_bytes(size_t name_bytes, size_t value_bytes) {
  return align(kXattrEntryBytes + name_bytes + value_bytes, 4);
}

unsigned chunk_bits(uint64_t size_bytes) {
  const auto needed = static_cast<unsigned>(std::bit_width(size_bytes - 1));
  return std::clamp(needed, kBlockBits, kMaxChunkBits);
}

std::string redirect_of(const Entry& file) {
  std::string path = object_name(*file.object, file.mode);
  path.insert(0, 1, '/');
  return path;
}

Plan::Plan(const Tree& tree) : entries_(&tree.entries()), nodes_(entries_->size() + 1) {
  root_.kind = Kind::folder;
  root_.mode = 0755;
}

Result<Plan> Plan::make(const Tree& tree) {
  Plan plan(tree);
  plan.find_children();
  TRY(plan.place());
  return plan;
}

void Plan::find_children() {
  std::vector<uint32_t> open = {0};
  for (uint32_t i = 1; i < nodes_.size(); ++i) {
    const std::string_view path = entry_of(i).path;
    const size_t slash = path.rfind('/');
    const std::string_view parent = path.substr(0, slash == path.npos ? 0 : slash);
    while (open.size() > 1 && entry_of(open.back()).path != parent) open.pop_back();
    Node& above = nodes_[open.back()];
    nodes_[i].parent = open.back();
    ++above.child_count;
    if (entry_of(i).kind == Kind::folder) {
      ++above.folder_count;
      open.push_back(i);
    }
  }
  uint32_t next = 0;
  for (Node& node : nodes_) {
    node.first_child = next;
    next += node.child_count;
    node.child_count = 0;
  }
  children_.resize(next);
  // In the order of the tree, which for the names in one folder is that of their bytes, as EROFS
  // demands it for its binary search.
  for (uint32_t i = 1; i < nodes_.size(); ++i) {
    Node& above = nodes_[nodes_[i].parent];
    children_[above.first_child + above.child_count++] = i;
  }
}

// Calls visit(name, node) for all that a folder lists, in order, "." and ".." among them.
template <class Visit>
void Plan::each_name(uint32_t folder, Visit visit) const {
  const Node& node = nodes_[folder];
  const std::pair<std::string_view, uint32_t> dots[] = {{".", folder}, {"..", node.parent}};
  size_t dot = 0;
  for (uint32_t i = 0; i < node.child_count; ++i) {
    const uint32_t child = children_[node.first_child + i];
    const std::string_view name = name_in_folder(entry_of(child));
    for (; dot < 2 && dots[dot].first < name; ++dot) visit(dots[dot].first, dots[dot].second);
    visit(name, child);
  }
  for (; dot < 2; ++dot) visit(dots[dot].first, dots[dot].second);
}

uint64_t Plan::folder_bytes(uint32_t folder) const {
  uint64_t full = 0;
  uint64_t used = 0;
  each_name(folder, [&](std::string_view name, uint32_t) {
    const uint64_t need = kDirentBytes + name.size();
    if (used + need > kBlock) {
      full += kBlock;
      used = 0;
    }
    used += need;
  });
  return full + used;
}

// The content of a folder: blocks, each with its entries first and then their names.
std::string Plan::folder_content(uint32_t folder) const {
  std::string out;
  std::vector<std::pair<std::string_view, uint32_t>> block;
  uint64_t used = 0;
  const auto write_block = [&] {
    out.resize(align(out.size(), kBlock));
    uint64_t name_offset = block.size() * kDirentBytes;
    for (const auto& [name, node] : block) {
      put<uint64_t>(out, nodes_[node].id());
      put<uint16_t>(out, static_cast<uint16_t>(name_offset));
      put<uint8_t>(out, file_type(entry_of(node).kind));
      put<uint8_t>(out, 0);
      name_offset += name.size();
    }
    for (const auto& [name, node] : block) out += name;
    block.clear();
    used = 0;
  };
  each_name(folder, [&](std::string_view name, uint32_t node) {
    const uint64_t need = kDirentBytes + name.size();
    if (used + need > kBlock) write_block();
    block.emplace_back(name, node);
    used += need;
  });
  write_block();
  return out;
}

std::string Plan::content_of(uint32_t i) const {
  const Entry& entry = entry_of(i);
  return entry.kind == Kind::folder ? folder_content(i) : entry.target;
}

Result<void> Plan::place() {
  uint64_t next = kSuperblockOffset + kSuperblockBytes;
  uint32_t next_block = 0;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    const Entry& entry = entry_of(i);
    node.xattr_bytes = TRY(xattr_bytes_of(entry));
    node.content_bytes = entry.kind == Kind::folder ? folder_bytes(i)
                         : entry.kind == Kind::file ? entry.size_bytes
                                                    : entry.target.size();
    node.extended = needs_extended(node, entry);
    if (entry.kind == Kind::file) {
      plan_file(node);
    } else {
      plan_content(node, next, next_block);
    }
    node.offset = next;
    next = align(next + node.head_bytes() + node.inline_bytes, kSlot);
  }
  content_start_ = align(next, kBlock);
  total_blocks_ = content_start_ / kBlock + next_block;
  return {};
}

}  // namespace kist::store::erofs
