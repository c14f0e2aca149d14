#include "environment/interpreter_archive.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "archive/tar_reader.h"
#include "base/text.h"
#include "debian/elf.h"
#include "environment/interpreter_layout.h"
#include "environment/interpreter_paths.h"
#include "os/files.h"

namespace kist::environment {
namespace {

using archive::TarEntry;
using archive::TarFilter;
using archive::TarKind;
using archive::TarReader;

// Raise it when the same archive would give another tree.
constexpr std::string_view kRecipe = "kist-interpreter-1";
constexpr archive::TarLimits kLimits = {.entries = 200'000, .unpacked_bytes = 4ull << 30, .path_bytes = 4096};
constexpr size_t kMaxTextBytes = 4u << 20;    // Of a file whose paths are changed.
constexpr size_t kMaxElfBytes = 512u << 20;   // With debugging information it is large.
constexpr size_t kTarMagicOffset = 257;

Result<TarFilter> filter_of(std::string_view bytes) {
  if (bytes.starts_with("\x1f\x8b")) return TarFilter::gzip;
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return TarFilter::zstd;
  if (bytes.starts_with(std::string_view("\xfd" "7zXZ\0", 6))) return TarFilter::xz;
  if (bytes.starts_with("BZh")) return TarFilter::bzip2;
  if (bytes.size() > kTarMagicOffset && bytes.substr(kTarMagicOffset).starts_with("ustar"))
    return TarFilter::none;
  return Error(Code::invalid, "not a tar archive (plain, or of gzip, zstd, xz or bzip2): it starts with '{}'",
               printable(bytes.substr(0, 8)))
      .hint("take an archive whose name ends in `install_only.tar.gz`");
}

Result<InterpreterLayout> read_layout(std::string_view bytes, TarFilter filter) {
  TarReader tar = TRY(TarReader::open(bytes, filter, kLimits));
  InterpreterLayoutFinder finder;
  TarEntry entry;
  while (true) {
    const bool more = TRY(tar.next(entry));
    if (!more) break;
    const std::string path = TRY(archive::clean_tar_path(entry.path));
    finder.add(path);
  }
  return std::move(finder).finish();
}

// The folder's entries as a tree, and what its ELF files and headers say.
class Unpacker {
 public:
  Unpacker(InterpreterLayout layout, store::ObjectSink& sink)
      : layout_(std::move(layout)), program_("bin/python" + layout_.minor), sink_(sink), builder_(sink) {}

  Result<void> add(TarReader& tar, const TarEntry& from) {
    const std::string whole = TRY(archive::clean_tar_path(from.path));
    const auto path = layout_.inside(whole);
    if (!path || path->empty() || layout_.is_left_out(*path)) return {};
    switch (from.kind) {
      case TarKind::folder: builder_.folder(placed(*path)); return {};
      case TarKind::symlink: return add_symlink(*path, from.target);
      case TarKind::hardlink: return add_hard_link(*path, from.target);
      case TarKind::file: return add_file(tar, from, *path);
      default: return Error(Code::invalid, "it is a device or a pipe, want files, folders and links");
    }
  }

  Result<UnpackedInterpreter> finish() && {
    TRY(check_program());
    TRY(add_texts());
    add_certificates();
    UnpackedInterpreter out;
    out.facts.python = TRY(version());
    out.facts.machine = program_facts_->machine;
    for (const std::string& name : needed_)
      if (!brought_.contains(name)) out.facts.needed.push_back(name);
    out.files = TRY(std::move(builder_).finish());
    return out;
  }

 private:
  static std::string placed(std::string_view path) {
    return fmt::format("{}/{}", kInterpreterHome.substr(1), path);
  }

  Result<void> add_symlink(const std::string& path, const std::string& target) {
    const auto inside = resolve_link(path, target);
    if (!inside)
      return Error(Code::invalid, "its target '{}' leads out of the interpreter's folder", printable(target));
    builder_.symlink(placed(path), target);
    links_[path] = *inside;
    brought_.insert(std::string(os::name_of(path)));
    return {};
  }

  Result<void> add_hard_link(const std::string& path, const std::string& target) {
    const std::string whole = TRY(archive::clean_tar_path(target), "hard link");
    const auto inside = layout_.inside(whole);
    if (inside && texts_.contains(*inside)) {
      texts_[path] = texts_[*inside];
      return {};
    }
    const auto found = inside ? files_.find(*inside) : files_.end();
    if (found == files_.end())
      return Error(Code::invalid, "hard link to '{}', which is no file of the interpreter before it",
                   printable(target));
    store::Entry entry = found->second;
    entry.path = placed(path);
    files_[path] = entry;
    note_file(path);
    links_[path] = *inside;
    builder_.add(std::move(entry));
    return {};
  }

  Result<void> add_file(TarReader& tar, const TarEntry& from, const std::string& path) {
    const uint32_t mode = (from.mode & 0111) != 0 ? 0755 : 0644;
    std::string_view piece = TRY(tar.read());
    const bool is_elf = piece.starts_with("\x7f" "ELF");
    const bool is_script = piece.starts_with("#!");
    const bool is_text = has_own_paths(path, layout_.minor) && !is_elf &&
                         (is_script || os::parent_of(path) != "bin");
    const size_t limit = is_elf ? kMaxElfBytes : kMaxTextBytes;
    const bool is_header = path == layout_.header_path();
    std::unique_ptr<store::ObjectWriter> writer = TRY(sink_.begin(mode));
    std::string bytes;
    uint64_t size = 0;
    while (!piece.empty()) {
      size += piece.size();
      if (is_elf || is_text || is_header) bytes += piece;
      if (bytes.size() > limit)
        return Error(Code::invalid, "larger than {}", human_bytes(limit));
      if (!is_text) TRY(writer->write(piece));
      piece = TRY(tar.read());
    }
    if (size != from.size_bytes)
      return Error(Code::corrupt, "{} bytes, want {}", size, from.size_bytes);
    note_file(path);
    if (is_elf) note_elf(path, bytes);
    if (is_header) header_ = bytes;
    if (is_text) {
      texts_[path] = {mode, std::move(bytes)};
      return {};
    }
    const store::Object object = TRY(writer->finish());
    store::Entry entry;
    entry.path = placed(path);
    entry.mode = mode;
    entry.object = object.digest;
    entry.size_bytes = object.size_bytes;
    files_[path] = entry;
    builder_.add(std::move(entry));
    return {};
  }

  void note_file(const std::string& path) { brought_.insert(std::string(os::name_of(path))); }

  void note_elf(const std::string& path, const std::string& bytes) {
    const auto facts = debian::read_elf(bytes);
    if (!facts) return;
    elf_files_.emplace(path, *facts);
    needed_.insert(facts->needed.begin(), facts->needed.end());
    if (!facts->soname.empty()) brought_.insert(facts->soname);
    const auto folder = openssl_folder(bytes);
    if (folder) certificate_folders_.insert(*folder);
  }

  Result<void> check_program() {
    std::string path = program_;
    for (int i = 0; i < 8 && links_.contains(path); ++i) path = links_[path];
    const auto found = elf_files_.find(path);
    if (found == elf_files_.end())
      return Error(Code::invalid, "'{}' in it is no program of Linux", layout_.whole(program_))
          .hint("take the build for Linux, whose name has `linux-gnu` in it");
    program_facts_ = found->second;
    const auto& needed = program_facts_->needed;
    if (std::find(needed.begin(), needed.end(), "libc.so.6") != needed.end()) return {};
    return Error(Code::unsupported, "'{}' in it is not linked with glibc: it could not load compiled packages",
                 layout_.whole(program_))
        .hint("take the build whose name has `linux-gnu` in it");
  }

  Result<void> add_texts() {
    std::string prefix;
    for (const auto& [path, text] : texts_)
      if (prefix.empty() && os::name_of(path).starts_with("_sysconfigdata"))
        prefix = build_prefix(text.bytes);
    for (const auto& [path, text] : texts_)
      TRY(builder_.file(placed(path), text.mode,
                        fix_interpreter_text(path, text.bytes, prefix, kInterpreterHome)));
    return {};
  }

  void add_certificates() {
    for (const std::string& folder : certificate_folders_) {
      builder_.symlink(folder + "/certs", "/etc/ssl/certs");
      builder_.symlink(folder + "/cert.pem", "/etc/ssl/certs/ca-certificates.crt");
    }
  }

  // The minor version is that of the folder's names.
  Result<std::string> version() const {
    if (header_.empty()) return layout_.minor;
    const std::string full = version_in_header(header_);
    if (full.starts_with(layout_.minor + ".")) return full;
    return Error(Code::corrupt, "'{}' in it is of Python {}, '{}' of Python {}",
                 layout_.whole(layout_.header_path()), full.empty() ? "unknown" : printable(full),
                 layout_.whole(program_), layout_.minor);
  }

  struct Text {
    uint32_t mode;
    std::string bytes;
  };
  const InterpreterLayout layout_;
  const std::string program_;
  store::ObjectSink& sink_;
  store::TreeBuilder builder_;
  std::map<std::string, store::Entry> files_;
  std::map<std::string, std::string> links_;  // To a path below the same folder.
  std::map<std::string, Text> texts_;
  std::map<std::string, debian::ElfFacts> elf_files_;
  std::set<std::string> needed_, brought_, certificate_folders_;
  std::optional<debian::ElfFacts> program_facts_;
  std::string header_;
};

}  // namespace

std::string interpreter_key(const oci::Digest& archive) {
  return oci::Sha256::of(fmt::format("{}\n{}\n", kRecipe, archive.string())).hex();
}

Result<UnpackedInterpreter> unpack_interpreter(std::string_view bytes, store::ObjectSink& sink) {
  const TarFilter filter = TRY(filter_of(bytes));
  InterpreterLayout layout = TRY(read_layout(bytes, filter));
  Unpacker unpacker(std::move(layout), sink);
  TarReader tar = TRY(TarReader::open(bytes, filter, kLimits));
  TarEntry entry;
  while (true) {
    const bool more = TRY(tar.next(entry));
    if (!more) break;
    TRY(unpacker.add(tar, entry), "entry '{}'", printable(entry.path));
  }
  UnpackedInterpreter out = TRY(std::move(unpacker).finish());
  out.facts.size_bytes = bytes.size();
  return out;
}

std::string encode(const InterpreterFacts& facts) {
  std::string out = fmt::format("kist-interpreter 1\npython {}\nmachine {}\nsize {}\n", facts.python,
                                facts.machine, facts.size_bytes);
  for (const std::string& name : facts.needed) out += fmt::format("needs {}\n", percent_encode(name));
  return out + "end\n";
}

Result<InterpreterFacts> decode_interpreter_facts(std::string_view text) {
  const auto all = lines(text);
  if (all.size() < 2 || all.front() != "kist-interpreter 1" || all.back() != "end")
    return Error(Code::corrupt, "not whole facts of an interpreter");
  InterpreterFacts facts;
  for (size_t i = 1; i + 1 < all.size(); ++i) {
    const auto words = split(all[i], ' ');
    const Error bad(Code::corrupt, "facts of an interpreter, line {}: not understood", i + 1);
    if (words.size() != 2) return bad;
    const auto number = parse_number(words[1]);
    const auto decoded = percent_decode(words[1]);
    if (words[0] == "python")
      facts.python = words[1];
    else if (words[0] == "machine" && number && *number <= UINT16_MAX)
      facts.machine = static_cast<uint16_t>(*number);
    else if (words[0] == "size" && number)
      facts.size_bytes = *number;
    else if (words[0] == "needs" && decoded)
      facts.needed.push_back(*decoded);
    else
      return bad;
  }
  return facts;
}

}  // namespace kist::environment
