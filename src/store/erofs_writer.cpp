// The problem: a root of 50,000 entries must be mountable a moment after its tree is known. mkfs
// tools read a folder; we have none, only a list. The on-disk format is small when nothing is
// compressed (Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux): we write it.
//
// The image, in blocks of 4 KiB:
//   byte 1024     superblock
//   byte 1152 …   inodes, in the order of the tree, each at a multiple of 32: the inode, extended
//                 attributes, then the end of a folder's or symlink's content if it fits ("inline")
//   blocks …      content of folders and symlinks that was not inline
//
// A file is "chunk-based" with holes for chunks, so that its size is right and it has no data;
// trusted.overlay.metacopy and .redirect make overlayfs take the data from objects/. About 160
// bytes a file. One pass plans where everything lies, the second writes it in order.

#include "store/erofs_writer.h"

#include <algorithm>

#include "os/files.h"
#include "store/erofs_plan.h"
#include "store/layout.h"

namespace kist::store {
namespace erofs {
namespace {

constexpr uint32_t kMagic = 0xE0F5E1E2;
constexpr uint32_t kCompatChecksum = 1;
constexpr uint32_t kCompatMtime = 2;
constexpr uint32_t kIncompatChunkedFile = 4;
constexpr uint8_t kXattrUser = 1;
constexpr uint8_t kXattrTrusted = 4;
constexpr uint8_t kXattrSecurity = 6;
constexpr size_t kFlushBytes = 1u << 20;

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
  }
  return crc;  // As the kernel's crc32c(): without the final inversion.
}

class Writer {
 public:
  Writer(const Plan& plan, const oci::Digest& digest, const os::Fd& file)
      : plan_(plan), nodes_(plan.nodes()), digest_(digest), file_(file) {}

  Result<void> run() {
    out_.reserve(2 * kFlushBytes);
    start_with_superblock();
    for (size_t i = 0; i < nodes_.size(); ++i) TRY(write_inode(i));
    pad_to(plan_.content_start());
    for (size_t i = 0; i < nodes_.size(); ++i) TRY(write_blocks(i));
    return flush();
  }

 private:
  void start_with_superblock() {
    std::string block(kSuperblockOffset, '\0');
    put<uint32_t>(block, kMagic);
    put<uint32_t>(block, 0);  // Checksum, below.
    put<uint32_t>(block, kCompatChecksum | kCompatMtime);
    put<uint8_t>(block, kBlockBits);
    put<uint8_t>(block, 0);
    put<uint16_t>(block, static_cast<uint16_t>(nodes_[0].id()));
    put<uint64_t>(block, nodes_.size());
    put<uint64_t>(block, static_cast<uint64_t>(kTreeTime));  // The time of all short inodes.
    put<uint32_t>(block, 0);
    put<uint32_t>(block, static_cast<uint32_t>(plan_.total_blocks()));
    put<uint32_t>(block, 0);  // Inodes are counted from block 0,
    put<uint32_t>(block, 0);  // and there are no shared attributes.
    block.append(digest_.bytes().begin(), digest_.bytes().begin() + 16);
    block.resize(kSuperblockOffset + 80);  // No volume name.
    put<uint32_t>(block, kIncompatChunkedFile);
    block.resize(kSuperblockOffset + kSuperblockBytes);
    // The checksum is over the whole first block, of which the first inodes are part.
    out_ += block;
  }

  Result<void> write_inode(size_t i) {
    const Node& node = nodes_[i];
    const Entry& entry = plan_.entry_of(i);
    pad_to(node.offset);
    put_inode(i);
    put_xattrs(entry, node.xattr_bytes);
    if (node.layout == Layout::chunks) {
      for (uint32_t done = 0; done < node.inline_bytes; done += sizeof kHole)
        put<uint32_t>(out_, kHole);
    } else if (node.inline_bytes > 0) {
      const std::string content = plan_.content_of(static_cast<uint32_t>(i));
      KIST_ASSERT(content.size() == node.content_bytes);
      out_ += std::string_view(content).substr(content.size() - node.inline_bytes);
    }
    return out_.size() >= kFlushBytes ? flush() : Result<void>();
  }

