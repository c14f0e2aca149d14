// The format, as glibc 2.32 and later write it: a header of 48 bytes; entries of 24 bytes, sorted
// downwards by soname; a string table in which a string that ends another shares its bytes; and an
// extension with the name of the writer. Offsets count from the start of the file.
#include "debian/ld_cache.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/text.h"
#include "debian/path_filter.h"
#include "os/files.h"

namespace kist::debian {
namespace {

constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
constexpr uint32_t kHeaderBytes = 48;
constexpr uint32_t kEntryBytes = 24;
constexpr uint8_t kLittleEndian = 2;
constexpr uint32_t kExtensionMagic = 0xeaa42174;
constexpr uint32_t kLibc6 = 3;
constexpr uint32_t kX86_64 = 0x300;
constexpr uint32_t kX32 = 0x800;
constexpr uint32_t kAarch64 = 0xa00;
constexpr int kMaxIncludes = 8;

struct CacheEntry {
  std::string soname;
  std::string path;
  uint32_t flags;
};

struct Found {
  std::string soname;
  std::string name;
  uint32_t flags;
  bool is_link;
};

std::optional<std::string> triplet_of(const std::string& architecture) {
  if (architecture == "amd64") return "x86_64-linux-gnu";
  if (architecture == "arm64") return "aarch64-linux-gnu";
  return std::nullopt;
}

std::optional<uint32_t> flags_of(const ElfFacts& facts) {
  if (!facts.dynamic) return std::nullopt;
  if (facts.machine == EM_X86_64) return kLibc6 | (facts.is_64bit ? kX86_64 : kX32);
  if (facts.machine == EM_386 && !facts.is_64bit) return kLibc6;
  if (facts.machine == EM_AARCH64 && facts.is_64bit) return kLibc6 | kAarch64;
  return std::nullopt;
}

bool is_library_name(std::string_view name) {
  return (name.starts_with("lib") || name.starts_with("ld-")) &&
         name.find(".so") != std::string_view::npos;
}

// Folders in ld.so.conf and what it includes, in order.
Result<void> read_conf(const RootView& root, const std::string& path, int depth,
                       std::vector<std::string>& out) {
  const std::string text = TRY(root.read_if_exists(path));
  for (const std::string_view raw : lines(text)) {
    const std::string_view line = trim(raw.substr(0, raw.find('#')));
    if (line.starts_with("include ") || line.starts_with("include\t")) {
      const std::string pattern(trim(line.substr(8)));
      if (depth == kMaxIncludes) continue;
      for (const std::string& file : root.children(os::parent_of(pattern))) {
        if (!matches_pattern(os::name_of(file), os::name_of(pattern))) continue;
        TRY(read_conf(root, file, depth + 1, out));
      }
    } else if (line.starts_with('/')) {
      out.emplace_back(line);
    }
  }
  return {};
}

// What ldconfig makes of the name: the soname, except that a link for the linker ("libx.so") or
// with another name than the soname counts under its own name.
std::optional<Found> inspect(const RootView& root, const LibraryMap& libraries,
                             const std::string& path) {
  const store::Entry* entry = root.tree().find(path);
  const store::Entry* file = root.find(path);
  if (entry == nullptr || file == nullptr || file->kind != store::Kind::file) return std::nullopt;
  const auto facts = libraries.find(file->path);
  if (facts == libraries.end()) return std::nullopt;
  const auto flags = flags_of(*facts->second);
  if (!flags) return std::nullopt;
  const std::string name(os::name_of(path));
  Found found{.soname = facts->second->soname.empty() ? name : facts->second->soname,
              .name = name,
              .flags = *flags,
              .is_link = entry->kind == store::Kind::symlink};
  if (found.is_link && name != found.soname) {
    const bool for_linker = name.ends_with(".so") &&
                            std::string_view(found.soname).substr(0, name.size()) == name;
    if (!for_linker) found.is_link = false;
  }
  if (found.is_link) found.soname = name;
  return found;
}

void scan(const RootView& root, const LibraryMap& libraries, const std::string& folder,
          const std::string& shown, LdCache& cache, std::vector<CacheEntry>& entries) {
  std::vector<Found> all;
  for (const std::string& path : root.children(folder)) {
    if (!is_library_name(os::name_of(path))) continue;
    auto found = inspect(root, libraries, path);
    if (!found) continue;
    const auto same = std::find_if(all.begin(), all.end(), [&](const Found& other) {
      return other.soname == found->soname;
    });
    if (same == all.end()) {
      all.push_back(std::move(*found));
    } else if ((!found->is_link && same->is_link) ||
               (found->is_link == same->is_link &&
                compare_library_names(same->name, found->name) < 0)) {
      *same = std::move(*found);
    }
  }
  for (const Found& library : all) {
    const std::string link = folder + "/" + library.soname;
    if (!library.is_link && root.find_link(link) == nullptr)
      cache.links.emplace_back(link, library.name);
    entries.push_back({library.soname, shown + "/" + library.soname, library.flags});
  }
}

void put_u32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 0xff);
}

