#include "debian/deb.h"

#include <algorithm>
#include <set>

#include "archive/ar_reader.h"
#include "archive/tar_reader.h"
#include "base/text.h"

namespace kist::debian {
namespace {

using archive::TarEntry;
using archive::TarFilter;
using archive::TarKind;
using archive::TarReader;

constexpr uint64_t kWholeInMemory = 16u << 20;  // Larger files go to the sink in pieces.
constexpr uint64_t kLargestLibrary = 1ull << 30;
constexpr uint64_t kSmallestElf = 52;
constexpr uint32_t kMaxOwner = 0x7fffffff;

struct Member {
  std::string_view bytes;
  TarFilter filter;
};

// "data.tar", "data.tar.xz" …
std::optional<TarFilter> filter_of(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return std::nullopt;
  const std::string_view suffix = name.substr(stem.size());
  if (suffix.empty()) return TarFilter::none;
  if (suffix == ".xz") return TarFilter::xz;
  if (suffix == ".gz") return TarFilter::gzip;
  if (suffix == ".zst") return TarFilter::zstd;
  if (suffix == ".bz2") return TarFilter::bzip2;
  return std::nullopt;
}

Result<Member> find_member(const std::vector<archive::ArMember>& members, std::string_view stem) {
  for (const archive::ArMember& member : members) {
    if (!member.name.starts_with(stem)) continue;
    const auto filter = filter_of(member.name, stem);
    if (!filter)
      return Error(Code::unsupported, "member '{}' is compressed in a way that is not supported",
                   printable(member.name));
    return Member{member.bytes, *filter};
  }
  return Error(Code::corrupt, "there is no member '{}' in it, so it is not a .deb", stem);
}

bool looks_like_library(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return (name.starts_with("lib") || name.starts_with("ld-") || name.starts_with("ld.so")) &&
         name.find(".so") != std::string_view::npos;
}

Result<std::map<std::string, std::string>> read_control(const Member& member,
                                                        const DebLimits& limits) {
  std::map<std::string, std::string> out;
  TarReader tar = TRY(TarReader::open(
      member.bytes, member.filter, {.entries = 1000, .unpacked_bytes = limits.control_bytes}));
  TarEntry entry;
  while (true) {
    const bool more = TRY(tar.next(entry));
    if (!more) break;
    const std::string name = TRY(archive::clean_tar_path(entry.path));
    if (entry.kind == TarKind::folder) continue;
    if (entry.kind != TarKind::file || name.empty() || name.find('/') != std::string::npos)
      return Error(Code::invalid, "control member has '{}', want plain files", printable(name));
    std::string text;
    while (true) {
      const std::string_view piece = TRY(tar.read());
      if (piece.empty()) break;
      text += piece;
    }
    if (!out.emplace(name, std::move(text)).second)
      return Error(Code::invalid, "control member has '{}' twice", printable(name));
  }
  if (!out.contains("control")) return Error(Code::corrupt, "control member has no file 'control'");
  return out;
}

// Turns data.tar into entries. `kept`: files that are stored although the filter leaves them out,
// because a hard link that stays needs their content.
class Unpacker {
 public:
  Unpacker(const DebOptions& options, store::ObjectSink& sink) : options_(options), sink_(sink) {}

  std::set<std::string> kept;
  std::vector<store::Entry> entries;
  std::vector<Library> libraries;
  std::vector<std::string> paths;

  Result<void> unpack(const Member& member) {
    TarReader tar = TRY(TarReader::open(
        member.bytes, member.filter,
        {.entries = options_.limits.entries, .unpacked_bytes = options_.limits.unpacked_bytes}));
    TarEntry entry;
    while (true) {
      const bool more = TRY(tar.next(entry));
      if (!more) return {};
      TRY(add(tar, entry), "entry '{}'", printable(entry.path));
    }
  }

  /// A hard link needs this path, which the filter left out.
  std::optional<std::string> missing;

