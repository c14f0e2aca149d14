// Images of this machine: names, records, and the ready files that containers start from.
// docs/formats/image-store.md.
//
//   images::ImageStore images(store);
//   const auto found = TRY(images.find("busybox"));
//   TRY(images.tag(found.digest, reference));
//
// Threads: const methods from any; any number of processes share a store. What changes names holds
// images/lock, so that no name ever stands for an image that another process just removed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "images/layer.h"
#include "launch/image.h"
#include "oci/image.h"
#include "oci/reference.h"
#include "os/files.h"
#include "store/root.h"
#include "store/store.h"

namespace kist::images {

struct Image {
  oci::Digest id;      // Of the configuration.
  oci::Digest digest;  // Of the manifest.
  std::string manifest_bytes;
  std::string config_bytes;
  oci::Manifest manifest;
  oci::ImageConfig config;
  std::vector<Layer> layers;       // Bottom first.
  oci::Digest tree;                // All layers, merged.
  std::vector<std::string> names;  // "busybox:latest", sorted.

  /// As docker counts: the contents of all layers.
  uint64_t size_bytes() const;
  /// Names whose repository is `name`'s, with the manifest's digest: "busybox@sha256:…".
  std::vector<std::string> repository_digests() const;
};

/// What becomes an image.
struct NewImage {
  std::string manifest_bytes;
  std::string manifest_type;  // Announced; may be empty.
  std::string config_bytes;
  std::vector<Layer> layers;  // In the store, or in the transaction.
  std::vector<std::string> names;  // As Reference::name() gives them.
  std::optional<oci::Digest> tree = {};  // All layers merged, in the store, if somebody knows it.
};

class ImageStore {
 public:
  /// `store` must outlive this.
  explicit ImageStore(const store::Store& store) : store_(store) {}

  /// All, newest configuration first. One that cannot be read any more is left out.
  Result<std::vector<Image>> list() const;
  /// By name with or without tag, name@digest, id, manifest digest, or the beginning of one id.
  /// Errors: not_found (with the nearest name), invalid (no name at all, or an ambiguous beginning).
  Result<Image> find(std::string_view text) const;
  /// Errors: not_found, corrupt.
  Result<Image> read(const oci::Digest& digest) const;
  /// Empty when the name stands for nothing.
  std::optional<oci::Digest> digest_of(std::string_view name) const;

  /// Merges the layers, makes the root for `variant`, commits `tx` and gives the names. An image that
  /// was there keeps its record. Errors: corrupt (manifest, configuration and layers do not fit
  /// together), unavailable.
  Result<Image> add(store::Transaction tx, const NewImage& image, store::Variant variant) const;
  /// Gives a further name, which leaves the image that had it. Errors: those of find() and add().
  Result<void> tag(const Image& image, const std::string& name, store::Variant variant) const;
  /// Takes a name away. True when it was there.
  Result<bool> untag(const std::string& name) const;
  /// Removes the record, all names and ready files; contents stay until gc. Layers that no other
  /// image has lose the names that would keep them. Digests of what was removed, layers last.
  Result<std::vector<std::string>> remove(const Image& image) const;

  /// Makes the root, when it is gone, and writes the ready files of the image's names. For when
  /// launch::find_image() or its lease failed. `name`: the one to return; empty: by id.
  Result<launch::ReadyImage> make_ready(const Image& image, const std::string& name,
                                        store::Variant variant) const;

 private:
  Result<os::FileLock> lock() const;
  bool is_ready(const Image& image) const;
  Result<void> forget_twins(const Image& image) const;
  std::vector<std::pair<std::string, oci::Digest>> all_names() const;
  Result<Image> read_with(const oci::Digest& digest,
                          const std::vector<std::pair<std::string, oci::Digest>>& names) const;
  Result<void> publish(store::Transaction& tx, const Image& image, const store::Root& root,
                       const std::vector<std::string>& names) const;
  const store::Store& store_;
};

/// Checks that the three fit together: configuration by its digest, as many layers as diff ids, in
/// order. Errors: corrupt.
Result<Image> check_image(const NewImage& image);

/// The nearest that a container sees of an image, in one tree. Errors: those of lay_over().
Result<store::Tree> merge_layers(const store::Store& store, const std::vector<Layer>& layers);

launch::ReadyImage ready_of(const Image& image, const store::Root& root, const std::string& name);

}  // namespace kist::images
