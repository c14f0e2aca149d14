#include "images/layout.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/text.h"

namespace kist::images {
namespace {

constexpr const char* kContainerdName = "io.containerd.image.name";
constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kLayoutFile = R"({"imageLayoutVersion":"1.0.0"})";

oci::Descriptor descriptor_of(const Image& image) {
  return {.media_type = image.manifest.media_type.empty() ? std::string(oci::media::kManifest)
                                                          : image.manifest.media_type,
          .digest = image.digest,
          .size_bytes = image.manifest_bytes.size(),
          .annotations = {},
          .platform = image.config.platform};
}

class LayoutFolder {
 public:
  LayoutFolder(const store::Store& store, const std::string& folder) : store_(store), folder_(folder) {}

  Result<void> write(const LayoutItem& item) {
    TRY(os::make_folders(os::join(folder_, "blobs/sha256")));
    oci::Index index = TRY(read_index());
    TRY(os::write_file_atomically(os::join(folder_, "oci-layout"), kLayoutFile));
    for (const Image* image : item.images) TRY(write_image(*image));
    oci::Descriptor descriptor = descriptor_of(*item.images.front());
    if (item.images.size() > 1) {
      const std::string text = make_index(item.images);
      descriptor = {.media_type = std::string(oci::media::kIndex),
                    .digest = oci::Sha256::of(text),
                    .size_bytes = text.size(),
                    .annotations = {},
                    .platform = {}};
      TRY(write_bytes(descriptor.digest, text));
    }
    std::erase_if(index.manifests, [&](const oci::Descriptor& old) {
      const auto name = old.annotations.find(kRefName);
      if (name == old.annotations.end()) return old.digest == descriptor.digest;
      return std::find(item.names.begin(), item.names.end(), name->second) != item.names.end();
    });
    if (item.names.empty()) index.manifests.push_back(descriptor);
    for (const std::string& name : item.names) {
      descriptor.annotations = {{kContainerdName, name}, {kRefName, name}};
      index.manifests.push_back(descriptor);
    }
    return os::write_file_atomically(os::join(folder_, "index.json"), oci::encode(index));
  }

 private:
  std::string blob_path(const oci::Digest& digest) const {
    return os::join(folder_, "blobs/sha256/" + digest.hex());
  }

  Result<oci::Index> read_index() const {
    oci::Index index;
    index.media_type = std::string(oci::media::kIndex);
    const std::string path = os::join(folder_, "index.json");
    if (!os::exists(path)) return index;
    const std::string text = TRY(os::read_file(path, oci::kMaxDocumentBytes));
    index = TRY(oci::parse_index(text), "'{}'", printable(path));
    index.media_type = std::string(oci::media::kIndex);
    return index;
  }

  Result<void> write_bytes(const oci::Digest& digest, std::string_view bytes) const {
    return os::write_file_atomically(blob_path(digest), bytes);
  }

  bool has(const oci::Digest& digest, uint64_t size_bytes) const {
    const auto stamp = os::stamp(blob_path(digest));
    return stamp && stamp->size_bytes == size_bytes;
  }

  Result<void> write_image(const Image& image) const {
    for (const Layer& layer : image.layers) {
      if (has(layer.digest, layer.size_bytes)) continue;
      TRY(write_layer(layer), "layer {}", layer.digest.string());
    }
    TRY(write_bytes(image.id, image.config_bytes));
    return write_bytes(image.digest, image.manifest_bytes);
  }

  Result<void> write_layer(const Layer& layer) const {
    const std::string path = blob_path(layer.digest);
    const std::string partial = path + ".kist-partial";
    os::Fd file = TRY(os::open_file(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644));
    Result<void> done =
        write_blob(store_, layer, [&](std::string_view bytes) { return os::write_all(file, bytes); });
    if (done) done = std::move(file).close();
    if (done && std::rename(partial.c_str(), path.c_str()) != 0)
      done = Error::from_errno(errno, "rename '{}'", printable(partial));
    if (!done) ::unlink(partial.c_str());
    return done;
  }

  const store::Store& store_;
  const std::string& folder_;
};

}  // namespace

std::string make_index(const std::vector<const Image*>& images) {
  oci::Index index;
  index.media_type = std::string(oci::media::kIndex);
  for (const Image* image : images) index.manifests.push_back(descriptor_of(*image));
  return oci::encode(index);
}

Result<void> write_layout(const store::Store& store, const LayoutItem& item, const std::string& folder) {
  return LayoutFolder(store, folder).write(item);
}

}  // namespace kist::images
