#include "images/layout.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "images/tar_file.h"

namespace kist::images {
namespace {

constexpr size_t kReadBytes = 256u << 10;
constexpr std::string_view kLayoutFile = R"({"imageLayoutVersion":"1.0.0"})";

oci::Descriptor descriptor_of(const Image& image) {
  return {.media_type = image.manifest.media_type.empty() ? std::string(oci::media::kManifest)
                                                          : image.manifest.media_type,
          .digest = image.digest,
          .size_bytes = image.manifest_bytes.size(),
          .annotations = {},
          .platform = image.config.platform};
}

Result<void> write_image(const store::Store& store, const Image& image, const LayoutFolder& folder) {
  for (const Layer& layer : image.layers) {
    if (folder.has(layer.digest, layer.size_bytes)) continue;
    TRY(folder.put(layer.digest, [&](const store::Output& output) { return write_blob(store, layer, output); }),
        "layer {}", layer.digest.string());
  }
  TRY(folder.put(image.id, image.config_bytes));
  return folder.put(image.digest, image.manifest_bytes);
}

std::string blob_path(const std::string& folder, const oci::Digest& digest) {
  return os::join(folder, "blobs/sha256/" + digest.hex());
}

Result<void> add_file(TarFile& tar, const std::string& folder, const std::string& name) {
  const os::Fd file = TRY(os::open_file(os::join(folder, name), O_RDONLY | O_NOFOLLOW));
  const auto stamp = os::stamp(os::join(folder, name));
  TRY(tar.begin(name, stamp ? stamp->size_bytes : 0));
  std::string buffer(kReadBytes, '\0');
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read '{}'", printable(name));
    if (got == 0) return tar.end();
    TRY(tar.write({buffer.data(), static_cast<size_t>(got)}));
  }
}

}  // namespace

Result<LayoutFolder> LayoutFolder::make(const std::string& path) {
  LayoutFolder folder(path);
  TRY(os::make_folders(os::join(path, "blobs/sha256")));
  TRY(folder.index());
  TRY(os::write_file_atomically(os::join(path, "oci-layout"), kLayoutFile));
  return folder;
}

bool LayoutFolder::has(const oci::Digest& digest, uint64_t size_bytes) const {
  const auto stamp = os::stamp(blob_path(path_, digest));
  return stamp && stamp->size_bytes == size_bytes;
}

bool LayoutFolder::has_any(const oci::Digest& digest) const { return os::exists(blob_path(path_, digest)); }

Result<void> LayoutFolder::put(const oci::Digest& digest, std::string_view bytes) const {
  return os::write_file_atomically(blob_path(path_, digest), bytes);
}

Result<void> LayoutFolder::put(const oci::Digest& digest, const std::function<Result<void>(const store::Output&)>& write) const {
  const std::string path = blob_path(path_, digest);
  const std::string partial = path + ".kist-partial";
  os::Fd file = TRY(os::open_file(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644));
  oci::Sha256 hash;
  Result<void> done = write([&](std::string_view bytes) {
    hash.update(bytes);
    return os::write_all(file, bytes);
  });
  const oci::Digest got = hash.finish();
  if (done && got != digest)
    done = Error(Code::corrupt, "blob has the digest {}, want {}", got.string(), digest.string());
  if (done) done = std::move(file).close();
  if (done && std::rename(partial.c_str(), path.c_str()) != 0)
    done = Error::from_errno(errno, "rename '{}'", printable(partial));
  if (!done) ::unlink(partial.c_str());
  return done;
}

Result<oci::Index> LayoutFolder::index() const {
  oci::Index index;
  index.media_type = std::string(oci::media::kIndex);
  const std::string path = os::join(path_, "index.json");
  if (!os::exists(path)) return index;
  const std::string text = TRY(os::read_file(path, oci::kMaxDocumentBytes));
  index = TRY(oci::parse_index(text), "'{}'", printable(path));
  index.media_type = std::string(oci::media::kIndex);
  return index;
}

Result<void> LayoutFolder::name(const oci::Descriptor& document, std::span<const std::string> names) const {
  oci::Index all = TRY(index());
  std::erase_if(all.manifests, [&](const oci::Descriptor& old) {
    const auto name = old.annotations.find(kRefName);
    if (name == old.annotations.end()) return old.digest == document.digest;
    return std::find(names.begin(), names.end(), name->second) != names.end();
  });
  if (names.empty()) all.manifests.push_back(document);
  for (const std::string& name : names) {
    oci::Descriptor named = document;
    named.annotations = {{kContainerdName, name}, {kRefName, name}};
    all.manifests.push_back(std::move(named));
  }
  return os::write_file_atomically(os::join(path_, "index.json"), oci::encode(all));
}

Result<void> write_layout_tar(const std::string& folder, const store::Output& output) {
  TarFile tar(output);
  TRY(add_file(tar, folder, "oci-layout"));
  TRY(add_file(tar, folder, "index.json"));
  for (const char* above : {"blobs", "blobs/sha256"}) TRY(tar.add_folder(above));
  auto blobs = TRY(os::list_folder(os::join(folder, "blobs/sha256")));
  std::sort(blobs.begin(), blobs.end());
  for (const std::string& blob : blobs) TRY(add_file(tar, folder, "blobs/sha256/" + blob));
  return tar.finish();
}

std::string make_index(const std::vector<const Image*>& images) {
  oci::Index index;
  index.media_type = std::string(oci::media::kIndex);
  for (const Image* image : images) index.manifests.push_back(descriptor_of(*image));
  return oci::encode(index);
}

Result<void> write_layout(const store::Store& store, const LayoutItem& item, const std::string& folder) {
  const LayoutFolder layout = TRY(LayoutFolder::make(folder));
  for (const Image* image : item.images) TRY(write_image(store, *image, layout));
  oci::Descriptor descriptor = descriptor_of(*item.images.front());
  if (item.images.size() > 1) {
    const std::string text = make_index(item.images);
    descriptor = {.media_type = std::string(oci::media::kIndex),
                  .digest = oci::Sha256::of(text),
                  .size_bytes = text.size(),
                  .annotations = {},
                  .platform = {}};
    TRY(layout.put(descriptor.digest, text));
  }
  return layout.name(descriptor, item.names);
}

}  // namespace kist::images