 private:
  Result<void> add(TarReader& tar, const TarEntry& from) {
    const std::string raw = TRY(archive::clean_tar_path(from.path));
    paths.push_back(raw.empty() ? "/." : "/" + raw);
    if (raw.empty()) return {};
    const bool excluded = options_.filter.excludes(raw);
    if (from.uid > kMaxOwner || from.gid > kMaxOwner)
      return Error(Code::invalid, "owner {}:{} is out of range", from.uid, from.gid);
    store::Entry to;
    // A top-level link ("bin -> usr/bin", which base-files may bring) is the merge itself.
    const bool top_link = from.kind == TarKind::symlink && raw.find('/') == std::string::npos;
    to.path = options_.usr_merge && !top_link ? merged_path(raw) : raw;
    to.mode = from.mode;
    to.uid = static_cast<uint32_t>(from.uid);
    to.gid = static_cast<uint32_t>(from.gid);
    to.xattrs = from.xattrs;
    switch (from.kind) {
      case TarKind::folder: to.kind = store::Kind::folder; break;
      case TarKind::symlink:
        TRY(make_symlink(from, to));
        break;
      case TarKind::file:
        if (excluded && !kept.contains(to.path)) return {};
        TRY(make_file(tar, from, to));
        break;
      case TarKind::hardlink:
        TRY(make_hard_link(from, to, excluded));
        break;
      default: return Error(Code::invalid, "it is a device or a pipe, which no package may bring");
    }
    // Folders that a rule leaves out go unless something in them stays: Tree::make adds parents.
    if (excluded || missing) return {};
    // Links that the merge turned into links to themselves, and folders that it made one.
    if (to.kind == store::Kind::symlink && to.target == "/" + to.path) return {};
    if (to.kind == store::Kind::folder && !folders_.insert(to.path).second) return {};
    entries.push_back(std::move(to));
    return {};
  }

  static Result<void> make_symlink(const TarEntry& from, store::Entry& to) {
    if (from.target.empty()) return Error(Code::invalid, "symlink without a target");
    to.kind = store::Kind::symlink;
    to.mode = 0777;
    to.target = from.target;
    return {};
  }

  Result<void> make_file(TarReader& tar, const TarEntry& from, store::Entry& to) {
    to.kind = store::Kind::file;
    const bool library = looks_like_library(to.path) && from.size_bytes <= kLargestLibrary &&
                         from.size_bytes >= kSmallestElf;
    const bool whole = from.size_bytes <= kWholeInMemory;
    std::unique_ptr<store::ObjectWriter> writer;
    if (!whole) {
      writer = TRY(sink_.begin(to.mode));
    }
    buffer_.clear();
    uint64_t size = 0;
    while (true) {
      const std::string_view piece = TRY(tar.read());
      size += piece.size();
      if (piece.empty() || size > from.size_bytes) break;
      if (whole || library) buffer_ += piece;
      if (whole) continue;
      TRY(writer->write(piece));
    }
    if (size != from.size_bytes)
      return Error(Code::corrupt, "{} bytes, want {}", size, from.size_bytes);
    auto stored = whole ? sink_.put(buffer_, to.mode) : writer->finish();
    const store::Object object = TRY(std::move(stored));
    to.object = object.digest;
    to.size_bytes = object.size_bytes;
    files_.insert_or_assign(to.path, to);
    if (!library) return {};
    if (const auto facts = read_elf(buffer_)) libraries.push_back({to.path, *facts});
    if (buffer_.capacity() > 2 * kWholeInMemory) std::string().swap(buffer_);
    return {};
  }

  Result<void> make_hard_link(const TarEntry& from, store::Entry& to, bool excluded) {
    const std::string raw = TRY(archive::clean_tar_path(from.target), "hard link");
    const std::string target = options_.usr_merge ? merged_path(raw) : raw;
    const auto found = files_.find(target);
    if (found == files_.end()) {
      if (excluded) return {};
      if (!options_.filter.excludes(raw) || kept.contains(target))
        return Error(Code::invalid, "hard link to '{}', which is no file before it",
                     printable(from.target));
      missing = target;
      return {};
    }
    const std::string path = std::move(to.path);
    to = found->second;
    to.path = path;
    files_.insert_or_assign(path, to);
    for (const Library& library : libraries) {
      if (library.path != target) continue;
      libraries.push_back({path, library.facts});
      break;
    }
    return {};
  }

