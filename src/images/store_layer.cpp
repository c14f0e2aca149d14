// A layer on its way into the store.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "images/fetch_layer.h"
#include "images/layer_entries.h"
#include "images/layer_files.h"
#include "images/recipe.h"
#include "store/part.h"

namespace kist::images {
namespace {

using archive::TarFilter;
using store::Entry;

// Contents up to this are hashed in memory, and written only if they are new.
constexpr uint64_t kWholeInMemory = 4u << 20;
// No compression of something that is not a bomb does better: deflate ends at 1,032.
constexpr uint64_t kMaxRatio = 2000;
constexpr uint64_t kFreeOfRatio = 1ull << 30;
constexpr size_t kMagicBytes = 6;

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

}  // namespace

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

}  // namespace kist::images
