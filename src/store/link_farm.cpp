// A farm costs 30 to 60 us an entry (ext4's journal; more threads do not help), so it is made once
// for a tree, and a tree that differs little from one that has a farm gets only the difference.
//
// All paths are relative to the farm's own descriptor. A tree's paths have folders for parents, all
// made here, so no link can lead outside.

#include "store/link_farm.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "os/files.h"
#include "store/erofs_writer.h"
#include "store/layout.h"

namespace kist::store {
namespace {

class Farm {
 public:
  Farm(os::Fd folder, ObjectFiles& objects) : folder_(std::move(folder)), objects_(objects) {}

  Result<void> add(const Entry& entry) {
    const char* const path = entry.path.c_str();
    switch (entry.kind) {
      case Kind::folder:
        // Writable while it is filled; its mode comes with its time, when nothing changes any more.
        if (::mkdirat(folder_.get(), path, 0700) != 0) return failed("create folder", entry.path);
        return {};
      case Kind::symlink:
        if (::symlinkat(entry.target.c_str(), folder_.get(), path) != 0)
          return failed("create symlink", entry.path);
        return set_time(entry);
      case Kind::file:
        return add_file(entry);
    }
    return {};
  }

  // From the last to the first, because filling a folder changes its time, and because a folder
  // that its owner may not enter must come after what is in it.
  Result<void> finish_folders(const std::vector<Entry>& entries) {
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (entry->kind != Kind::folder) continue;
      TRY(set_xattrs(*entry));
      if (::fchmodat(folder_.get(), entry->path.c_str(), entry->mode, 0) != 0)
        return failed("chmod", entry->path);
      TRY(set_time(*entry));
    }
    if (::fchmod(folder_.get(), 0755) != 0) return failed("chmod", "/");
    const timespec times[2] = {{kTreeTime, 0}, {kTreeTime, 0}};
    if (::futimens(folder_.get(), times) != 0) return failed("set the time of", "/");
    return {};
  }

  Result<void> hide(const std::string& path) {
    if (::mknodat(folder_.get(), path.c_str(), S_IFCHR, ::makedev(0, 0)) != 0)
      return failed("hide", path);
    return {};
  }

 private:
  Result<void> add_file(const Entry& entry) {
    for (const auto& xattr : entry.xattrs)
      if (is_shown_xattr(xattr.first)) return add_copy(entry);
    return objects_.link(*entry.object, entry.mode, folder_, entry.path);
  }

  // Attributes belong to an inode, and the object's is shared: rare enough for a copy.
  Result<void> add_copy(const Entry& entry) {
    TRY(objects_.copy(*entry.object, entry.mode, folder_, entry.path));
    TRY(set_xattrs(entry));
    if (::fchmodat(folder_.get(), entry.path.c_str(), disk_mode(entry.mode), 0) != 0)
      return failed("chmod", entry.path);
    return set_time(entry);
  }

  Result<void> set_xattrs(const Entry& entry) {
    for (const auto& [name, value] : entry.xattrs) {
      if (!is_shown_xattr(name)) continue;
      const os::Fd fd = TRY(os::open_at(folder_, entry.path, O_RDONLY | O_NOFOLLOW));
      if (::fsetxattr(fd.get(), name.c_str(), value.data(), value.size(), 0) != 0)
        return failed("set an extended attribute of", entry.path);
    }
    return {};
  }

  Result<void> set_time(const Entry& entry) {
    const timespec time = {entry.mtime_s, 0};
    const timespec times[2] = {time, time};
    if (::utimensat(folder_.get(), entry.path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      return failed("set the time of", entry.path);
    return {};
  }

  Error failed(std::string_view what, std::string_view path) const {
    return disk_error(errno, objects_.home(), fmt::format("{} '{}'", what, printable(path)));
  }

  os::Fd folder_;
  ObjectFiles& objects_;
};

bool is_inside(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' && path.starts_with(folder);
}

// The folders that lead to a path, as `wanted` has them: the delta's own are what will be shown.
class Parents {
 public:
  explicit Parents(const Tree& wanted) : wanted_(wanted) {}

  void add_of(std::string_view path, std::vector<Entry>& shown) {
    const std::string_view direct = parent_path(path);
    if (direct == last_) return;  // Changes mostly stand side by side.
    last_ = direct;
    for (std::string_view at = direct; !at.empty(); at = parent_path(at)) {
      const Entry* const parent = wanted_.find(at);
      KIST_ASSERT(parent != nullptr);
      shown.push_back(*parent);
    }
  }

  static std::string_view parent_path(std::string_view path) {
    const size_t slash = path.rfind('/');
    return path.substr(0, slash == std::string_view::npos ? 0 : slash);
  }

 private:
  const Tree& wanted_;
  std::string_view last_;
};

Result<void> fill(const std::vector<Entry>& entries, const std::vector<std::string>& hidden,
                  const std::string& path, ObjectFiles& objects) {
  os::Fd folder = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
  Farm farm(std::move(folder), objects);
  for (const Entry& entry : entries) TRY(farm.add(entry));
  for (const std::string& name : hidden) TRY(farm.hide(name));
  return farm.finish_folders(entries);
}

}  // namespace

Delta plan_delta(const Tree& base, const Tree& wanted) {
  Delta delta;
  std::vector<Entry> shown;
  Parents parents(wanted);
  for (const Change& change : diff(base, wanted)) {
    if (change.after != nullptr) {
      shown.push_back(*change.after);
      parents.add_of(change.after->path, shown);
      continue;
    }
    const std::string& path = change.before->path;
    // What stood in a removed folder goes with it,
    if (!delta.hidden.empty() && is_inside(path, delta.hidden.back())) continue;
    // and what stood in a folder that is now something else is hidden by that.
    const std::string_view above = Parents::parent_path(path);
    const Entry* const parent = wanted.find(above);
    if (!above.empty() && (parent == nullptr || parent->kind != Kind::folder)) continue;
    delta.hidden.push_back(path);
    parents.add_of(path, shown);
  }
  Result<Tree> tree = Tree::make(std::move(shown));
  KIST_ASSERT(tree.has_value());
  delta.shown = std::move(*tree);
  return delta;
}

Result<void> make_farm(const Tree& tree, const std::string& path, ObjectFiles& objects) {
  return fill(tree.entries(), {}, path, objects);
}

Result<void> make_delta_farm(const Delta& delta, const std::string& path, ObjectFiles& objects) {
  return fill(delta.shown.entries(), delta.hidden, path, objects);
}

}  // namespace kist::store
