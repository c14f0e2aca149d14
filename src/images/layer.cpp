#include "images/layer.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "images/built_layer.h"
#include "images/fetch_layer.h"
#include "images/layer_entries.h"
#include "images/layer_files.h"
#include "images/recipe.h"
#include "os/files.h"
#include "store/part.h"

namespace kist::images {
namespace {

using archive::TarFilter;
using store::Entry;

constexpr std::string_view kBytesEntry = "bytes";
constexpr std::string_view kRecipeEntry = "recipe";
constexpr uint64_t kMaxAboutBytes = 4096;
// Contents up to this are hashed in memory, and written only if they are new.
constexpr uint64_t kWholeInMemory = 4u << 20;
// No compression of something that is not a bomb does better: deflate ends at 1,032.
constexpr uint64_t kMaxRatio = 2000;
constexpr uint64_t kFreeOfRatio = 1ull << 30;
constexpr size_t kMagicBytes = 6;
constexpr size_t kLayerFields = 8;  // Of its line, before the annotations: two of each.

Result<void> check_claim(const char* what, const std::optional<oci::Digest>& wanted,
                         const oci::Digest& got) {
  if (!wanted || *wanted == got) return {};
  return Error(Code::corrupt, "layer has the {} {}, want {}", what, got.string(),
               wanted->string());
}

// One layer on its way into the store.
class Unpacker {
 public:
  Unpacker(store::Transaction& tx, const LayerClaim& claim) : tx_(tx), claim_(claim) {}
  /// What comes goes to `part`, after what is there.
  Unpacker(store::Transaction& tx, const LayerClaim& claim, store::PartWriter& part) : tx_(tx), claim_(claim), part_(&part) {}

  Result<Layer> run(archive::Source raw) {
    const std::string start = TRY(archive::peek(raw, kMagicBytes));
    if (start.empty()) return Error(Code::corrupt, "layer is empty, want at least a tar's end");
    compression_ = archive::detect_filter(start);
    if (compression_ == TarFilter::none) {
      recipe_ = TRY(RecipeWriter::make(tx_));
    } else if (part_ == nullptr) {
      kept_ = TRY(tx_.begin(0644));
    }
    TRY(unpack(std::move(raw)));
    return finish();
  }

 private:
  // The outer half runs on a thread of its own: nothing of this object is touched by both at once,
  // and all is handed over when the stream has ended.
  Result<void> unpack(archive::Source raw) {
    archive::Source counted = [this, raw = std::move(raw)]() -> Result<std::string_view> {
      const std::string_view piece = TRY(raw());
      const uint64_t before = raw_bytes_;
      raw_bytes_ += piece.size();
      if (claim_.size_bytes && raw_bytes_ > *claim_.size_bytes)
        return Error(Code::corrupt, "layer is longer than {} bytes, as was announced",
                     *claim_.size_bytes);
      TRY(keep(piece, before));
      return piece;
    };
    archive::Source plain = TRY(archive::decompress(std::move(counted), compression_));
    archive::Source hashed = [this, plain = std::move(plain)]() -> Result<std::string_view> {
      const std::string_view piece = TRY(plain());
      tar_hash_.update(piece);
      tar_bytes_ += piece.size();
      if (tar_bytes_ > kFreeOfRatio && tar_bytes_ / kMaxRatio > raw_bytes_)
        return Error(Code::invalid, "layer unpacks to more than {} times its size", kMaxRatio);
      return piece;
    };
    archive::Source ahead = archive::run_ahead(std::move(hashed));
    archive::Source seen = [this, ahead]() -> Result<std::string_view> {
      auto piece = ahead();
      if (piece && recipe_) recipe_->see(*piece);
      return piece;
    };
    TRY(read_tar(seen));
    // The tar may end before its stream, and the stream's digest is what counts.
    return archive::each_piece(seen, [](std::string_view) { return Result<void>(); });
  }

  // What stands at `before` in the stream. The beginning of a part is there.
  Result<void> keep(std::string_view piece, uint64_t before) {
    if (kept_) return kept_->write(piece);
    if (part_ == nullptr) return {};
    const uint64_t there = part_->kept_bytes();
    if (there > before) piece.remove_prefix(static_cast<size_t>(std::min<uint64_t>(there - before, piece.size())));
    return piece.empty() ? Result<void>() : part_->write(piece);
  }

  Result<void> read_tar(const archive::Source& source) {
    const store::Object empty = TRY(tx_.put("", 0644));
    LayerEntries entries(empty);
    archive::TarReader tar =
        TRY(archive::TarReader::open(source, TarFilter::none, archive::TarLimits()));
    archive::TarEntry entry;
    while (true) {
      const bool more = TRY(tar.next(entry));
      if (!more) break;
      if (recipe_) TRY(recipe_->literal_until(tar.position()));
      if (entry.kind != archive::TarKind::file) {
        TRY(entries.add(entry, nullptr));
        continue;
      }
      const bool is_sparse = entry.is_sparse;
      const store::Object object = TRY(put_content(tar, entry), "'{}'", printable(entry.path));
      TRY(entries.add(entry, &object));
      if (recipe_ && !is_sparse && object.size_bytes > 0)
        TRY(recipe_->content(file_entry("content", object, entry.mode)));
    }
    tree_ = TRY(std::move(entries).finish());
    return {};
  }

  Result<store::Object> put_content(archive::TarReader& tar, const archive::TarEntry& entry) {
    if (entry.size_bytes > kWholeInMemory) return put_large(tar, entry);
    buffer_.clear();
    while (true) {
      const std::string_view piece = TRY(tar.read());
      if (piece.empty()) break;
      buffer_ += piece;
    }
    TRY(check_length(entry, buffer_.size()));
    return tx_.put(buffer_, entry.mode);
  }

