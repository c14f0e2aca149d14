#include "store/tree_links.h"

#include "base/text.h"

namespace kist::store {
namespace {

constexpr int kMostLinks = 40;  // As the kernel.

// The parts of a path, the first one last.
void push_parts(std::string_view path, std::vector<std::string>& parts) {
  const auto all = split(path, '/');
  for (auto part = all.rbegin(); part != all.rend(); ++part)
    if (!part->empty() && *part != ".") parts.emplace_back(*part);
}

}  // namespace

const Entry* follow(const Tree& tree, std::string_view path) {
  std::vector<std::string> rest;
  push_parts(path, rest);
  std::string at;
  const Entry* found = nullptr;
  for (int links = 0; !rest.empty();) {
    const std::string part = std::move(rest.back());
    rest.pop_back();
    if (part == "..") {
      const size_t slash = at.rfind('/');
      at.resize(slash == std::string::npos ? 0 : slash);
      found = at.empty() ? nullptr : tree.find(at);
      continue;
    }
    const std::string next = at.empty() ? part : at + "/" + part;
    const Entry* const entry = tree.find(next);
    if (entry == nullptr) return nullptr;
    if (entry->kind == Kind::symlink) {
      if (++links > kMostLinks) return nullptr;
      push_parts(entry->target, rest);
      if (entry->target.starts_with('/')) at.clear();
      found = at.empty() ? nullptr : tree.find(at);
      continue;
    }
    if (entry->kind == Kind::file && !rest.empty()) return nullptr;
    at = next;
    found = entry;
  }
  return found;
}

}  // namespace kist::store