  const DebOptions& options_;
  store::ObjectSink& sink_;
  std::map<std::string, store::Entry> files_;
  std::set<std::string> folders_;
  std::string buffer_;
};

Result<store::Tree> make_meta(const DebMeta& meta, store::ObjectSink& sink) {
  store::TreeBuilder builder(sink);
  for (const auto& [name, text] : meta.control) {
    TRY(builder.file("control/" + name, 0644, text));
  }
  std::string paths;
  for (const std::string& path : meta.paths) paths += percent_encode(path) + "\n";
  TRY(builder.file("paths", 0644, paths));
  std::string libraries;
  for (const Library& library : meta.libraries)
    libraries += percent_encode(library.path) + " " + elf_line(library.facts) + "\n";
  TRY(builder.file("libraries", 0644, libraries));
  return TRY(std::move(builder).finish());
}

Result<Unpacker> unpack_data(const Member& member, const DebOptions& options,
                             store::ObjectSink& sink) {
  std::set<std::string> kept;
  while (true) {
    Unpacker unpacker(options, sink);
    unpacker.kept = kept;
    TRY(unpacker.unpack(member));
    if (!unpacker.missing) return unpacker;
    kept.insert(*unpacker.missing);  // Once more, keeping it; grows each time, so it ends.
  }
}

}  // namespace

std::string_view DebMeta::file(std::string_view name) const {
  const auto found = control.find(std::string(name));
  return found == control.end() ? std::string_view() : std::string_view(found->second);
}

std::string merged_path(std::string_view path) {
  const std::string_view first = path.substr(0, path.find('/'));
  for (const std::string_view folder : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"})
    if (first == folder) return "usr/" + std::string(path);
  return std::string(path);
}

std::string deb_key(const oci::Digest& deb, const DebOptions& options) {
  return oci::Sha256::of(fmt::format("deb {}\n{}\nusr-merge {}\n{}", kDebRecipe, deb.string(),
                                     options.usr_merge, options.filter.text()))
      .hex();
}

Result<Deb> unpack_deb(std::string_view bytes, const DebOptions& options, store::ObjectSink& sink) {
  const std::vector<archive::ArMember> members = TRY(archive::read_ar(bytes));
  if (members.empty() || members[0].name != "debian-binary" ||
      !members[0].bytes.starts_with("2."))
    return Error(Code::corrupt, "not a .deb of format 2: its first member is not 'debian-binary'");
  const Member control = TRY(find_member(members, "control.tar"));
  const Member data = TRY(find_member(members, "data.tar"));

  DebMeta meta;
  meta.control = TRY(read_control(control, options.limits), "reading the control member");
  Unpacker unpacked = TRY(unpack_data(data, options, sink), "reading the data member");
  std::sort(unpacked.libraries.begin(), unpacked.libraries.end(),
            [](const Library& a, const Library& b) { return a.path < b.path; });
  meta.paths = std::move(unpacked.paths);
  meta.libraries = std::move(unpacked.libraries);
  Deb deb;
  deb.files = TRY(store::Tree::make(std::move(unpacked.entries)));
  deb.meta = TRY(make_meta(meta, sink));
  return deb;
}

Result<DebMeta> read_meta(const store::Tree& tree, const ContentReader& reader) {
  DebMeta meta;
  for (const store::Entry& entry : tree.entries()) {
    if (entry.kind != store::Kind::file) continue;
    const std::string text = TRY(reader(entry));
    if (entry.path.starts_with("control/")) {
      meta.control[entry.path.substr(8)] = text;
      continue;
    }
    for (const std::string_view line : lines(text)) {
      const size_t space = std::min(line.find(' '), line.size());
      auto path = percent_decode(line.substr(0, space));
      if (!path) return Error(Code::corrupt, "'{}' is not percent-encoded", printable(line));
      if (entry.path == "paths") meta.paths.push_back(std::move(*path));
      if (entry.path != "libraries") continue;
      if (space == line.size()) return Error(Code::corrupt, "library without facts");
      ElfFacts facts = TRY(parse_elf_line(line.substr(space + 1)));
      meta.libraries.push_back({std::move(*path), std::move(facts)});
    }
  }
  if (!meta.control.contains("control"))
    return Error(Code::corrupt, "the package's record has no control file");
  return meta;
}

}  // namespace kist::debian
