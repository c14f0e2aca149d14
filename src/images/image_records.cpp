#include "images/image_records.h"

#include "base/text.h"

namespace kist::images {
namespace {

using store::Entry;

constexpr std::string_view kNameHeader = "kist-image-name 1";

Result<void> put_file(store::Transaction& tx, std::vector<Entry>& entries, std::string path,
                      std::string_view bytes) {
  const store::Object object = TRY(tx.put(bytes, 0644));
  Entry entry;
  entry.path = std::move(path);
  entry.object = object.digest;
  entry.size_bytes = object.size_bytes;
  entries.push_back(std::move(entry));
  return {};
}

}  // namespace

std::string record_path(const oci::Digest& digest) {
  return fmt::format("{}/{}{}", kRecords, digest.hex(), kRecordEnd);
}

// The file of a name and its ready file differ in the folder only.
std::string name_path(std::string_view name) {
  const std::string ready = launch::image_ready_path("", name);
  const std::string_view file = os::name_of(ready);
  return fmt::format("{}/{}", kNames, file.substr(0, file.find('.')));
}

std::string name_text(std::string_view name, const oci::Digest& digest) {
  return fmt::format("{}\nname {}\nmanifest {}\nend\n", kNameHeader, percent_encode(name),
                     digest.string());
}

std::optional<std::pair<std::string, oci::Digest>> parse_name(std::string_view text) {
  const auto all = lines(text);
  if (all.size() != 4 || all[0] != kNameHeader || all[3] != "end") return std::nullopt;
  if (!all[1].starts_with("name ") || !all[2].starts_with("manifest ")) return std::nullopt;
  auto name = percent_decode(all[1].substr(5));
  const auto digest = oci::Digest::parse(all[2].substr(9));
  if (!name || !digest) return std::nullopt;
  return std::make_pair(std::move(*name), *digest);
}

Result<oci::Digest> put_documents(store::Transaction& tx, const Image& image) {
  std::vector<Entry> entries;
  TRY(put_file(tx, entries, "manifest", image.manifest_bytes));
  TRY(put_file(tx, entries, "config", image.config_bytes));
  std::string text;
  for (const Layer& layer : image.layers) text += layer_line(layer) + "\n";
  TRY(put_file(tx, entries, "layers", text));
  const store::Tree tree = TRY(store::Tree::make(std::move(entries)));
  return tx.put_tree(tree);
}

Result<std::string> read_document(const store::Store& store, const store::Tree& documents,
                                  std::string_view name) {
  const Entry* const entry = documents.find(name);
  if (entry == nullptr) return Error(Code::corrupt, "an image's record has no {}", name);
  return store.read_object(*entry);
}

std::string record_text(const oci::Digest& documents, const Image& image) {
  std::string out = documents.string() + "\n" + image.tree.string() + "\n";
  for (const Layer& layer : image.layers)
    out += layer.tree.string() + "\n" + layer.blob.string() + "\n";
  return out;
}

}  // namespace kist::images
