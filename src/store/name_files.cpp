#include "store/name_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/text.h"
#include "os/files.h"
#include "store/layout.h"

namespace kist::store {
namespace {

constexpr int64_t kDay_s = 86'400;
constexpr size_t kMaxNameFileBytes = 256;
constexpr size_t kMaxNameDepth = 16;

std::string names_folder(const std::string& home) { return os::join(home, kNamesFolder); }

// gc drops what nobody asked for in a long time; a time that is right to a day is enough for that,
// and a write on each start of a program would not be.
void mark_used(const os::Fd& file) {
  struct stat st = {};
  if (::fstat(file.get(), &st) != 0) return;
  if (::time(nullptr) - st.st_mtim.tv_sec > kDay_s) (void)::futimens(file.get(), nullptr);
}

Result<void> sync_folder(const std::string& path) {
  const os::Fd folder = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(folder.get()) != 0) return Error::from_errno(errno, "fsync '{}'", printable(path));
  return {};
}

Result<void> walk(const std::string& folder, const std::string& above, std::string_view prefix,
                  std::vector<std::string>& found) {
  if (split(above, '/').size() > kMaxNameDepth) return {};
  const std::vector<std::string> names = TRY(os::list_folder(folder));
  for (const std::string& name : names) {
    if (name.starts_with('.')) continue;
    const std::string full = above + name;
    const std::string path = os::join(folder, name);
    if (os::is_folder(path)) {
      const std::string inside = full + "/";
      const size_t common = std::min(inside.size(), prefix.size());
      if (inside.compare(0, common, prefix, 0, common) != 0) continue;
      auto walked = walk(path, inside, prefix, found);
      // Another process may have removed the folder meanwhile.
      if (!walked && walked.error().code() != Code::not_found) return walked;
    } else if (full.starts_with(prefix)) {
      found.push_back(full);
    }
  }
  return {};
}

}  // namespace

Result<void> NameWriter::write(const std::string& staging, const std::string& to,
                               std::string_view text) {
  Move move{.from = os::join(staging, fmt::format("name.{}", moves_.size())),
            .to = os::join(home_, to)};
  const int raw =
      ::openat(AT_FDCWD, move.from.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (raw < 0) return disk_error(errno, home_, fmt::format("create '{}'", printable(move.from)));
  os::Fd fd(raw);
  const ssize_t put = ::write(fd.get(), text.data(), text.size());
  const int err = put < 0 ? errno : ENOSPC;  // A short write of a small file: no room for the rest.
  if (put != static_cast<ssize_t>(text.size()))
    return disk_error(err, home_, fmt::format("write '{}'", printable(to)));
  TRY(std::move(fd).close(), "write '{}'", printable(to));
  moves_.push_back(std::move(move));
  return {};
}

Result<NameWriter> NameWriter::prepare(
    const std::string& home, const std::string& staging, const std::vector<NamedTree>& names,
    const std::vector<std::pair<std::string, std::string>>& files) {
  NameWriter writer(home);
  for (const auto& [name, tree] : names) {
    TRY(check_name(name));
    TRY(writer.write(staging, os::join(kNamesFolder, name), tree.string() + "\n"));
  }
  for (const auto& [path, bytes] : files) TRY(writer.write(staging, path, bytes));
  return writer;
}

Result<void> NameWriter::publish() const {
  std::vector<std::string> touched;
  for (const Move& move : moves_) {
    const std::string folder = os::parent_of(move.to);
    TRY(os::make_folders(folder));
    if (::rename(move.from.c_str(), move.to.c_str()) != 0) {
      return disk_error(errno, home_,
                        fmt::format("write '{}'", printable(move.to.substr(home_.size() + 1))));
    }
    // A new folder is an entry of its parent, so the whole way up has to be durable.
    for (std::string at = folder; at.size() > home_.size(); at = os::parent_of(at)) {
      if (std::find(touched.begin(), touched.end(), at) != touched.end()) break;
      touched.push_back(at);
    }
  }
  for (const std::string& folder : touched) TRY(sync_folder(folder));
  return {};
}

Result<std::optional<oci::Digest>> read_name(const std::string& home, std::string_view name) {
  TRY(check_name(name));
  const std::string path = os::join(names_folder(home), name);
  auto fd = os::open_file(path, O_RDONLY);
  if (!fd) {
    if (fd.error().code() == Code::not_found) return std::optional<oci::Digest>();
    return std::move(fd).error();
  }
  struct stat st = {};
  if (::fstat(fd->get(), &st) == 0 && S_ISDIR(st.st_mode)) return std::optional<oci::Digest>();
  const std::string text =
      TRY(os::read_all(*fd, kMaxNameFileBytes), "reading the name '{}'", printable(name));
  const Result<oci::Digest> digest = oci::Digest::parse(trim(text));
  if (!digest) return std::optional<oci::Digest>();
  mark_used(*fd);
  return std::optional<oci::Digest>(*digest);
}

Result<std::vector<std::string>> list_names(const std::string& home, std::string_view prefix) {
  std::vector<std::string> found;
  TRY(walk(names_folder(home), "", prefix, found));
  return found;
}

}  // namespace kist::store
