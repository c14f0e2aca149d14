#include "images/layer_entries.h"

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace kist::images {
namespace {

using archive::TarKind;
using store::Entry;
using store::Kind;

constexpr int kMaxLinksFollowed = 40;  // As Linux.

Result<uint32_t> owner(uint64_t id, std::string_view path) {
  // All ones means "leave as it is" to chown, so no file can belong to it.
  if (id >= std::numeric_limits<uint32_t>::max())
    return Error(Code::invalid, "'{}' belongs to {}, which is no user or group", printable(path),
                 id);
  return static_cast<uint32_t>(id);
}

void copy_xattrs(const archive::TarEntry& from, Entry& to) {
  for (const auto& [name, value] : from.xattrs) {
    if (name.starts_with("kist.")) continue;
    if (!to.xattrs.empty() && to.xattrs.back().first == name) continue;
    to.xattrs.emplace_back(name, value);
  }
}

std::string join_path(std::string_view folder, std::string_view name) {
  return folder.empty() ? std::string(name) : fmt::format("{}/{}", folder, name);
}

}  // namespace

const std::string* find_xattr(const Entry& entry, std::string_view name) {
  for (const auto& [key, value] : entry.xattrs)
    if (key == name) return &value;
  return nullptr;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view folder_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return path.substr(0, slash == std::string_view::npos ? 0 : slash);
}

Result<std::string> clean_layer_path(std::string_view raw) {
  std::string out;
  if (raw.find('\0') != std::string_view::npos)
    return Error(Code::invalid, "path '{}' has a NUL byte", printable(raw));
  for (const std::string_view part : split(raw, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      if (!out.empty()) out += '/';
      out += part;
      continue;
    }
    if (out.empty()) return Error(Code::invalid, "path '{}' leads out of the image", printable(raw));
    out.resize(folder_of(out).size());
  }
  return out;
}

Entry LayerEntries::empty_file(std::string path) const {
  Entry entry;
  entry.path = std::move(path);
  entry.mode = 0644;
  entry.object = empty_.digest;
  return entry;
}

// Where `folder` is when the links that this layer made are followed, all inside its root.
Result<std::string> LayerEntries::resolve_folder(std::string_view folder) {
  if (has_last_ && folder == last_folder_) return last_resolved_;
  std::string done;
  std::string rest(folder);
  int followed = 0;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string part = rest.substr(0, slash);
    rest = slash == std::string::npos ? "" : rest.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      // As chroot: above the root is the root.
      done.resize(folder_of(done).size());
      continue;
    }
    std::string next = join_path(done, part);
    const auto at = entries_.find(next);
    if (at == entries_.end() || at->second.kind != Kind::symlink) {
      done = std::move(next);
      continue;
    }
    if (++followed > kMaxLinksFollowed)
      return Error(Code::invalid, "'{}' goes through more than {} symlinks", printable(folder),
                   kMaxLinksFollowed);
    const std::string& target = at->second.target;
    if (target.starts_with('/')) done.clear();
    rest = rest.empty() ? target : fmt::format("{}/{}", target, rest);
    if (rest.size() > 2 * 4096)
      return Error(Code::invalid, "'{}' becomes too long through symlinks", printable(folder));
  }
  last_folder_ = std::string(folder);
  last_resolved_ = done;
  has_last_ = true;
  return done;
}

Result<std::string> LayerEntries::place(const std::string& raw) {
  const std::string path = TRY(clean_layer_path(raw));
  if (path.empty()) return path;
  const std::string folder = TRY(resolve_folder(folder_of(path)));
  return join_path(folder, base_name(path));
}

void LayerEntries::make_parents(std::string_view path) {
  for (std::string_view folder = folder_of(path); !folder.empty(); folder = folder_of(folder)) {
    const auto at = entries_.find(folder);
    if (at != entries_.end() && at->second.kind == Kind::folder) return;
    Entry parent;
    parent.path = std::string(folder);
    parent.kind = Kind::folder;
    parent.mode = 0755;
    parent.xattrs.emplace_back(kImplicit, "");
    entries_.insert_or_assign(parent.path, std::move(parent));
  }
}

