#include "engine/application.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "engine/ignore_rules.h"
#include "python/pylock.h"

namespace kist::engine {
namespace {

using store::Entry;

constexpr uint64_t kMaxIgnoreBytes = 1u << 20;
constexpr size_t kMaxEntries = 1'000'000;
constexpr uint64_t kWholeInMemory = 4u << 20;
constexpr uint64_t kLargeBytes = 1ull << 30;
constexpr int kMaxDepth = 200;

// What no image wants: history, and what tools make again.
constexpr std::string_view kNeverNames[] = {
    ".git", ".hg", ".svn", ".jj", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".tox", ".nox", ".DS_Store", ".dockerignore", ".gitignore"};
constexpr std::string_view kNeverEndings[] = {".pyc", ".pyo", ".kist-before", ".kist-partial"};

bool is_never_wanted(std::string_view name) {
  return std::find(std::begin(kNeverNames), std::end(kNeverNames), name) != std::end(kNeverNames) ||
         std::any_of(std::begin(kNeverEndings), std::end(kNeverEndings),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

struct stat look_at(const std::string& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) info.st_mode = 0;
  return info;
}

class Collector {
 public:
  Collector(const environment::Context& context, const ApplicationRequest& request, store::Transaction& tx)
      : context_(context), request_(request), tx_(tx) {}

  Result<store::Tree> run() {
    read_rules_above();
    if (request_.include.empty()) TRY(walk("", 0));
    for (const std::string& path : request_.include) TRY(add_included(path));
    if (entries_.size() > kMaxEntries)
      return Error(Code::invalid, "the application has more than {} files", kMaxEntries)
          .hint("name what is data in .dockerignore");
    TRY(context_.workers.for_each(files_.size(), [&](size_t i) { return read_content(entries_[files_[i]]); }));
    warn_if_large();
    Entry top;
    top.path = kApplicationFolder;
    top.kind = store::Kind::folder;
    top.mode = 0755;
    entries_.push_back(std::move(top));
    return store::Tree::make(std::move(entries_));
  }

 private:
  std::string inside(std::string_view path) const { return os::join(request_.folder, path); }

  std::string read_rules(const std::string& path) const {
    const auto text = os::read_file(path, kMaxIgnoreBytes);
    return text ? *text : std::string();
  }

  // Of the folders above, as far as the project belongs to the same repository.
  void read_rules_above() {
    std::vector<std::string> above;
    for (std::string folder = request_.folder; folder != "/"; folder = os::parent_of(folder)) {
      above.push_back(folder);
      if (!os::exists(os::join(folder, ".git"))) continue;
      for (auto it = above.rbegin(); it != above.rend(); ++it) {
        const std::string relative = it->size() > folder.size() ? it->substr(folder.size() + 1) : "";
        rules_.add_git(relative, read_rules(os::join(*it, ".gitignore")));
      }
      prefix_ = request_.folder.size() > folder.size() ? request_.folder.substr(folder.size() + 1) + "/" : "";
      has_rules_of_top_ = true;
      break;
    }
    docker_.add_docker(read_rules(inside(".dockerignore")));
  }

  void read_rules_of(const std::string& folder) {
    if (folder.empty() && has_rules_of_top_) return;
    const std::string text = read_rules(inside(folder.empty() ? ".gitignore" : folder + "/.gitignore"));
    std::string place = prefix_ + folder;
    if (place.ends_with('/')) place.pop_back();
    if (!text.empty()) rules_.add_git(place, text);
  }

  bool is_left_out(const std::string& path, std::string_view name, bool is_folder) const {
    if (is_never_wanted(name)) return true;
    // The lock that the image is made of is in it anyway; those of other platforms and environments would
    // give it another digest as soon as they were written.
    if (path == name && python::environment_of_lock(name)) return true;
    const std::string whole = inside(path);
    if (std::find(request_.left_out.begin(), request_.left_out.end(), whole) != request_.left_out.end())
      return true;
    // Virtual environments and caches say what they are.
    return is_folder && (os::exists(os::join(whole, "pyvenv.cfg")) || os::exists(os::join(whole, "CACHEDIR.TAG")));
  }

  Result<void> walk(const std::string& folder, int depth) {
    if (depth > kMaxDepth)
      return Error(Code::invalid, "'{}' lies more than {} folders deep", printable(folder), kMaxDepth);
    read_rules_of(folder);
    const auto names = TRY(os::list_folder(inside(folder)));
    for (const std::string& name : names) {
      const std::string path = folder.empty() ? name : folder + "/" + name;
      const struct stat info = look_at(inside(path));
      const bool is_folder = S_ISDIR(info.st_mode);
      if (is_left_out(path, name, is_folder)) continue;
      if (rules_.ignores(prefix_ + path, is_folder)) continue;
      if (docker_.ignores(path, is_folder)) {
        if (!is_folder || !docker_.may_hold_exceptions(path)) continue;
        TRY(walk(path, depth + 1));  // The folder comes in with the first thing in it.
        continue;
      }
      TRY(add(path, info));
      if (is_folder) TRY(walk(path, depth + 1));
    }
    return {};
  }

  Result<void> add_included(const std::string& given) {
    std::string path = given;
    while (path.ends_with('/')) path.pop_back();
    while (path.starts_with("./")) path.erase(0, 2);
    for (const std::string_view part : split(path, '/'))
      if (part == ".." || path.starts_with('/'))
        return Error(Code::invalid, "image.include: '{}' leads out of the project", printable(given));
    if (path.empty() || path == ".") return walk("", 0);
    const struct stat info = look_at(inside(path));
    if (info.st_mode == 0)
      return Error(Code::not_found, "image.include: '{}' does not exist", printable(given))
          .hint("paths start at the project's folder");
    TRY(add(path, info));
    return S_ISDIR(info.st_mode) ? walk(path, 1) : Result<void>();
  }

  Result<void> add(const std::string& path, const struct stat& info) {
    Entry entry;
    entry.path = fmt::format("{}/{}", kApplicationFolder, path);
    if (S_ISDIR(info.st_mode)) {
      entry.kind = store::Kind::folder;
      entry.mode = 0755;
    } else if (S_ISLNK(info.st_mode)) {
      entry.kind = store::Kind::symlink;
      entry.mode = 0777;
      entry.target = TRY(os::read_link(inside(path)));
    } else if (S_ISREG(info.st_mode)) {
      entry.mode = (info.st_mode & 0100) != 0 ? 0755 : 0644;
      files_.push_back(entries_.size());
    } else {
      context_.progress.warn(fmt::format("'{}' is neither file, folder nor link: not in the image", printable(path)));
      return {};
    }
    entries_.push_back(std::move(entry));
    return {};
  }

  Result<void> read_content(Entry& entry) {
    const std::string path = entry.path.substr(kApplicationFolder.size() + 1);
    const os::Fd fd = TRY(os::open_file(inside(path), O_RDONLY | O_NOFOLLOW), "reading the application");
    struct stat info = {};
    if (::fstat(fd.get(), &info) != 0) return Error::from_errno(errno, "look at '{}'", printable(path));
    store::Object object{.digest = oci::Digest(oci::Digest::Bytes{}), .size_bytes = 0};
    if (static_cast<uint64_t>(info.st_size) <= kWholeInMemory) {
      const std::string bytes = TRY(os::read_all(fd), "reading '{}'", printable(path));
      object = TRY(tx_.put(bytes, entry.mode));
    } else {
      object = TRY(copy(fd, path, entry.mode));
    }
    entry.object = object.digest;
    entry.size_bytes = object.size_bytes;
    return {};
  }

  Result<store::Object> copy(const os::Fd& fd, const std::string& path, uint32_t mode) {
    const auto writer = TRY(tx_.begin(mode));
    std::string buffer(1u << 20, '\0');
    while (true) {
      const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::from_errno(errno, "read '{}'", printable(path));
      if (got == 0) return writer->finish();
      TRY(writer->write(std::string_view(buffer.data(), static_cast<size_t>(got))));
    }
  }

  void warn_if_large() {
    uint64_t bytes = 0;
    const Entry* largest = nullptr;
    for (const size_t i : files_) {
      bytes += entries_[i].size_bytes;
      if (largest == nullptr || entries_[i].size_bytes > largest->size_bytes) largest = &entries_[i];
    }
    if (bytes > kLargeBytes)
      context_.progress.warn(fmt::format("the application has {}, of it '{}' {}; what is data can be named in "
                                         ".dockerignore", human_bytes(bytes), printable(largest->path),
                                         human_bytes(largest->size_bytes)));
  }

  const environment::Context& context_;
  const ApplicationRequest& request_;
  store::Transaction& tx_;
  IgnoreRules rules_, docker_;
  std::string prefix_;  // From the repository's folder to the project's: "sub/project/".
  bool has_rules_of_top_ = false;
  std::vector<Entry> entries_;
  std::vector<size_t> files_;
};

}  // namespace

Result<store::Tree> application_tree(const environment::Context& context, const ApplicationRequest& request,
                                     store::Transaction& tx) {
  return Collector(context, request, tx).run();
}

}  // namespace kist::engine
