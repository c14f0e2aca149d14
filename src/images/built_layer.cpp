#include "images/built_layer.h"

#include "base/text.h"
#include "images/layer_entries.h"
#include "images/layer_files.h"

namespace kist::images {
namespace {

using store::Compression;

archive::TarFilter filter_of(const Compression& compression) {
  switch (compression.method) {
    case Compression::Method::none: return archive::TarFilter::none;
    case Compression::Method::gzip: return archive::TarFilter::gzip;
    case Compression::Method::zstd:
    case Compression::Method::zstd_chunked: return archive::TarFilter::zstd;
  }
  return archive::TarFilter::none;
}

std::string recipe_of(const Compression& compression) {
  return fmt::format("{}+{}", store::kTarRecipe, compression.recipe());
}

// What the layer's digest is a function of.
std::string key_name(const oci::Digest& tree, const Compression& compression) {
  return "built/" + oci::Sha256::of(fmt::format("{} {}", tree.string(), recipe_of(compression))).hex();
}

Result<void> check_paths(const store::Tree& tree) {
  for (const store::Entry& entry : tree.entries())
    if (base_name(entry.path).starts_with(kWhiteout))
      return Error(Code::unsupported, "'{}' would remove a file in an image, by its name",
                   printable(entry.path))
          .hint("name it in .dockerignore");
  return {};
}

Result<std::optional<Layer>> find_built(const store::Store& store, const store::Transaction& tx,
                                        const std::string& name, const oci::Digest& tree) {
  std::optional<oci::Digest> blob = tx.find_pending(name);
  if (!blob) blob = TRY(store.find(name));
  if (!blob) return std::optional<Layer>();
  const auto layer = read_about(store, *blob);
  if (!layer || layer->tree != tree) return std::optional<Layer>();
  return std::optional<Layer>(*layer);
}

Result<oci::Digest> put_blob(store::Transaction& tx, const Layer& layer, const Compression& compression) {
  std::vector<store::Entry> entries;
  const store::Object about = TRY(tx.put(layer_line(layer) + "\n", 0644));
  const store::Object built = TRY(tx.put(recipe_of(compression) + "\n", 0644));
  entries.push_back(file_entry(std::string(kAboutEntry), about));
  entries.push_back(file_entry(std::string(kBuiltEntry), built));
  const store::Tree tree = TRY(store::Tree::make(std::move(entries)));
  return tx.put_tree(tree);
}

}  // namespace

Result<BuiltLayer> build_layer(const store::Store& store, store::Transaction& tx, const store::Tree& tree,
                               const Compression& compression, bool may_hide) {
  const oci::Digest digest = TRY(tx.put_tree(tree));
  const std::string name = key_name(digest, compression);
  BuiltLayer out{.layer = {.digest = digest,
                           .size_bytes = 0,
                           .diff_id = digest,
                           .tar_bytes = 0,
                           .compression = filter_of(compression),
                           .content_bytes = tree.size_bytes(),
                           .tree = digest,
                           .blob = digest}};
  const auto known = TRY(find_built(store, tx, name, digest));
  if (known) {
    out.layer = *known;
    out.was_known = true;
  } else {
    if (!may_hide) TRY(check_paths(tree));
    const store::Layer written = TRY(store::write_layer(
        tree, store::StoreContents(store), [](std::string_view) { return Result<void>(); }, compression));
    out.layer.digest = written.digest;
    out.layer.size_bytes = written.size_bytes;
    out.layer.diff_id = written.diff_id;
    out.layer.tar_bytes = written.tar_bytes;
    out.layer.annotations = written.annotations;
    out.layer.blob = TRY(put_blob(tx, out.layer, compression));
    tx.name(name, out.layer.blob);
  }
  tx.name(layer_name(out.layer.diff_id), out.layer.tree);
  tx.name(blob_name(out.layer.digest), out.layer.blob);
  return out;
}

Result<void> write_built(const store::Store& store, const Layer& layer, const store::Entry& built,
                         bool is_plain, const store::Output& output) {
  const std::string text = TRY(store.read_object(built));
  const std::string_view recipe = trim(text);
  const size_t plus = recipe.find('+');
  if (recipe.substr(0, plus) != store::kTarRecipe || plus == std::string_view::npos)
    return Error(Code::unsupported, "layer {} was written by the recipe {}, this kist has {}",
                 layer.digest.string(), printable(recipe), store::kTarRecipe)
        .hint("`kist build` makes the image anew");
  const store::Tree tree = TRY(store.tree(layer.tree));
  const store::StoreContents contents(store);
  if (is_plain) {
    TRY(store::write_tar(tree, contents, output));
    return {};
  }
  const Compression compression = TRY(Compression::of_recipe(recipe.substr(plus + 1)));
  TRY(store::write_layer(tree, contents, output, compression));
  return {};
}

}  // namespace kist::images
