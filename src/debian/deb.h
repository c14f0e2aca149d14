// A .deb becomes a tree, without running anything of it.
//
//   const Deb deb = TRY(unpack_deb(mapped.bytes(), {.filter = PathFilter::slim()}, sink));
//   … deb.files …  deb.meta …   // Two trees to keep: under deb_key() and under that plus "-meta".
//   const DebMeta meta = TRY(read_meta(deb.meta, reader));
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debian/elf.h"
#include "debian/path_filter.h"
#include "store/object_sink.h"

namespace kist::debian {

/// Changes whenever unpack_deb() would give other trees for the same .deb.
inline constexpr int kDebRecipe = 1;

struct DebLimits {
  uint64_t entries = 500'000;
  uint64_t unpacked_bytes = 16ull << 30;
  uint64_t control_bytes = 16u << 20;  // Of all control files together.
};

struct DebOptions {
  PathFilter filter;
  bool usr_merge = true;  // bin, sbin, lib, lib32, lib64, libx32 become usr/…
  DebLimits limits;
};

/// A library or program that the dynamic linker's cache may have to know.
struct Library {
  std::string path;
  ElfFacts facts;
  bool operator==(const Library&) const = default;
};

/// What a package says about itself besides its files.
struct DebMeta {
  std::map<std::string, std::string> control;  // "control", "postinst", "conffiles", "triggers" …
  std::vector<std::string> paths;              // All paths as the package has them, "/." first: the
                                               // dpkg .list file, excluded files included.
  std::vector<Library> libraries;              // In path order.

  /// The text of a control file, "" when there is none.
  std::string_view file(std::string_view name) const;
};

struct Deb {
  store::Tree files;
  store::Tree meta;  // DebMeta as files, so that a store of trees can keep it.
};

/// Reads one object of a tree; the store's read_object, or a test's map.
using ContentReader = std::function<Result<std::string>(const store::Entry&)>;

/// Unpacks. Blocks on the disk through `sink` only; memory is bounded by the largest library.
/// Owner numbers and permission bits (setuid too) are the archive's, times are kTreeTime. Hard links
/// become the same object.
///
/// Errors: corrupt (not a .deb, damaged or truncated), invalid ("..", absolute or duplicate names,
/// devices, over a limit), unsupported (compression, format 0.x), those of the sink.
Result<Deb> unpack_deb(std::string_view bytes, const DebOptions& options, store::ObjectSink& sink);

/// Errors: corrupt (not what unpack_deb() wrote), those of the reader.
Result<DebMeta> read_meta(const store::Tree& meta, const ContentReader& reader);

/// Under which a store keeps the tree: a hash of the recipe, the .deb and the options.
std::string deb_key(const oci::Digest& deb, const DebOptions& options);

/// "bin/sh" as "usr/bin/sh"; other paths unchanged.
std::string merged_path(std::string_view path);

}  // namespace kist::debian
