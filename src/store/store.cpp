#include "store/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "store/layout.h"
#include "store/name_files.h"
#include "store/transaction_state.h"

namespace kist::store {
namespace {

constexpr uint64_t kMaxTreeBytes = 1ull << 30;

constexpr const char* kOwnFolder =
    "use a folder of your own: `export KIST_HOME=~/.local/share/kist`";

Error read_only_error(const std::string& home) {
  return Error(Code::denied, "store '{}' cannot be written", printable(home))
      .hint(kOwnFolder);
}

}  // namespace

Result<Store> Store::open(const std::string& home, bool read_only) {
  Result<void> version = check_version(home);
  if (!version && version.error().code() == Code::not_found && !read_only) {
    TRY(make_layout(home), "making a store in '{}'", printable(home));
    version = check_version(home);
  }
  if (!version && version.error().code() == Code::denied)
    return Error(std::move(version).error())
        .context(fmt::format("opening the store '{}'", printable(home)))
        .hint(kOwnFolder);
  TRY(std::move(version), "opening the store '{}'", printable(home));
  if (!read_only && ::access(home.c_str(), W_OK) != 0) return read_only_error(home);
  return Store(home, read_only);
}

Result<Transaction> Store::begin() const {
  if (read_only_) return read_only_error(home_);
  os::FileLock lock =
      TRY(os::FileLock::acquire(os::join(home_, kLockFile), os::FileLock::Mode::shared));
  TRY(recover(home_));
  Staging staging = TRY(Staging::make(home_), "beginning to write to the store");
  std::string tag(os::name_of(staging.path()));
  ObjectFiles files = TRY(ObjectFiles::open(home_, staging.path(), std::move(tag)));
  return Transaction(
      std::unique_ptr<Transaction::State>(new Transaction::State{.home = home_,
                                                                 .lock = std::move(lock),
                                                                 .staging = std::move(staging),
                                                                 .files = std::move(files),
                                                                 .mutex = {},
                                                                 .names = {},
                                                                 .published = {},
                                                                 .roots = {},
                                                                 .next_root = 0}));
}

Result<std::optional<oci::Digest>> Store::find(std::string_view name) const {
  return read_name(home_, name);
}

Result<std::vector<std::string>> Store::names(std::string_view prefix) const {
  return list_names(home_, prefix);
}

Result<void> Store::remove_name(std::string_view name) const {
  if (read_only_) return read_only_error(home_);
  TRY(check_name(name));
  const std::string path = fmt::format("{}/{}/{}", home_, kNamesFolder, name);
  // Not made durable: a name that comes back after a power cut is still a true one.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove the name '{}'", name);
  return {};
}

Result<Tree> Store::tree(const oci::Digest& digest) const {
  const std::string path = fmt::format("{}/{}/{}", home_, kTreesFolder, tree_name(digest));
  const std::string bytes = TRY(os::read_file(path, kMaxTreeBytes), "reading a tree");
  const oci::Digest got = oci::Sha256::of(bytes);
  if (got != digest) {
    return Error(Code::corrupt, "tree {} has the content of {}", digest.string(), got.string())
        .hint("`kist fsck`");
  }
  return TRY(Tree::decode(bytes), "reading tree {}", digest.string());
}

std::string Store::object_path(const oci::Digest& object, uint32_t mode) const {
  return fmt::format("{}/{}/{}", home_, kObjectsFolder, object_name(object, mode));
}

Result<std::string> Store::read_object(const Entry& file) const {
  if (!file.object.has_value())
    return Error(Code::invalid, "'{}' is not a file", printable(file.path));
  const std::string path = object_path(*file.object, file.mode);
  std::string bytes = TRY(os::read_file(path), "reading the content of '{}'", printable(file.path));
  const oci::Digest got = oci::Sha256::of(bytes);
  if (got != *file.object) {
    return Error(Code::corrupt, "object {} of '{}' has the content of {}", file.object->string(),
                 printable(file.path), got.string())
        .hint("`kist fsck`");
  }
  return bytes;
}

}  // namespace kist::store