// Strings, sorted downwards from their ends so that what ends another string follows it.
class StringTable {
 public:
  void add(const std::string& text) { offsets_.emplace(text, 0); }
  std::string build() {
    std::vector<std::map<std::string, uint32_t>::iterator> order;
    for (auto it = offsets_.begin(); it != offsets_.end(); ++it) order.push_back(it);
    std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      const std::string& x = a->first;
      const std::string& y = b->first;
      const size_t shared = std::min(x.size(), y.size());
      for (size_t i = 1; i <= shared; ++i) {
        const auto left = static_cast<unsigned char>(x[x.size() - i]);
        const auto right = static_cast<unsigned char>(y[y.size() - i]);
        if (left != right) return left > right;
      }
      return x.size() > y.size();
    });
    std::string out;
    const std::string* previous = nullptr;
    uint32_t previous_offset = 0;
    for (const auto& it : order) {
      const std::string& text = it->first;
      if (previous != nullptr && previous->ends_with(text)) {
        it->second = previous_offset + static_cast<uint32_t>(previous->size() - text.size());
      } else {
        it->second = static_cast<uint32_t>(out.size());
        out += text;
        out += '\0';
      }
      previous = &text;
      previous_offset = it->second;
    }
    return out;
  }
  uint32_t offset(const std::string& text) const { return offsets_.at(text); }

 private:
  std::map<std::string, uint32_t> offsets_;
};

std::string encode(const std::vector<CacheEntry>& entries, const std::string& generator) {
  StringTable table;
  for (const CacheEntry& entry : entries) {
    table.add(entry.soname);
    table.add(entry.path);
  }
  const std::string strings = table.build();
  const uint32_t count = static_cast<uint32_t>(entries.size());
  const uint32_t strings_at = kHeaderBytes + count * kEntryBytes;
  const uint32_t strings_end = strings_at + static_cast<uint32_t>(strings.size());
  const uint32_t extension_at = (strings_end + 3) / 4 * 4;
  std::string out(kMagic);
  put_u32(out, count);
  put_u32(out, static_cast<uint32_t>(strings.size()));
  out += static_cast<char>(kLittleEndian);
  out.append(3, '\0');
  put_u32(out, extension_at);
  out.append(12, '\0');
  for (const CacheEntry& entry : entries) {
    put_u32(out, entry.flags);
    put_u32(out, strings_at + table.offset(entry.soname));
    put_u32(out, strings_at + table.offset(entry.path));
    out.append(12, '\0');  // Unused OS version and hardware capabilities.
  }
  out += strings;
  out.append(extension_at - strings_end, '\0');
  put_u32(out, kExtensionMagic);
  put_u32(out, 1);  // One section, of tag 0: who wrote this.
  put_u32(out, 0);
  put_u32(out, 0);
  put_u32(out, extension_at + 24);
  put_u32(out, static_cast<uint32_t>(generator.size()));
  return out + generator;
}

}  // namespace

int compare_library_names(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t i = 0;
  size_t j = 0;
  const auto number = [&](std::string_view text, size_t& at) {
    uint64_t value = 0;
    while (at < text.size() && digit(text[at]))
      value = std::min<uint64_t>(value * 10 + static_cast<uint64_t>(text[at++] - '0'), 1ull << 50);
    return value;
  };
  while (i < a.size()) {
    const char right = j < b.size() ? b[j] : '\0';
    if (digit(a[i]) && digit(right)) {
      const uint64_t x = number(a, i);
      const uint64_t y = number(b, j);
      if (x != y) return x < y ? -1 : 1;
      continue;
    }
    if (digit(a[i])) return 1;
    if (digit(right)) return -1;
    if (a[i] != right) return a[i] < right ? -1 : 1;
    ++i;
    ++j;
  }
  return j < b.size() ? -1 : 0;
}

Result<LdCache> make_ld_cache(const RootView& root, const LibraryMap& libraries,
                              const std::string& architecture, const std::string& libc_version) {
  const auto triplet = triplet_of(architecture);
  if (!triplet)
    return Error(Code::unsupported, "architecture '{}' has no library cache here", architecture);
  std::vector<std::string> folders;
  TRY(read_conf(root, "/etc/ld.so.conf", 0, folders));
  for (const char* built_in : {"/lib/{}", "/usr/lib/{}", "/lib", "/usr/lib"})
    folders.push_back(fmt::format(fmt::runtime(built_in), *triplet));
  LdCache cache;
  std::vector<CacheEntry> entries;
  std::set<std::string> seen;  // One folder may have several names; the first counts.
  for (std::string& folder : folders) {
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    const store::Entry* real = root.find(folder);
    if (real == nullptr || real->kind != store::Kind::folder || !seen.insert(real->path).second)
      continue;
    scan(root, libraries, real->path, folder, cache, entries);
  }
  std::stable_sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) {
    const int order = compare_library_names(b.soname, a.soname);
    return order != 0 ? order < 0 : a.flags > b.flags;
  });
  const std::string upstream = libc_version.substr(0, libc_version.find('-'));
  cache.bytes = encode(entries, fmt::format("ldconfig (Debian GLIBC {}) stable release version {}",
                                            libc_version, upstream));
  return cache;
}

}  // namespace kist::debian
