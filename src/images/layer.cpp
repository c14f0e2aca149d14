#include "images/layer.h"

#include "base/text.h"
#include "images/built_layer.h"
#include "images/layer_files.h"
#include "images/recipe.h"
#include "os/files.h"

namespace kist::images {
namespace {

using archive::TarFilter;
using store::Entry;

constexpr uint64_t kMaxAboutBytes = 4096;
constexpr size_t kLayerFields = 8;  // Of its line, before the annotations: two of each.

bool is_whole(const store::Store& store, const Layer& layer) {
  // Trees only: gc and fsck see to it that a tree's objects are there.
  return store.tree(layer.tree).has_value() && store.tree(layer.blob).has_value();
}

Result<void> write_checked(const oci::Digest& digest, const store::Output& output,
                           const std::function<Result<void>(const store::Output&)>& write) {
  oci::Sha256 hash;
  TRY(write([&](std::string_view bytes) {
    hash.update(bytes);
    return output(bytes);
  }));
  const oci::Digest got = hash.finish();
  if (got == digest) return {};
  return Error(Code::corrupt, "layer {} was written as {}", digest.string(), got.string())
      .hint("`kist fsck --full`");
}

Result<archive::Source> read_object_file(const store::Store& store, const Entry& file) {
  auto fd = std::make_shared<os::Fd>(
      TRY(os::open_file(store.object_path(*file.object, file.mode), O_RDONLY)));
  auto buffer = std::make_shared<std::string>(256u << 10, '\0');
  return archive::Source([fd, buffer]() -> Result<std::string_view> {
    while (true) {
      const ssize_t got = ::read(fd->get(), buffer->data(), buffer->size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::from_errno(errno, "read a layer");
      return std::string_view(buffer->data(), static_cast<size_t>(got));
    }
  });
}

}  // namespace

std::string_view compression_name(TarFilter compression) {
  switch (compression) {
    case TarFilter::none: return "none";
    case TarFilter::gzip: return "gzip";
    case TarFilter::zstd: return "zstd";
    case TarFilter::xz: return "xz";
    case TarFilter::bzip2: return "bzip2";
  }
  return "none";
}

std::string layer_name(const oci::Digest& diff_id) { return "layer/" + diff_id.hex(); }
std::string blob_name(const oci::Digest& digest) { return "blob/" + digest.hex(); }

std::string layer_line(const Layer& layer) {
  std::string out = fmt::format("{} {} {} {} {} {} {} {}", layer.digest.string(), layer.size_bytes,
                                layer.diff_id.string(), layer.tar_bytes, compression_name(layer.compression),
                                layer.content_bytes, layer.tree.string(), layer.blob.string());
  for (const auto& [key, value] : layer.annotations)
    out += fmt::format(" {} {}", percent_encode(key), percent_encode(value));
  return out;
}

Result<Layer> parse_layer_line(std::string_view line) {
  const auto fields = split(line, ' ');
  const Error bad(Code::corrupt, "'{}' does not describe a layer", printable(line));
  if (fields.size() < kLayerFields || fields.size() % 2 != 0) return bad;
  const oci::Digest digest = TRY(oci::Digest::parse(fields[0]));
  const oci::Digest diff_id = TRY(oci::Digest::parse(fields[2]));
  const oci::Digest tree = TRY(oci::Digest::parse(fields[6]));
  const oci::Digest blob = TRY(oci::Digest::parse(fields[7]));
  const auto size = parse_number(fields[1]);
  const auto tar_bytes = parse_number(fields[3]);
  const auto content_bytes = parse_number(fields[5]);
  if (!size || !tar_bytes || !content_bytes) return bad;
  oci::Annotations annotations;
  for (size_t i = kLayerFields; i < fields.size(); i += 2) {
    const auto key = percent_decode(fields[i]);
    auto value = percent_decode(fields[i + 1]);
    if (!key || !value) return bad;
    annotations[*key] = std::move(*value);
  }
  for (const TarFilter filter : {TarFilter::none, TarFilter::gzip, TarFilter::zstd, TarFilter::xz,
                                 TarFilter::bzip2}) {
    if (compression_name(filter) != fields[4]) continue;
    return Layer{.digest = digest,
                 .size_bytes = *size,
                 .diff_id = diff_id,
                 .tar_bytes = *tar_bytes,
                 .compression = filter,
                 .content_bytes = *content_bytes,
                 .tree = tree,
                 .blob = blob,
                 .annotations = std::move(annotations)};
  }
  return bad;
}

Entry file_entry(std::string path, const store::Object& object, uint32_t mode) {
  Entry entry;
  entry.path = std::move(path);
  entry.mode = mode;
  entry.object = object.digest;
  entry.size_bytes = object.size_bytes;
  return entry;
}

std::optional<Layer> read_about(const store::Store& store, const oci::Digest& blob) {
  const auto tree = store.tree(blob);
  if (!tree) return std::nullopt;
  const Entry* const about = tree->find(kAboutEntry);
  if (about == nullptr || about->size_bytes > kMaxAboutBytes) return std::nullopt;
  const auto text = store.read_object(*about);
  if (!text) return std::nullopt;
  auto layer = parse_layer_line(trim(*text));
  if (!layer) return std::nullopt;
  layer->blob = blob;  // A tree cannot hold its own digest.
  return *layer;
}

Result<std::optional<Layer>> find_layer(const store::Store& store, const store::Transaction* tx,
                                        const oci::Digest& digest) {
  std::optional<oci::Digest> blob;
  if (tx != nullptr) blob = tx->find_pending(blob_name(digest));
  if (!blob) blob = TRY(store.find(blob_name(digest)));
  if (!blob) return std::optional<Layer>();
  const auto layer = read_about(store, *blob);
  if (!layer || layer->digest != digest) return std::optional<Layer>();
  if (!is_whole(store, *layer)) return std::optional<Layer>();
  (void)store.find(layer_name(layer->diff_id));  // Counts as use.
  return std::optional<Layer>(*layer);
}

Result<std::optional<std::string>> blob_path(const store::Store& store, const Layer& layer) {
  const store::Tree blob = TRY(store.tree(layer.blob));
  const Entry* const bytes = blob.find(kBytesEntry);
  if (bytes == nullptr) return std::nullopt;
  return store.object_path(*bytes->object, bytes->mode);
}

Result<void> write_blob(const store::Store& store, const Layer& layer,
                        const store::Output& output) {
  const store::Tree blob = TRY(store.tree(layer.blob));
  if (const Entry* const bytes = blob.find(kBytesEntry))
    return store::StoreContents(store).read(*bytes, output);
  if (const Entry* const built = blob.find(kBuiltEntry))
    return write_checked(layer.digest, output, [&](const store::Output& to) {
      return write_built(store, layer, *built, false, to);
    });
  const Entry* const recipe = blob.find(kRecipeEntry);
  if (recipe == nullptr)
    return Error(Code::corrupt, "layer {} has neither bytes nor a recipe", layer.digest.string());
  return write_checked(layer.digest, output, [&](const store::Output& to) {
    return write_from_recipe(store, *recipe, to);
  });
}

Result<void> write_plain(const store::Store& store, const Layer& layer,
                         const store::Output& output) {
  if (layer.compression == TarFilter::none) return write_blob(store, layer, output);
  const store::Tree blob = TRY(store.tree(layer.blob));
  if (const Entry* const built = blob.find(kBuiltEntry))
    return write_checked(layer.diff_id, output, [&](const store::Output& to) {
      return write_built(store, layer, *built, true, to);
    });
  const Entry* const bytes = blob.find(kBytesEntry);
  if (bytes == nullptr)
    return Error(Code::corrupt, "layer {} has no bytes", layer.digest.string());
  archive::Source raw = TRY(read_object_file(store, *bytes));
  archive::Source decompressed = TRY(archive::decompress(std::move(raw), layer.compression));
  const archive::Source plain = archive::run_ahead(std::move(decompressed));
  return write_checked(layer.diff_id, output,
                       [&](const store::Output& to) { return archive::each_piece(plain, to); });
}

}  // namespace kist::images
