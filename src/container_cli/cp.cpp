// kist cp. docker's rules: what there is decides what a path means.
//   file → nothing there: a file of that name      folder → nothing there: a folder of that name
//   file → file: replaced                          folder → file: refused
//   file → folder: into it                         folder → folder: into it, or its contents ("SOURCE/.")
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "container_cli/verb.h"
#include "containers/copy_tree.h"
#include "containers/files.h"
#include "launch/paths.h"

namespace kist::container_cli {
namespace {

// One end: a path of the host, or of a container.
class End {
 public:
  static End on_host(const std::string& path, const Here& here) {
    return End(path, launch::host_path(path, here.host.working_dir), nullptr);
  }
  static End inside(const std::string& path, const containers::ContainerFiles& files) {
    return End(path, launch::clean_path(path.starts_with('/') ? path : "/" + path), &files);
  }

  bool in_container() const { return files_ != nullptr; }
  const std::string& path() const { return path_; }
  Result<os::Fd> open(const std::string& path, int flags) const {
    if (files_ != nullptr) return os::open_in_root(files_->root(), path, flags);
    return os::open_file(path, flags);
  }
  bool ends_with_slash() const { return given_.ends_with('/'); }
  bool means_contents() const { return given_ == "." || given_.ends_with("/."); }


 private:
  End(std::string given, std::string path, const containers::ContainerFiles* files)
      : given_(std::move(given)), path_(std::move(path)), files_(files) {}
  std::string given_;  // As it was typed: a slash at the end means something.
  std::string path_;
  const containers::ContainerFiles* files_;
};

struct stat look(const os::Fd& fd) {
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) st.st_mode = 0;
  return st;
}

Error no_such(const End& end) {
  return Error(Code::not_found, "there is no '{}'{}", printable(end.path()), end.in_container() ? " in the container" : "");
}

// Where a link at the end of the path leads, step by step: what it names may not exist yet.
Result<std::string> without_last_link(const End& end, std::string path) {
  constexpr int kMost = 40;
  for (int i = 0; i < kMost; ++i) {
    const auto there = end.open(path, O_PATH | O_NOFOLLOW);
    if (!there || !S_ISLNK(look(*there).st_mode)) return path;
    std::string text(PATH_MAX, '\0');
    const ssize_t got = ::readlinkat(there->get(), "", text.data(), text.size());
    if (got < 0) return Error::from_errno(errno, "read the link '{}'", printable(path));
    text.resize(static_cast<size_t>(got));
    path = launch::clean_path(text.starts_with('/') ? text : os::join(os::parent_of(path), text));
  }
  return Error(Code::invalid, "too many links lead on from '{}'", printable(end.path()));
}

struct Target {
  os::Fd folder;
  std::string name;  // Empty: the contents go into `folder` itself.
};

Result<Target> target_of(const End& to, const End& from, bool is_folder) {
  const std::string path = TRY(without_last_link(to, to.path()));
  if (const auto there = to.open(path, O_PATH)) {
    const bool there_is_folder = S_ISDIR(look(*there).st_mode);
    if (!there_is_folder && is_folder)
      return Error(Code::invalid, "cannot copy a directory to a file: '{}'", printable(to.path()));
    if (!there_is_folder && (to.ends_with_slash() || to.means_contents()))
      return Error(Code::invalid, "'{}' is no directory", printable(to.path()));
    if (there_is_folder) {
      Target out;
      out.folder = TRY(to.open(path, O_RDONLY | O_DIRECTORY));
      out.name = os::name_of(from.path());
      if (is_folder && (from.means_contents() || from.path() == "/")) out.name.clear();
      return out;
    }
  } else if (!is_folder && to.ends_with_slash()) {
    return Error(Code::not_found, "the destination directory must exist: '{}'", printable(to.path()));
  }
  auto folder = to.open(os::parent_of(path), O_RDONLY | O_DIRECTORY);
  if (!folder)
    return Error(Code::not_found, "there is no directory '{}' to copy to{}", printable(os::parent_of(path)),
                 to.in_container() ? " in the container" : "");
  return Target{std::move(*folder), std::string(os::name_of(path))};
}

struct How {
  bool follow_link = false;
  bool keep_owners = false;
};

Result<void> copy(const End& from, const End& to, const How& how) {
  const bool follow = how.follow_link || from.ends_with_slash() || from.means_contents();
  const auto source = from.open(from.path(), follow ? O_PATH : O_PATH | O_NOFOLLOW);
  if (!source) return source.error().code() == Code::not_found ? no_such(from) : source.error();
  const bool is_folder = S_ISDIR(look(*source).st_mode);
  if (!is_folder && (from.ends_with_slash() || from.means_contents()))
    return Error(Code::invalid, "'{}' is no directory", printable(from.path()));
  const Target target = TRY(target_of(to, from, is_folder));
  containers::CopyOptions options{.owner = {}, .hard_links = false, .overwrite = true};
  if (!how.keep_owners)
    options.owner = to.in_container() ? std::pair<uid_t, gid_t>(0, 0) : std::pair(::geteuid(), ::getegid());
  if (!target.name.empty()) return containers::copy_object(*source, target.folder, target.name, options);
  const os::Fd contents = TRY(from.open(from.path(), O_RDONLY | O_DIRECTORY));
  return containers::copy_contents(contents, target.folder, options, false);
}

struct InContainer {
  std::string name, path;
};

// By way of the host: two containers of a plain user have no ids in common. docker has no such thing, podman has.
Result<void> copy_between(const Here& here, const InContainer& from, const InContainer& to, const How& how) {
  const auto source = TRY(here.record(from.name));
  const auto target = TRY(here.record(to.name));
  const os::TempDir between = TRY(os::TempDir::make("/var/tmp", "kist-cp."), "a folder to copy through");
  std::string name(os::name_of(launch::clean_path("/" + from.path)));
  if (name.empty()) name = "root";
  const std::string staged = os::join(between.path(), name);
  TRY(with_files(here, source, {.mounts = true}, [&](const containers::ContainerFiles& files) {
    return copy(End::inside(from.path, files), End::on_host(staged, here), {how.follow_link, true});
  }));
  const bool contents = from.path == "." || from.path.ends_with("/.") || launch::clean_path("/" + from.path) == "/";
  return with_files(here, target, {.mounts = true}, [&](const containers::ContainerFiles& files) {
    return copy(End::on_host(contents ? staged + "/." : staged, here), End::inside(to.path, files), {false, how.keep_owners});
  });
}

}  // namespace

