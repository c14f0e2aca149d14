#include "containers/root_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "os/kernel.h"

namespace kist::containers {
namespace {

namespace kernel = os::kernel;

// What the kernel itself says about the mount in the making.
std::string said_by_kernel(const os::Fd& context) {
  char text[256];
  const ssize_t got = ::read(context.get(), text, sizeof text);
  std::string_view said(text, static_cast<size_t>(std::max<ssize_t>(got, 0)));
  while (said.ends_with('\n')) said.remove_suffix(1);
  // "e overlay: …", with the level in front.
  return said.size() > 2 && said[1] == ' ' ? printable(said.substr(2)) : printable(said);
}

class FileSystem {
 public:
  static Result<FileSystem> of(const char* type) {
    os::Fd context(kernel::fsopen(type));
    if (!context.is_open()) return Error::from_errno(errno, "open a file system of type {}", type);
    return FileSystem(std::move(context), type);
  }
  Result<void> set(const char* key, const std::string& value) {
    if (kernel::fsconfig_string(context_.get(), key, value.c_str()) == 0) return {};
    return failed(fmt::format("set {} to '{}'", key, printable(value)));
  }
  Result<void> flag(const char* key) {
    if (kernel::fsconfig_flag(context_.get(), key) == 0) return {};
    return failed(fmt::format("set {}", key));
  }
  Result<os::Fd> mount(unsigned attributes = 0) {
    if (kernel::fsconfig_create(context_.get()) != 0) return failed("make it");
    os::Fd tree(kernel::fsmount(context_.get(), attributes));
    if (!tree.is_open()) return failed("mount it");
    return tree;
  }

 private:
  FileSystem(os::Fd context, const char* type) : context_(std::move(context)), type_(type) {}
  Error failed(const std::string& what) {
    const int error = errno;
    const std::string said = said_by_kernel(context_);
    return Error::from_errno(error, "mounting {}: {}{}{}", type_, what, said.empty() ? "" : ": ", said);
  }
  os::Fd context_;
  const char* type_;
};

Result<void> attach(const os::Fd& tree, const char* path) {
  if (::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Error::from_errno(errno, "mount over '{}'", path);
  return {};
}

// A place that nobody sees, for what the overlay is made of: overlayfs keeps its own hold on its
// layers, so it can go again at once. That takes the kernel longer than all the rest, as it waits for
// every processor; where all mounts go together soon, it stays until then.
class Scratch {
 public:
  static Result<Scratch> make(const std::string& place) {
    FileSystem memory = TRY(FileSystem::of("tmpfs"));
    TRY(memory.set("mode", "0755"));
    const os::Fd tree = TRY(memory.mount());
    Scratch scratch(place.empty() ? "/proc" : place, place.empty());
    TRY(attach(tree, scratch.place_.c_str()));
    scratch.mounted_ = true;
    for (const char* name : {"upper", "work", "base", "merged"})
      if (::mkdirat(tree.get(), name, 0755) != 0) return Error::from_errno(errno, "create a folder in a tmpfs");
    return scratch;
  }
  Scratch(Scratch&& other) noexcept
      : place_(other.place_), passing_(other.passing_), mounted_(std::exchange(other.mounted_, false)) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (mounted_ && passing_) ::umount2(place_.c_str(), MNT_DETACH);
  }
  std::string path(const char* name) const { return place_ + "/" + name; }

 private:
  Scratch(std::string place, bool passing) : place_(std::move(place)), passing_(passing) {}
  std::string place_;
  bool passing_;
  bool mounted_ = false;
};

Result<void> set_image(FileSystem& overlay, const runtime::RootSource& source, const Scratch& scratch) {
  FileSystem image = TRY(FileSystem::of("erofs"));
  TRY(image.set("source", source.erofs_image));
  auto tree = image.mount(MOUNT_ATTR_RDONLY);
  if (!tree) return std::move(tree).error().context("a root of an image file needs Linux 6.12");
  TRY(attach(*tree, scratch.path("base").c_str()));
  TRY(overlay.set("metacopy", "on"));
  TRY(overlay.set("redirect_dir", "on"));
  TRY(overlay.set("lowerdir+", scratch.path("base")));
  return overlay.set("datadir+", source.objects);
}

Result<void> set_layers(FileSystem& overlay, const runtime::RootSource& source, const Scratch& scratch) {
  if (!source.erofs_image.empty()) return set_image(overlay, source, scratch);
  TRY(overlay.flag("userxattr"));
  for (const std::string& lower : source.lowers) TRY(overlay.set("lowerdir+", lower));
  return {};
}

// As options of overlayfs want names.
std::string escaped(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '\\' || c == ':' || c == ',') out += '\\';
    out += c;
  }
  return out;
}

// Linux before 6.7 takes "lowerdir+", as anything, and fails in the end: there all names go in one
// string, with the limit of a page that it has. Without an upper one it is read-only.
Result<os::Fd> mount_by_string(const runtime::RootSource& source, const Scratch& scratch, const std::string& upper,
                                const std::string& work) {
  std::string options = "userxattr,lowerdir=";
  for (const std::string& lower : source.lowers) options += escaped(lower) + ":";
  if (upper.empty()) options += scratch.path("base");
  else options.pop_back();
  if (!upper.empty()) options += ",upperdir=" + escaped(upper) + ",workdir=" + escaped(work);
  const std::string place = scratch.path("merged");
  if (::mount("overlay", place.c_str(), "overlay", upper.empty() ? MS_RDONLY : 0, options.c_str()) != 0)
    return Error::from_errno(errno, "mounting overlay with {} layers", source.lowers.size());
  os::Fd tree(kernel::clone_tree(AT_FDCWD, place.c_str(), false));
  if (!tree.is_open()) return Error::from_errno(errno, "open the mount of the overlay");
  return tree;
}

bool may_be_old(const runtime::RootSource& source, const Error& error) {
  return source.erofs_image.empty() && error.code() == Code::invalid;
}

}  // namespace

Result<os::Fd> mount_image(const RootMount& root) {
  const Scratch scratch = TRY(Scratch::make(root.place));
  FileSystem overlay = TRY(FileSystem::of("overlay"));
  TRY(set_layers(overlay, root.source, scratch));
  // Without an upper one there must be two.
  if (root.source.erofs_image.empty()) TRY(overlay.set("lowerdir+", scratch.path("base")));
  Result<os::Fd> tree = overlay.mount(MOUNT_ATTR_RDONLY);
  if (!tree && may_be_old(root.source, tree.error())) return mount_by_string(root.source, scratch, {}, {});
  return tree;
}

Result<os::Fd> mount_root(const RootMount& root) {
  const Scratch scratch = TRY(Scratch::make(root.place));
  FileSystem overlay = TRY(FileSystem::of("overlay"));
  TRY(set_layers(overlay, root.source, scratch));
  const std::string upper = root.upper.empty() ? scratch.path("upper") : root.upper;
  const std::string work = root.upper.empty() ? scratch.path("work") : root.work;
  TRY(overlay.set("upperdir", upper));
  TRY(overlay.set("workdir", work));
  Result<os::Fd> tree = overlay.mount();
  if (!tree && may_be_old(root.source, tree.error())) return mount_by_string(root.source, scratch, upper, work);
  return tree;
}

}  // namespace kist::containers
