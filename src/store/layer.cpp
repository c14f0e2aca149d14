#include "store/layer.h"

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "os/files.h"
#include "store/chunked_layer.h"
#include "store/tar_header.h"

namespace kist::store {
namespace {

constexpr size_t kReadBytes = 1u << 20;
constexpr size_t kTarChunkBytes = 1u << 20;

class TarWriter {
 public:
  TarWriter(const Contents& contents, const Output& output) : contents_(contents), output_(output) {
    buffer_.reserve(kTarChunkBytes + kReadBytes);
  }

  Result<void> add(const Entry& entry) {
    const std::string header = TRY(tar_header(entry));
    TRY(put(header));
    if (entry.kind != Kind::file || entry.size_bytes == 0) return {};
    TRY(contents_.read(entry, [this](std::string_view bytes) { return put(bytes); }));
    const uint64_t tail = entry.size_bytes % kTarBlock;
    return tail == 0 ? Result<void>() : put(std::string(kTarBlock - tail, '\0'));
  }

  Result<Tar> finish() {
    TRY(put(std::string(2 * kTarBlock, '\0')));
    TRY(flush());
    return Tar{.diff_id = hasher_.finish(), .size_bytes = size_bytes_};
  }

 private:
  Result<void> put(std::string_view bytes) {
    buffer_ += bytes;
    return buffer_.size() >= kTarChunkBytes ? flush() : Result<void>();
  }

  Result<void> flush() {
    hasher_.update(buffer_);
    size_bytes_ += buffer_.size();
    TRY(output_(buffer_));
    buffer_.clear();
    return {};
  }

  const Contents& contents_;
  const Output& output_;
  oci::Sha256 hasher_;
  uint64_t size_bytes_ = 0;
  std::string buffer_;
};

Error wrong_content(const Entry& file, std::string_view what) {
  return Error(Code::corrupt, "object {} of '{}' {}", file.object->string(), printable(file.path),
               what)
      .hint("`kist fsck`");
}

Result<ChunkedTar> write_compressed(const Tree& tree, const Contents& contents, const Output& output,
                                    const Compression& compression) {
  if (compression.method == Compression::Method::zstd_chunked)
    return write_chunked(tree, contents, output, compression.level);
  const auto compressor = make_compressor(compression, output);
  const Tar tar = TRY(
      write_tar(tree, contents, [&](std::string_view bytes) { return compressor->write(bytes); }));
  TRY(compressor->finish());
  return ChunkedTar{.tar = tar, .annotations = {}};
}

}  // namespace

Result<void> StoreContents::read(const Entry& file, const Output& output) const {
  KIST_ASSERT(file.object.has_value());
  const os::Fd fd = TRY(os::open_file(store_.object_path(*file.object, file.mode), O_RDONLY),
                        "reading the content of '{}'", printable(file.path));
  oci::Sha256 hasher;
  uint64_t total = 0;
  std::string buffer(std::min<uint64_t>(kReadBytes, file.size_bytes + 1), '\0');
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read the content of '{}'", printable(file.path));
    if (got == 0) break;
    const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
    total += bytes.size();
    if (total > file.size_bytes) return wrong_content(file, "is longer than its tree says");
    hasher.update(bytes);
    TRY(output(bytes));
  }
  if (total != file.size_bytes) return wrong_content(file, "is shorter than its tree says");
  const oci::Digest got = hasher.finish();
  if (got != *file.object)
    return wrong_content(file, fmt::format("has the content of {}", got.string()));
  return {};
}

Result<Tar> write_tar(const Tree& tree, const Contents& contents, const Output& output) {
  TarWriter writer(contents, output);
  for (const Entry& entry : tree.entries()) TRY(writer.add(entry));
  return writer.finish();
}

Result<Layer> write_layer(const Tree& tree, const Contents& contents, const Output& output,
                          const Compression& compression) {
  oci::Sha256 hasher;
  uint64_t size_bytes = 0;
  const Output counted = [&](std::string_view bytes) {
    hasher.update(bytes);
    size_bytes += bytes.size();
    return output(bytes);
  };
  ChunkedTar written = TRY(write_compressed(tree, contents, counted, compression));
  return Layer{.digest = hasher.finish(),
               .size_bytes = size_bytes,
               .diff_id = written.tar.diff_id,
               .tar_bytes = written.tar.size_bytes,
               .annotations = std::move(written.annotations)};
}

std::vector<Tree> split_tree(const Tree& tree, uint64_t limit_bytes) {
  std::vector<Tree> parts;
  if (tree.size_bytes() <= limit_bytes) {
    parts.push_back(tree);
    return parts;
  }
  std::vector<Entry> part;
  std::vector<const Entry*> open;  // The folders that lead to the next entry.
  uint64_t bytes = 0;
  const auto finish = [&] {
    Result<Tree> made = Tree::make(std::move(part));
    KIST_ASSERT(made.has_value());
    parts.push_back(std::move(*made));
    part.clear();
    bytes = 0;
  };
  for (const Entry& entry : tree.entries()) {
    while (!open.empty() && !(entry.path.starts_with(open.back()->path) &&
                              entry.path[open.back()->path.size()] == '/'))
      open.pop_back();
    if (bytes > 0 && bytes + entry.size_bytes > limit_bytes) {
      finish();
      for (const Entry* const folder : open) part.push_back(*folder);
    }
    bytes += entry.size_bytes;
    part.push_back(entry);
    if (entry.kind == Kind::folder) open.push_back(&entry);
  }
  finish();
  return parts;
}

}  // namespace kist::store