  Result<store::Object> put_large(archive::TarReader& tar, const archive::TarEntry& entry) {
    const auto writer = TRY(tx_.begin(entry.mode));
    uint64_t total = 0;
    while (true) {
      const std::string_view piece = TRY(tar.read());
      if (piece.empty()) break;
      TRY(writer->write(piece));
      total += piece.size();
    }
    TRY(check_length(entry, total));
    return writer->finish();
  }

  static Result<void> check_length(const archive::TarEntry& entry, uint64_t got) {
    if (got == entry.size_bytes) return {};
    return Error(Code::corrupt, "content has {} bytes, want {}", got, entry.size_bytes);
  }

  Result<Layer> finish() {
    const oci::Digest diff_id = tar_hash_.finish();
    oci::Digest digest = diff_id;
    std::optional<store::Object> bytes;
    if (compression_ != TarFilter::none) {
      bytes = TRY(kept_ ? kept_->finish() : part_->finish());
      digest = bytes->digest;
    } else if (part_ != nullptr) {
      part_->discard();
    }
    TRY(check_claim("digest", claim_.digest, digest));
    if (claim_.size_bytes && *claim_.size_bytes != raw_bytes_)
      return Error(Code::corrupt, "layer has {} bytes, want {}", raw_bytes_, *claim_.size_bytes);
    TRY(check_claim("diff id", claim_.diff_id, diff_id));
    const oci::Digest tree = TRY(tx_.put_tree(tree_));
    Layer layer{.digest = digest,
                .size_bytes = raw_bytes_,
                .diff_id = diff_id,
                .tar_bytes = tar_bytes_,
                .compression = compression_,
                .content_bytes = tree_.size_bytes(),
                .tree = tree,
                .blob = tree};
    layer.blob = TRY(put_blob(layer, bytes));
    tx_.name(layer_name(diff_id), tree);
    tx_.name(blob_name(digest), layer.blob);
    return layer;
  }

  // What is needed to write the layer again, as a tree, so that gc and fsck know it.
  Result<oci::Digest> put_blob(const Layer& layer, const std::optional<store::Object>& bytes) {
    std::vector<Entry> entries;
    const std::string about = layer_line(layer) + "\n";
    const store::Object about_object = TRY(tx_.put(about, 0644));
    entries.push_back(file_entry(std::string(kAboutEntry), about_object));
    if (bytes) {
      entries.push_back(file_entry(std::string(kBytesEntry), *bytes));
    } else {
      const store::Object recipe = TRY(recipe_->finish());
      entries.push_back(file_entry(std::string(kRecipeEntry), recipe));
      add_unshown(entries);
    }
    const store::Tree tree = TRY(store::Tree::make(std::move(entries)));
    return tx_.put_tree(tree);
  }

  // Contents that the tar has but the tree does not show, since a later entry replaced them.
  void add_unshown(std::vector<Entry>& entries) const {
    std::set<std::pair<oci::Digest, uint32_t>> shown;
    for (const Entry& entry : tree_.entries())
      if (entry.object) shown.emplace(*entry.object, entry.mode & 0777);
    for (const Entry& content : recipe_->contents()) {
      if (shown.contains({*content.object, content.mode & 0777})) continue;
      Entry extra = content;
      extra.path = fmt::format("content/{}.{:o}", content.object->hex(), content.mode & 0777);
      entries.push_back(std::move(extra));
    }
  }

  store::Transaction& tx_;
  const LayerClaim& claim_;
  TarFilter compression_ = TarFilter::none;
  // Of the outer half.
  std::unique_ptr<store::ObjectWriter> kept_;
  store::PartWriter* part_ = nullptr;
  uint64_t raw_bytes_ = 0;
  oci::Sha256 tar_hash_;
  uint64_t tar_bytes_ = 0;
  // Of the inner one.
  std::optional<RecipeWriter> recipe_;
  std::string buffer_;
  store::Tree tree_;
};

// What is there, then the rest from afar.
archive::Source continued(store::PartWriter& part, const std::function<Result<archive::Source>(uint64_t from)>& open) {
  return [&part, &open, rest = archive::Source()]() mutable -> Result<std::string_view> {
    if (!rest) {
      const std::string_view kept = TRY(part.read_kept());
      if (!kept.empty()) return kept;
      rest = TRY(open(part.kept_bytes()));
    }
    return rest();
  };
}

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

Result<Layer> store_layer(store::Transaction& tx, archive::Source raw, const LayerClaim& claim) {
  return Unpacker(tx, claim).run(std::move(raw));
}

Result<Layer> fetch_layer(const store::Store& store, store::Transaction& tx,
                          const std::function<Result<archive::Source>(uint64_t from)>& open, const LayerClaim& claim) {
  for (bool is_again = false;; is_again = true) {
    const auto part = TRY(store::begin_part(store, *claim.digest, 0644));
    if (!part) {
      archive::Source raw = TRY(open(0));
      return store_layer(tx, std::move(raw), claim);
    }
    auto layer = Unpacker(tx, claim, *part).run(continued(*part, open));
    const bool is_at_fault = !layer && (layer.error().code() == Code::corrupt || layer.error().code() == Code::invalid ||
                                        layer.error().code() == Code::unsupported);
    if (is_at_fault) part->discard();
    // What a power cut left may be zeros; that is nobody's fault.
    if (!is_at_fault || part->kept_bytes() == 0 || is_again) return layer;
  }
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
