// Small .debs, made in memory; for tests only.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kist::debian {

struct FixtureItem {
  std::string path;
  std::string bytes;             // Of a file, or the target of a link.
  unsigned type = AE_IFREG;
  unsigned mode = 0644;
  std::string hardlink;
  int uid = 0;
  int gid = 0;
};

inline FixtureItem folder_item(std::string path) { return {std::move(path), "", AE_IFDIR, 0755, "", 0, 0}; }
inline FixtureItem link_item(std::string path, std::string target) {
  return {std::move(path), std::move(target), AE_IFLNK, 0777, "", 0, 0};
}

inline std::string fixture_tar(const std::vector<FixtureItem>& items, int filter) {
  std::string out(4 << 20, '\0');
  size_t used = 0;
  const std::unique_ptr<::archive, int (*)(::archive*)> tar(::archive_write_new(),
                                                            ::archive_write_free);
  ::archive_write_set_format_gnutar(tar.get());
  ::archive_write_add_filter(tar.get(), filter);
  ::archive_write_open_memory(tar.get(), out.data(), out.size(), &used);
  for (const FixtureItem& item : items) {
    const std::unique_ptr<::archive_entry, void (*)(::archive_entry*)> entry(::archive_entry_new(),
                                                                            ::archive_entry_free);
    ::archive_entry_set_pathname(entry.get(), item.path.c_str());
    ::archive_entry_set_filetype(entry.get(), item.type);
    ::archive_entry_set_perm(entry.get(), item.mode);
    ::archive_entry_set_uid(entry.get(), item.uid);
    ::archive_entry_set_gid(entry.get(), item.gid);
    const bool file = item.type == AE_IFREG && item.hardlink.empty();
    ::archive_entry_set_size(entry.get(), file ? static_cast<la_int64_t>(item.bytes.size()) : 0);
    if (item.type == AE_IFLNK) ::archive_entry_set_symlink(entry.get(), item.bytes.c_str());
    if (!item.hardlink.empty()) ::archive_entry_set_hardlink(entry.get(), item.hardlink.c_str());
    ::archive_write_header(tar.get(), entry.get());
    if (file) ::archive_write_data(tar.get(), item.bytes.data(), item.bytes.size());
  }
  ::archive_write_close(tar.get());
  out.resize(used);
  return out;
}

inline std::string fixture_ar(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out = "!<arch>\n";
  for (const auto& [name, bytes] : members) {
    std::string header = name;
    header.resize(16, ' ');
    header += "0           0     0     100644  ";
    std::string size = std::to_string(bytes.size());
    size.resize(10, ' ');
    out += header + size + "`\n" + bytes;
    if (bytes.size() % 2 == 1) out += '\n';
  }
  return out;
}

/// `control`: more control files beside the control file itself.
inline std::string fixture_deb(const std::string& fields, const std::vector<FixtureItem>& data,
                               std::vector<FixtureItem> control = {}) {
  control.insert(control.begin(), FixtureItem{"./control", fields});
  return fixture_ar({{"debian-binary", "2.0\n"},
                     {"control.tar.gz", fixture_tar(control, ARCHIVE_FILTER_GZIP)},
                     {"data.tar.xz", fixture_tar(data, ARCHIVE_FILTER_XZ)}});
}

}  // namespace kist::debian
