// Merging and comparing trees. All inputs are sorted, so that both are one pass.

#include <algorithm>
#include <queue>

#include "base/text.h"
#include "store/tree.h"

namespace kist::store {
namespace {

struct Cursor {
  const Entry* at;
  const Entry* end;
  size_t part;
};

// A heap wants "after"; equal paths come in the order of the parts.
struct After {
  bool operator()(const Cursor& a, const Cursor& b) const {
    if (path_less(b.at->path, a.at->path)) return true;
    return a.part > b.part && a.at->path == b.at->path;
  }
};

bool agree(const Entry& a, const Entry& b) {
  return (a.kind == Kind::folder && b.kind == Kind::folder) || a == b;
}

// Calls merged(entry) for each path once and conflict(first part, second part, path) for each part
// that disagrees with the first that has the path.
template <class Merged, class Conflicting>
void walk(std::span<const Part> parts, Merged merged, Conflicting conflict) {
  std::priority_queue<Cursor, std::vector<Cursor>, After> heap;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto& entries = parts[i].tree->entries();
    if (!entries.empty()) heap.push({entries.data(), entries.data() + entries.size(), i});
  }
  const Entry* last = nullptr;
  size_t last_part = 0;
  while (!heap.empty()) {
    Cursor cursor = heap.top();
    heap.pop();
    // One part alone is left: no more comparing.
    const bool alone = heap.empty();
    do {
      if (last == nullptr || last->path != cursor.at->path) {
        last = cursor.at;
        last_part = cursor.part;
        merged(*last);
      } else if (!agree(*last, *cursor.at)) {
        conflict(last_part, cursor.part, cursor.at->path);
      }
      ++cursor.at;
      // Packages hold folders of their own, so the next entry is mostly from the same part.
    } while (cursor.at != cursor.end && (alone || path_less(cursor.at->path, heap.top().at->path)));
    if (cursor.at != cursor.end) heap.push(cursor);
  }
}

}  // namespace

std::vector<Conflict> find_conflicts(std::span<const Part> parts) {
  std::vector<Conflict> found;
  walk(
      parts, [](const Entry&) {},
      [&](size_t first, size_t second, const std::string& path) {
        found.push_back({path, parts[first].name, parts[second].name});
      });
  return found;
}

Result<Tree> merge(std::span<const Part> parts) {
  std::vector<Conflict> conflicts;
  std::vector<Entry> entries;
  size_t total = 0;
  for (const Part& part : parts) total += part.tree->entries().size();
  entries.reserve(total);
  walk(
      parts, [&](const Entry& entry) { entries.push_back(entry); },
      [&](size_t first, size_t second, const std::string& path) {
        conflicts.push_back({path, parts[first].name, parts[second].name});
      });
  if (conflicts.empty()) return Tree::make(std::move(entries));
  const Conflict& first = conflicts.front();
  const size_t more = conflicts.size() - 1;
  const std::string others =
      more == 0 ? "" : fmt::format(" ({} more conflict{})", more, more == 1 ? "" : "s");
  return Error(Code::exists, "'{}' differs between {} and {}{}", printable(first.path),
               printable(first.first), printable(first.second), others)
      .hint("leave one of them out of what the project asks for, or take other versions");
}

std::vector<Change> diff(const Tree& before, const Tree& after) {
  std::vector<Change> changes;
  auto a = before.entries().begin();
  auto b = after.entries().begin();
  const auto a_end = before.entries().end();
  const auto b_end = after.entries().end();
  while (a != a_end || b != b_end) {
    if (b == b_end || (a != a_end && path_less(a->path, b->path))) {
      changes.push_back({Change::What::removed, &*a++, nullptr});
    } else if (a == a_end || a->path != b->path) {
      changes.push_back({Change::What::added, nullptr, &*b++});
    } else {
      if (!(*a == *b)) changes.push_back({Change::What::changed, &*a, &*b});
      ++a;
      ++b;
    }
  }
  return changes;
}

}  // namespace kist::store
