#include "images/image_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/text.h"
#include "images/image_records.h"

namespace kist::images {
namespace {

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove '{}'", printable(path));
  return {};
}

Error unreadable(const oci::Digest& digest) {
  return Error(Code::not_found, "no image with the digest {}", digest.string())
      .hint("`kist images --digests`");
}

}  // namespace

Result<os::FileLock> ImageStore::lock() const {
  const std::string path = os::join(store_.home(), kLockFile);
  TRY(os::make_folders(os::parent_of(path)));
  return os::FileLock::acquire(path, os::FileLock::Mode::exclusive);
}

std::vector<std::pair<std::string, oci::Digest>> ImageStore::all_names() const {
  std::vector<std::pair<std::string, oci::Digest>> out;
  const std::string folder = os::join(store_.home(), kNames);
  const auto files = os::list_folder(folder);
  if (!files) return out;
  for (const std::string& file : *files) {
    const auto text = os::read_file(os::join(folder, file), kMaxRecordBytes);
    if (!text) continue;
    if (auto name = parse_name(*text)) out.push_back(std::move(*name));
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<Image> ImageStore::read_with(
    const oci::Digest& digest,
    const std::vector<std::pair<std::string, oci::Digest>>& names) const {
  const auto record = os::read_file(os::join(store_.home(), record_path(digest)), kMaxRecordBytes);
  if (!record && record.error().code() == Code::not_found) return unreadable(digest);
  if (!record) return record.error();
  const auto all = lines(*record);
  if (all.size() < 2) return Error(Code::corrupt, "the record of image {} is cut off", digest.string());
  const oci::Digest documents = TRY(oci::Digest::parse(all[0]));
  const oci::Digest tree = TRY(oci::Digest::parse(all[1]));
  const store::Tree files = TRY(store_.tree(documents), "reading image {}", digest.string());
  NewImage from;
  from.manifest_bytes = TRY(read_document(store_, files, "manifest"));
  from.config_bytes = TRY(read_document(store_, files, "config"));
  const std::string layer_lines = TRY(read_document(store_, files, "layers"));
  for (const std::string_view line : lines(layer_lines)) {
    const Layer layer = TRY(parse_layer_line(line));
    from.layers.push_back(layer);
  }
  for (const auto& [name, of] : names)
    if (of == digest) from.names.push_back(name);
  Image image = TRY(check_image(from), "reading image {}", digest.string());
  image.tree = tree;
  return image;
}

Result<Image> ImageStore::read(const oci::Digest& digest) const {
  return read_with(digest, all_names());
}

Result<std::vector<Image>> ImageStore::list() const {
  std::vector<Image> out;
  const auto files = os::list_folder(os::join(store_.home(), kRecords));
  if (!files && files.error().code() == Code::not_found) return out;
  if (!files) return files.error();
  const auto names = all_names();
  for (const std::string& file : *files) {
    if (!file.ends_with(kRecordEnd)) continue;
    const auto digest = oci::Digest::parse_hex(file.substr(0, file.size() - kRecordEnd.size()));
    if (!digest) continue;
    auto image = read_with(*digest, names);
    if (image) out.push_back(std::move(*image));
  }
  std::stable_sort(out.begin(), out.end(), [](const Image& a, const Image& b) {
    return a.config.created > b.config.created;
  });
  return out;
}

std::optional<oci::Digest> ImageStore::digest_of(std::string_view name) const {
  const auto text = os::read_file(os::join(store_.home(), name_path(name)), kMaxRecordBytes);
  if (!text) return std::nullopt;
  const auto found = parse_name(*text);
  if (!found || found->first != name) return std::nullopt;
  return found->second;
}

namespace {

Error no_such_image(std::string_view text, const std::vector<Image>& images) {
  std::vector<std::string> names;
  for (const Image& image : images)
    names.insert(names.end(), image.names.begin(), image.names.end());
  Error error(Code::not_found, "no such image: {}", printable(text));
  if (const auto near = nearest(launch::image_name(text), names))
    return std::move(error).hint(fmt::format("did you mean `{}`?", *near));
  return std::move(error).hint("`kist images` lists what is there");
}

}  // namespace

Result<Image> ImageStore::find(std::string_view text) const {
  const bool is_bare_id = oci::is_id_prefix(text);
  if (!is_bare_id) {
    const oci::Reference reference = TRY(oci::Reference::parse(text));
    if (reference.digest) text = text.substr(text.find('@') + 1);
  }
  const std::string name = launch::image_name(text);
  for (const std::string& candidate : {name, "localhost/" + name})
    if (const auto digest = digest_of(candidate)) return read(*digest);
  std::vector<Image> images = TRY(list());
  std::string_view prefix = text;
  if (prefix.starts_with("sha256:")) prefix.remove_prefix(7);
  const Image* found = nullptr;
  for (const Image& image : images) {
    if (image.digest.string() == text) return image;
    if (!oci::is_id_prefix(prefix) || !image.id.hex().starts_with(prefix)) continue;
    // One configuration may have several manifests; the newest stands for all.
    if (found != nullptr && found->id != image.id)
      return Error(Code::invalid, "'{}' is the beginning of several ids", printable(text))
          .hint("`kist images --no-trunc` shows them whole");
    if (found == nullptr || (found->names.empty() && !image.names.empty())) found = &image;
  }
  if (found == nullptr) return no_such_image(text, images);
  return *found;
}

// First what a name stands for, then the name, then what is made from both.
Result<void> ImageStore::publish(store::Transaction& tx, const Image& image,
                                 const store::Root& root,
                                 const std::vector<std::string>& names) const {
  const oci::Digest documents = TRY(put_documents(tx, image));
  tx.publish(record_path(image.digest), record_text(documents, image));
  for (const std::string& name : names) tx.publish(name_path(name), name_text(name, image.digest));
  const std::string unnamed = launch::encode(ready_of(image, root, ""));
  tx.publish(launch::image_id_path("", image.id.hex()), unnamed);
  tx.publish(launch::image_digest_path("", image.digest.hex()), unnamed);
  for (const std::string& name : names)
    tx.publish(launch::image_ready_path("", name),
               launch::encode(ready_of(image, root, name)));
  return {};
}

// What was merged before is not merged again, and what is all there is not written again.
Result<Image> ImageStore::add(store::Transaction tx, const NewImage& from,
                              store::Variant variant) const {
  Image image = TRY(check_image(from));
  const auto known = read(image.digest);
  std::optional<store::Root> root;
  if (known) {
    image.tree = known->tree;
    root = store::find_root(store_, image.tree, variant);
    const bool has_names = std::includes(known->names.begin(), known->names.end(),
                                         image.names.begin(), image.names.end());
    if (root && has_names && is_ready(*known)) return *known;
  }
  if (!root) {
    const store::Tree merged = TRY(from.tree ? store_.tree(*from.tree) : merge_layers(store_, image.layers));
    image.tree = TRY(tx.put_tree(merged));
    root = TRY(store::make_root(store_, tx, merged, image.tree, variant));
  }
  const os::FileLock held = TRY(lock());
  TRY(publish(tx, image, *root, image.names));
  TRY(std::move(tx).commit());
  TRY(forget_twins(image));
  return read(image.digest);
}

// The same configuration under another manifest, which lost its last name to this one: to a person
// it is one image, and two lines for it would only puzzle.
Result<void> ImageStore::forget_twins(const Image& image) const {
  if (image.names.empty()) return {};
  const std::vector<Image> all = TRY(list());
  for (const Image& other : all) {
    if (other.id != image.id || other.digest == image.digest || !other.names.empty()) continue;
    TRY(remove_file(launch::image_digest_path(store_.home(), other.digest.hex())));
    TRY(remove_file(os::join(store_.home(), record_path(other.digest))));
  }
  return {};
}

bool ImageStore::is_ready(const Image& image) const {
  const auto is_there = [&](const std::string& name) {
    return launch::find_image(store_.home(), name).has_value();
  };
  return is_there(image.id.string()) && is_there(image.digest.string()) &&
         std::all_of(image.names.begin(), image.names.end(), is_there);
}

Result<void> ImageStore::tag(const Image& image, const std::string& name,
                             store::Variant variant) const {
  store::Transaction tx = TRY(store_.begin());
  const store::Tree merged = TRY(store_.tree(image.tree));
  const store::Root root = TRY(store::make_root(store_, tx, merged, image.tree, variant));
  const os::FileLock held = TRY(lock());
  if (!os::exists(os::join(store_.home(), record_path(image.digest)))) return unreadable(image.digest);
  TRY(publish(tx, image, root, {name}));
  return std::move(tx).commit();
}

Result<bool> ImageStore::untag(const std::string& name) const {
  const os::FileLock held = TRY(lock());
  const bool was_there = digest_of(name).has_value();
  TRY(remove_file(launch::image_ready_path(store_.home(), name)));
  TRY(remove_file(os::join(store_.home(), name_path(name))));
  return was_there;
}

Result<std::vector<std::string>> ImageStore::remove(const Image& image) const {
  const os::FileLock held = TRY(lock());
  const std::string& home = store_.home();
  const Image now = TRY(read(image.digest));
  for (const std::string& name : now.names) {
    TRY(remove_file(launch::image_ready_path(home, name)));
    TRY(remove_file(os::join(home, name_path(name))));
  }
  TRY(remove_file(launch::image_digest_path(home, now.digest.hex())));
  TRY(remove_file(launch::image_id_path(home, now.id.hex())));
  TRY(remove_file(os::join(home, record_path(now.digest))));
  std::set<oci::Digest> used;
  const std::vector<Image> others = TRY(list());
  for (const Image& other : others)
    for (const Layer& layer : other.layers) {
      used.insert(layer.diff_id);
      used.insert(layer.digest);
    }
  std::vector<std::string> removed{now.id.string()};
  for (auto layer = now.layers.rbegin(); layer != now.layers.rend(); ++layer) {
    if (!used.contains(layer->digest)) TRY(store_.remove_name(blob_name(layer->digest)));
    if (!used.insert(layer->diff_id).second) continue;
    TRY(store_.remove_name(layer_name(layer->diff_id)));
    removed.push_back(layer->diff_id.string());
  }
  return removed;
}

Result<launch::ReadyImage> ImageStore::make_ready(const Image& image, const std::string& name,
                                                  store::Variant variant) const {
  store::Transaction tx = TRY(store_.begin());
  const store::Tree merged = TRY(store_.tree(image.tree));
  const store::Root root = TRY(store::make_root(store_, tx, merged, image.tree, variant));
  const os::FileLock held = TRY(lock());
  const Image now = TRY(read(image.digest));
  TRY(publish(tx, now, root, now.names));
  TRY(std::move(tx).commit());
  return ready_of(now, root, name);
}

}  // namespace kist::images
