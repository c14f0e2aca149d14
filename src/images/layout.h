// Images as an OCI layout in a folder: for other tools, and for storage that is no registry.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "images/image_store.h"

namespace kist::images {

/// What names an entry of an index: for most tools, and for containerd.
inline constexpr const char* kRefName = "org.opencontainers.image.ref.name";
inline constexpr const char* kContainerdName = "io.containerd.image.name";

/// A layout that is written piece by piece. Each file appears whole; the index comes last, so that it never
/// names what is not there. Threads: blobs from any.
class LayoutFolder {
 public:
  /// Errors: denied, unavailable (disk full), corrupt (the index that is there).
  static Result<LayoutFolder> make(const std::string& path);
  /// To look only, whether it is there or not.
  explicit LayoutFolder(std::string path) : path_(std::move(path)) {}

  bool has(const oci::Digest& digest, uint64_t size_bytes) const;
  bool has_any(const oci::Digest& digest) const;  // Of whatever size.
  Result<void> put(const oci::Digest& digest, std::string_view bytes) const;
  /// `write` gives the bytes. Errors: its own; corrupt (another digest).
  Result<void> put(const oci::Digest& digest, const std::function<Result<void>(const store::Output&)>& write) const;
  /// The index that is there; an empty one if there is none. Errors: corrupt.
  Result<oci::Index> index() const;
  /// Lists the document under these names, which leave what had them; without any, under none.
  Result<void> name(const oci::Descriptor& document, std::span<const std::string> names) const;

 private:
  std::string path_;
};

/// One image for each platform, of which the first stands for a name where only one can.
struct LayoutItem {
  std::vector<const Image*> images;
  std::vector<std::string> names;  // May be empty.
};

/// Blobs that are there, with their size, are not written again; the entries of other names stay.
/// Errors: those of LayoutFolder.
Result<void> write_layout(const store::Store& store, const LayoutItem& item, const std::string& folder);

/// The layout in `folder` as a tar: "oci-layout", "index.json", and the blobs by name.
Result<void> write_layout_tar(const std::string& folder, const store::Output& output);

/// The index of images for several platforms. A function of them.
std::string make_index(const std::vector<const Image*>& images);

}  // namespace kist::images
