#include "debian/root_view.h"

#include <algorithm>
#include <deque>

#include "base/text.h"

namespace kist::debian {
namespace {

constexpr int kMaxLinks = 40;  // As Linux has it.

void push_parts(std::deque<std::string>& parts, std::string_view path) {
  const std::vector<std::string_view> pieces = split(path, '/');
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece)
    if (!piece->empty() && *piece != ".") parts.emplace_front(*piece);
}

}  // namespace

std::optional<std::string> RootView::resolve(std::string_view path, bool follow_last) const {
  std::deque<std::string> todo;
  push_parts(todo, path);
  std::string at;
  for (int links = 0; !todo.empty();) {
    const std::string part = todo.front();
    todo.pop_front();
    if (part == "..") {
      const size_t slash = at.rfind('/');
      at.resize(slash == std::string::npos ? 0 : slash);
      continue;
    }
    const size_t parent = at.size();
    if (!at.empty()) at += '/';
    at += part;
    const store::Entry* entry = tree_.find(at);
    if (entry == nullptr) return std::nullopt;
    if (entry->kind != store::Kind::symlink || (todo.empty() && !follow_last)) continue;
    if (++links > kMaxLinks) return std::nullopt;
    at.resize(entry->target.starts_with('/') ? 0 : parent);
    push_parts(todo, entry->target);
  }
  return at;
}

const store::Entry* RootView::find(std::string_view path) const {
  const auto at = resolve(path, true);
  return at ? tree_.find(*at) : nullptr;
}

const store::Entry* RootView::find_link(std::string_view path) const {
  const auto at = resolve(path, false);
  return at ? tree_.find(*at) : nullptr;
}

Result<std::string> RootView::read(std::string_view path) const {
  const store::Entry* entry = find(path);
  if (entry == nullptr) return Error(Code::not_found, "no file '{}' in the tree", printable(path));
  if (entry->kind != store::Kind::file)
    return Error(Code::invalid, "'{}' in the tree is not a file", printable(path));
  return TRY(reader_(*entry), "reading '{}'", printable(path));
}

Result<std::string> RootView::read_if_exists(std::string_view path) const {
  const store::Entry* entry = find(path);
  if (entry == nullptr || entry->kind != store::Kind::file) return std::string();
  return read(path);
}

std::vector<std::string> RootView::children(std::string_view folder) const {
  std::vector<std::string> out;
  const auto at = resolve(folder, true);
  if (!at) return out;
  const std::vector<store::Entry>& entries = tree_.entries();
  const std::string prefix = at->empty() ? "" : *at + "/";
  auto entry = std::lower_bound(
      entries.begin(), entries.end(), *at,
      [](const store::Entry& e, const std::string& path) { return store::path_less(e.path, path); });
  for (; entry != entries.end(); ++entry) {
    if (entry->path == *at) continue;
    if (!entry->path.starts_with(prefix)) break;
    if (entry->path.find('/', prefix.size()) == std::string::npos) out.push_back(entry->path);
  }
  return out;
}

}  // namespace kist::debian