  void put_inode(size_t i) {
    const Node& node = nodes_[i];
    const Entry& entry = plan_.entry_of(i);
    const auto format =
        static_cast<uint16_t>((static_cast<uint16_t>(node.layout) << 1) | (node.extended ? 1 : 0));
    const uint32_t links = entry.kind == Kind::folder ? node.folder_count + 2 : 1;
    // In units of four bytes, the header counting as one.
    const uint64_t xattr_units =
        node.xattr_bytes == 0 ? 0 : (node.xattr_bytes - kXattrHeaderBytes) / 4 + 1;
    put<uint16_t>(out_, format);
    put<uint16_t>(out_, static_cast<uint16_t>(xattr_units));
    put<uint16_t>(out_, mode_of(entry));
    if (node.extended) {
      put<uint16_t>(out_, 0);
      put<uint64_t>(out_, node.content_bytes);
    } else {
      put<uint16_t>(out_, static_cast<uint16_t>(links));
      put<uint32_t>(out_, static_cast<uint32_t>(node.content_bytes));
      put<uint32_t>(out_, 0);
    }
    put<uint32_t>(out_, where(node));
    put<uint32_t>(out_, static_cast<uint32_t>(i + 1));
    if (node.extended) {
      put<uint32_t>(out_, entry.uid);
      put<uint32_t>(out_, entry.gid);
      put<uint64_t>(out_, static_cast<uint64_t>(entry.mtime_s));
      put<uint32_t>(out_, 0);
      put<uint32_t>(out_, links);
      out_.append(16, '\0');
    } else {
      put<uint16_t>(out_, static_cast<uint16_t>(entry.uid));
      put<uint16_t>(out_, static_cast<uint16_t>(entry.gid));
      put<uint32_t>(out_, 0);
    }
  }

  uint32_t where(const Node& node) const {
    if (node.layout == Layout::chunks) return chunk_bits(node.content_bytes) - kBlockBits;
    if (node.block_count == 0) return 0;
    return static_cast<uint32_t>(plan_.content_start() / kBlock) + node.first_block;
  }

  static uint16_t mode_of(const Entry& entry) {
    switch (entry.kind) {
      case Kind::folder:
        return static_cast<uint16_t>(0040000 | entry.mode);
      // All bits, setuid too: whether they mean anything is decided by whoever mounts the root.
      case Kind::file:
        return static_cast<uint16_t>(0100000 | entry.mode);
      case Kind::symlink:
        return 0120777;
    }
    return 0;
  }

  void put_xattr(uint8_t prefix, std::string_view name, std::string_view value) {
    const size_t start = out_.size();
    put<uint8_t>(out_, static_cast<uint8_t>(name.size()));
    put<uint8_t>(out_, prefix);
    put<uint16_t>(out_, static_cast<uint16_t>(value.size()));
    out_ += name;
    out_ += value;
    out_.resize(start + xattr_entry_bytes(name.size(), value.size()));
  }

  void put_xattrs(const Entry& entry, uint32_t bytes) {
    if (bytes == 0) return;
    out_.append(kXattrHeaderBytes, '\0');  // No name filter, no shared attributes.
    if (entry.kind == Kind::file && entry.size_bytes > 0) {
      put_xattr(kXattrTrusted, kMetacopy, "");
      put_xattr(kXattrTrusted, kRedirect, redirect_of(entry));
    }
    for (const auto& [name, value] : entry.xattrs) {
      if (is_shown_xattr(name))
        put_xattr(kXattrUser, std::string_view(name).substr(kUserPrefix.size()), value);
      else if (name == kCapabilityXattr)
        put_xattr(kXattrSecurity, kCapability, value);
    }
  }

  Result<void> write_blocks(size_t i) {
    const Node& node = nodes_[i];
    if (node.block_count == 0) return {};
    const std::string content = plan_.content_of(static_cast<uint32_t>(i));
    out_ += std::string_view(content).substr(0, content.size() - node.inline_bytes);
    pad_to(plan_.content_start() + (node.first_block + node.block_count) * kBlock);
    return out_.size() >= kFlushBytes ? flush() : Result<void>();
  }

  void pad_to(uint64_t offset) {
    const uint64_t at = written_ + out_.size();
    KIST_ASSERT(at <= offset);
    out_.append(offset - at, '\0');
  }

  Result<void> flush() {
    if (written_ == 0) {
      const std::string_view first = std::string_view(out_).substr(
          kSuperblockOffset, std::min<uint64_t>(kBlock, out_.size()) - kSuperblockOffset);
      std::string sum;
      put<uint32_t>(sum, crc32c(first));
      out_.replace(kSuperblockOffset + 4, 4, sum);
    }
    written_ += out_.size();
    TRY(os::write_all(file_, out_));
    out_.clear();
    return {};
  }

  const Plan& plan_;
  const std::vector<Node>& nodes_;
  const oci::Digest& digest_;
  const os::Fd& file_;
  std::string out_;
  uint64_t written_ = 0;
};

}  // namespace
}  // namespace erofs

bool is_shown_xattr(std::string_view name) {
  return name.starts_with(erofs::kUserPrefix) && name.size() > erofs::kUserPrefix.size() &&
         !name.starts_with("user.overlay.");
}

Result<void> write_erofs(const Tree& tree, const oci::Digest& digest, const os::Fd& file) {
  const erofs::Plan plan = TRY(erofs::Plan::make(tree));
  return erofs::Writer(plan, digest, file).run();
}

}  // namespace kist::store
