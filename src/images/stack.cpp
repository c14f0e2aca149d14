// Both trees are sorted with each subtree contiguous, so one pass over the two is enough; what a
// layer hides is known before it, because whiteouts sort away from what they hide.

#include "images/stack.h"

#include <set>
#include <vector>

#include "base/text.h"
#include "images/layer_entries.h"

namespace kist::images {
namespace {

using store::Entry;
using store::Kind;
using Paths = std::set<std::string, PathLess>;

bool is_inside(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' && path.starts_with(folder);
}

struct Hidden {
  Paths paths;    // Of whiteouts: hidden with all that is in them.
  Paths folders;  // Opaque: only what is in them. "" is the root.
};

std::string join_path(std::string_view folder, std::string_view name) {
  return folder.empty() ? std::string(name) : fmt::format("{}/{}", folder, name);
}

Hidden hidden_by(const store::Tree& layer) {
  Hidden out;
  for (const Entry& entry : layer.entries()) {
    const std::string_view name = base_name(entry.path);
    if (name == kOpaque) {
      out.folders.emplace(folder_of(entry.path));
    } else if (name.starts_with(kWhiteout)) {
      out.paths.insert(join_path(folder_of(entry.path), name.substr(kWhiteout.size())));
    }
  }
  return out;
}

class Stacker {
 public:
  Stacker(const store::Tree& below, const store::Tree& layer)
      : below_(below), layer_(layer), hidden_(hidden_by(layer)) {}

  Result<store::Tree> run() {
    const auto& lower = below_.entries();
    const auto& upper = layer_.entries();
    out_.reserve(lower.size() + upper.size());
    size_t i = 0;
    for (const Entry& entry : upper) {
      while (i < lower.size() && store::path_less(lower[i].path, entry.path)) keep(lower[i++]);
      const Entry* same = nullptr;
      if (i < lower.size() && lower[i].path == entry.path) same = &lower[i++];
      TRY(add(entry, same));
    }
    while (i < lower.size()) keep(lower[i++]);
    return store::Tree::make(std::move(out_));
  }

 private:
  // Takes an entry of below unless something hides it.
  void keep(const Entry& entry) {
    if (is_hidden(entry)) return;
    out_.push_back(entry);
  }

  bool is_hidden(const Entry& entry) {
    if (!gone_.empty() && is_inside(entry.path, gone_)) return true;
    if (hidden_.folders.contains("")) return true;
    if (!opaque_.empty() && is_inside(entry.path, opaque_)) return true;
    if (hidden_.paths.contains(entry.path)) return gone_ = entry.path, true;
    // Every folder with a marker is in the layer's tree, so it is `same` to something.
    if (hidden_.folders.contains(entry.path)) opaque_ = entry.path;
    return false;
  }

  // `same`: what is below at this path; null when nothing is.
  Result<void> add(const Entry& entry, const Entry* same) {
    const bool is_covered = same == nullptr || is_hidden(*same);
    if (base_name(entry.path).starts_with(kWhiteout)) return {};
    if (entry.kind != Kind::folder) {
      if (same != nullptr) gone_ = entry.path;  // And what was in it, if it was a folder.
      const std::string* const target = find_xattr(entry, kLink);
      if (target != nullptr) return add_link(entry, *target);
    } else if (find_xattr(entry, kImplicit) != nullptr) {
      const bool is_there = !is_covered && same->kind == Kind::folder;
      out_.push_back(is_there ? *same : entry);
      if (!is_there) out_.back().xattrs.clear();
      return {};
    }
    out_.push_back(entry);
    return {};
  }

  // Resolved against what was below before this layer, as if its whiteouts came last.
  Result<void> add_link(const Entry& entry, const std::string& target) {
    const Entry* const found = below_.find(target);
    if (found == nullptr || found->kind == Kind::folder) {
      return Error(Code::corrupt, "hard link '{}' leads to '{}', which {}", printable(entry.path),
                   printable(target), found == nullptr ? "is in no layer" : "is a folder");
    }
    Entry same = *found;
    same.path = entry.path;
    out_.push_back(std::move(same));
    return {};
  }

  const store::Tree& below_;
  const store::Tree& layer_;
  const Hidden hidden_;
  std::vector<Entry> out_;
  std::string gone_;    // What was hidden last, with all that is in it.
  std::string opaque_;  // The opaque folder that was passed last.
};

}  // namespace

Result<store::Tree> lay_over(const store::Tree& below, const store::Tree& layer) {
  return Stacker(below, layer).run();
}

}  // namespace kist::images
