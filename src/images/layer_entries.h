// How a layer is kept as a tree. Module-private.
//
// A tree knows folders, files and links only, so what a layer's tar says beyond that is an entry with
// a name or an attribute that no image can bring itself: whiteouts keep their ".wh." names, and
// attributes beginning with "kist." are dropped from what comes in.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "archive/tar_reader.h"
#include "store/object_sink.h"
#include "store/tree.h"

namespace kist::images {

inline constexpr std::string_view kWhiteout = ".wh.";
inline constexpr std::string_view kOpaque = ".wh..wh..opq";
/// On a folder that the layer did not list: it has no say in the merged folder's mode and owner.
inline constexpr std::string_view kImplicit = "kist.implicit";
/// On an empty file: a hard link to the path that is its value, in the layers below.
inline constexpr std::string_view kLink = "kist.link";

const std::string* find_xattr(const store::Entry& entry, std::string_view name);
/// The last component.
std::string_view base_name(std::string_view path);
/// "" for what lies in the root.
std::string_view folder_of(std::string_view path);

struct PathLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return store::path_less(a, b); }
};

/// Takes the entries of one layer in the order of its tar, as extracting them into an empty folder
/// would: later ones replace earlier ones, and links that the layer made are followed inside.
class LayerEntries {
 public:
  /// `empty_object`: of a file without content, which is in the store.
  explicit LayerEntries(const store::Object& empty_object) : empty_(empty_object) {}

  /// For files `content` is their object. Errors: invalid (a path that leads out, a whiteout of a
  /// parent, a hard link to a folder, an owner that no machine has).
  Result<void> add(const archive::TarEntry& from, const store::Object* content);
  /// Devices, sockets and FIFOs, which a tree cannot hold: they hide what they replace.
  size_t left_out() const { return left_out_; }
  size_t size() const { return entries_.size(); }
  Result<store::Tree> finish() &&;

 private:
  using Map = std::map<std::string, store::Entry, PathLess>;
  Result<std::string> place(const std::string& raw);
  Result<std::string> resolve_folder(std::string_view folder);
  Result<void> add_whiteout(const std::string& path, std::string_view name);
  Result<void> add_link(store::Entry entry, const std::string& raw_target);
  void make_parents(std::string_view path);
  void put(store::Entry entry);
  store::Entry empty_file(std::string path) const;

  store::Object empty_;
  Map entries_;
  size_t left_out_ = 0;
  std::string last_folder_;    // The folder that was resolved last, as written,
  std::string last_resolved_;  // and where it is. Valid until a link is put.
  bool has_last_ = false;
};

/// A path of a layer as one of a tree: docker and containerd take "/etc" for "etc", and ".." for what
/// it means as long as it stays inside. "" for the root. Errors: invalid (leads out).
Result<std::string> clean_layer_path(std::string_view raw);

}  // namespace kist::images
