// Where everything of an EROFS image will lie: the first of the writer's two passes.
// Module-private; erofs_writer.cpp tells what the format is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/tree.h"

namespace kist::store::erofs {

inline constexpr uint64_t kBlock = 4096;
inline constexpr unsigned kBlockBits = 12;
inline constexpr uint64_t kSuperblockOffset = 1024;
inline constexpr uint64_t kSuperblockBytes = 128;
inline constexpr uint64_t kSlot = 32;  // Inodes are addressed in units of this.
inline constexpr uint64_t kXattrHeaderBytes = 12;
inline constexpr uint32_t kHole = 0xffffffff;
inline constexpr std::string_view kUserPrefix = "user.";
inline constexpr std::string_view kRedirect = "overlay.redirect";  // After "trusted.".
inline constexpr std::string_view kCapability = "capability";  // After "security.".
inline constexpr std::string_view kMetacopy = "overlay.metacopy";

enum class Layout : uint16_t { plain = 0, inlined = 2, chunks = 4 };

constexpr uint64_t align(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

uint64_t xattr_entry_bytes(size_t name_bytes, size_t value_bytes);
/// Chunks of a file are this power of two: as few as possible.
unsigned chunk_bits(uint64_t size_bytes);
/// Where overlayfs finds the content of `file` in a data-only layer: "/ab/<62 hex>".
std::string redirect_of(const Entry& file);

/// One inode and what follows it.
struct Node {
  uint64_t offset = 0;         // Of the inode, in the image.
  uint64_t content_bytes = 0;  // Of a folder's or symlink's content; a file's size.
  uint32_t xattr_bytes = 0;
  uint32_t parent = 0;
  uint32_t first_child = 0;  // In Plan::children_.
  uint32_t child_count = 0;
  uint32_t folder_count = 0;  // Among the children.
  uint32_t first_block = 0;   // Relative to the start of the content.
  uint32_t block_count = 0;   // There.
  uint32_t inline_bytes = 0;
  Layout layout = Layout::plain;
  bool extended = false;

  uint64_t head_bytes() const { return (extended ? 64u : 32u) + xattr_bytes; }
  uint64_t id() const { return offset / kSlot; }
};

class Plan {
 public:
  /// The tree must outlive the plan. Errors: unsupported.
  static Result<Plan> make(const Tree& tree);

  /// Node 0 is the root, which a tree does not list; node i is entry i - 1.
  const std::vector<Node>& nodes() const { return nodes_; }
  const Entry& entry_of(size_t i) const { return i == 0 ? root_ : (*entries_)[i - 1]; }
  /// Bytes before the blocks of content.
  uint64_t content_start() const { return content_start_; }
  uint64_t total_blocks() const { return total_blocks_; }
  /// A folder's entries or a symlink's target.
  std::string content_of(uint32_t i) const;

 private:
  explicit Plan(const Tree& tree);
  void find_children();
  template <class Visit>
  void each_name(uint32_t folder, Visit visit) const;
  uint64_t folder_bytes(uint32_t folder) const;
  std::string folder_content(uint32_t folder) const;
  Result<void> place();

  const std::vector<Entry>* entries_;
  Entry root_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> children_;
  uint64_t content_start_ = 0;
  uint64_t total_blocks_ = 0;
};

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  for (size_t i = 0; i < sizeof(T); ++i)
    bytes[i] = static_cast<char>((static_cast<uint64_t>(value) >> (8 * i)) & 0xff);
  out.append(bytes, sizeof(T));
}

}  // namespace kist::store::erofs