// A folder over a folder changes its attributes; anything else replaces what was there, with all that
// was in it.
void LayerEntries::put(Entry entry) {
  make_parents(entry.path);
  const auto at = entries_.find(entry.path);
  if (at != entries_.end() && at->second.kind == Kind::folder && entry.kind != Kind::folder) {
    auto end = std::next(at);
    while (end != entries_.end() && end->first.size() > entry.path.size() &&
           end->first[entry.path.size()] == '/' && end->first.starts_with(entry.path))
      ++end;
    entries_.erase(at, end);
  }
  if (entry.kind == Kind::symlink || at != entries_.end()) has_last_ = false;
  std::string path = entry.path;
  entries_.insert_or_assign(std::move(path), std::move(entry));
}

Result<void> LayerEntries::add_whiteout(const std::string& path, std::string_view name) {
  if (name == kOpaque) return put(empty_file(path)), Result<void>();
  // AUFS kept its own files under such names; they are no part of an image.
  if (name.starts_with(".wh..wh.")) return {};
  const std::string_view hidden = name.substr(kWhiteout.size());
  if (hidden.empty() || hidden == "." || hidden == "..")
    return Error(Code::invalid, "whiteout '{}' would hide a folder that it lies in",
                 printable(path));
  put(empty_file(path));
  return {};
}

Result<void> LayerEntries::add_link(Entry entry, const std::string& raw_target) {
  const std::string target = TRY(place(raw_target), "hard link '{}'", printable(entry.path));
  if (target == entry.path) return {};
  const auto at = entries_.find(target);
  if (at == entries_.end()) {
    Entry link = empty_file(entry.path);
    link.xattrs.emplace_back(kLink, target);
    put(std::move(link));
    return {};
  }
  if (at->second.kind == Kind::folder)
    return Error(Code::invalid, "hard link '{}' leads to the folder '{}'", printable(entry.path),
                 printable(target));
  Entry same = at->second;
  same.path = std::move(entry.path);
  put(std::move(same));
  return {};
}

Result<void> LayerEntries::add(const archive::TarEntry& from, const store::Object* content) {
  Entry entry;
  entry.path = TRY(place(from.path));
  // The root of a tree is always 0755 and of root: what a layer says of it is not kept.
  if (entry.path.empty()) {
    if (from.kind == TarKind::folder) return {};
    return Error(Code::invalid, "'{}' is the root and no folder", printable(from.path));
  }
  const std::string_view name = base_name(entry.path);
  if (name.starts_with(kWhiteout)) return add_whiteout(entry.path, name);
  if (from.kind == TarKind::hardlink) return add_link(std::move(entry), from.target);
  entry.mode = from.mode;
  entry.uid = TRY(owner(from.uid, entry.path));
  entry.gid = TRY(owner(from.gid, entry.path));
  entry.mtime_s = from.mtime_s;
  copy_xattrs(from, entry);
  switch (from.kind) {
    case TarKind::folder: entry.kind = Kind::folder; break;
    case TarKind::symlink:
      entry.kind = Kind::symlink;
      entry.mode = 0777;
      entry.target = from.target;
      break;
    case TarKind::file:
      KIST_ASSERT(content != nullptr);
      entry.object = content->digest;
      entry.size_bytes = content->size_bytes;
      break;
    default: {
      ++left_out_;
      const auto at = entries_.find(entry.path);
      if (at != entries_.end() && at->second.kind != Kind::folder) entries_.erase(at);
      put(empty_file(join_path(folder_of(entry.path), fmt::format("{}{}", kWhiteout, name))));
      return {};
    }
  }
  put(std::move(entry));
  return {};
}

Result<store::Tree> LayerEntries::finish() && {
  std::vector<Entry> list;
  list.reserve(entries_.size());
  // Node by node, so that both copies never exist at once.
  while (!entries_.empty()) list.push_back(std::move(entries_.extract(entries_.begin()).mapped()));
  return store::Tree::make(std::move(list));
}

}  // namespace kist::images