std::pair<std::string, std::string> split_container_path(const std::string& text) {
  const size_t colon = text.find(':');
  // As docker: a path of the host that has a colon begins with "/" or ".".
  if (colon == std::string::npos || colon == 0 || text[0] == '/' || text[0] == '.') return {"", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<int> copy_verb(const cli::Parsed& parsed, const Here& here) {
  const auto from = split_container_path(parsed.positionals()[0]);
  const auto to = split_container_path(parsed.positionals()[1]);
  if (from.first.empty() && to.first.empty())
    return Error(Code::invalid, "must specify at least one container source").hint("write it as `CONTAINER:/PATH`");
  if ((!from.first.empty() && from.second.empty()) || (!to.first.empty() && to.second.empty()))
    return Error(Code::invalid, "bad parameter: the path in the container cannot be empty").hint("write it as `CONTAINER:/PATH`");
  const How how{parsed.has("--follow-link"), parsed.has("--archive")};
  if (!from.first.empty() && !to.first.empty()) {
    TRY(copy_between(here, {from.first, from.second}, {to.first, to.second}, how));
    return 0;
  }
  const auto record = TRY(here.record(from.first.empty() ? to.first : from.first));
  TRY(with_files(here, record, {.mounts = true}, [&](const containers::ContainerFiles& files) -> Result<void> {
    if (from.first.empty()) return copy(End::on_host(from.second, here), End::inside(to.second, files), how);
    return copy(End::inside(from.second, files), End::on_host(to.second, here), how);
  }));
  return 0;
}

}  // namespace kist::container_cli
