// The root: a writable overlay over folders that are not ours to write.
//
// Where does one mount things that nobody shall see, without covering what will be looked up? Not
// on /tmp (the project may be in it), and not in a folder of ours (that would be writes to a disk).
// The scratch tmpfs covers /proc, which is needed no more when the ids are mapped. The overlay is
// attached on top of "/" itself: a process whose root is the mount below does not see what is
// stacked on it, so every path of the host still means what it meant, and pivot_root lifts the
// overlay off and puts it under. (Both on "/" would need two unmounts, each waiting for RCU: the
// first one would only take the topmost mount, and leave the host's root reachable as "/..".)
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "os/kernel.h"
#include "runtime/inside.h"

namespace kist::runtime {
namespace {

namespace kernel = os::kernel;

// The kernel's own words about what it did not like, from the log of the mount in the making.
class MountLog {
 public:
  explicit MountLog(int context) {
    const ssize_t got = ::read(context, text_, sizeof text_ - 1);
    size_ = got > 0 ? static_cast<size_t>(got) : 0;
    while (size_ > 0 && text_[size_ - 1] == '\n') --size_;
    text_[size_] = '\0';
  }
  // Lines are "e TEXT", with the level in front.
  const char* text() const { return size_ > 2 && text_[1] == ' ' ? text_ + 2 : text_; }

 private:
  char text_[256];
  size_t size_ = 0;
};

int attach_over(const char* path, int tree, const Reporter& report) {
  report.check(::syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH),
               "mount over", path);
  return tree;
}

int mount_scratch(const Plan& plan, const Reporter& report) {
  const int context = report.check(kernel::fsopen("tmpfs"), "open a tmpfs");
  report.check(kernel::fsconfig_string(context, "mode", "0755"), "set the mode of a tmpfs");
  if (kernel::fsconfig_create(context) != 0)
    report.fail(errno, "mount a tmpfs", nullptr, nullptr,
                plan.user_namespace ? Report::Kind::mount_refused : Report::Kind::setup_failed);
  const int scratch = report.check(kernel::fsmount(context), "mount a tmpfs");
  ::close(context);
  return attach_over("/proc", scratch, report);
}

void set(int context, const char* key, const char* value, const Reporter& report) {
  if (kernel::fsconfig_string(context, key, value) == 0) return;
  const int error = errno;
  report.fail(error, "mount the root from", value, MountLog(context).text());
}

void set_layers(int context, const Plan& plan, const Reporter& report) {
  const ContainerSpec& spec = *plan.spec;
  if (spec.root.lowers.empty()) {
    set(context, "metacopy", "on", report);
    set(context, "redirect_dir", "on", report);
    set(context, "lowerdir+", "base", report);
    set(context, "datadir+", spec.root.objects.c_str(), report);
  } else {
    report.check(kernel::fsconfig_flag(context, "userxattr"), "mount the root with userxattr");
    for (const std::string& lower : spec.root.lowers)
      set(context, "lowerdir+", lower.c_str(), report);
  }
  if (spec.upper_folder.empty()) {
    set(context, "upperdir", "upper", report);
    set(context, "workdir", "work", report);
    return;
  }
  set(context, "upperdir", spec.upper_folder.c_str(), report);
  set(context, "workdir", plan.work_folder.c_str(), report);
  // Else leaving would sync the whole disk that the upper is on.
  report.check(kernel::fsconfig_flag(context, "volatile"), "mount the root volatile");
}

int make_overlay(const Plan& plan, const Reporter& report) {
  const int context = report.check(kernel::fsopen("overlay"), "open an overlay");
  set_layers(context, plan, report);
  if (kernel::fsconfig_create(context) != 0) {
    const int error = errno;
    report.fail(error, "mount the root", nullptr, MountLog(context).text());
  }
  const int tree = report.check(kernel::fsmount(context), "mount the root");
  ::close(context);
  return tree;
}

// Linux before 6.7 has no "lowerdir+": there all names go in one string, with the limit of a page
// that it has.
int make_overlay_by_string(const Plan& plan, const Reporter& report) {
  report.check(::mkdir("merged", 0755), "create a mount point");
  report.check(::mount("overlay", "merged", "overlay", 0, plan.overlay_options.c_str()),
               "mount the root with", plan.overlay_options.c_str());
  return report.check(kernel::clone_tree(AT_FDCWD, "merged", false), "open the root");
}

void mount_image(const Plan& plan, const Reporter& report) {
  const char* image = plan.spec->root.erofs_image.c_str();
  report.check(::mkdir("base", 0755), "create a mount point");
  if (::mount(image, "base", "erofs", MS_RDONLY, nullptr) == 0) return;
  const int error = errno;
  // ENOTBLK: no file-backed mounts, which came with Linux 6.12.
  report.fail(error == ENOTBLK ? EOPNOTSUPP : error, "mount the image", image,
              error == ENOTBLK ? "a file-backed EROFS mount needs Linux 6.12" : nullptr);
}

}  // namespace

Root mount_root(const Plan& plan, const Reporter& report) {
  Root root;
  root.scratch = mount_scratch(plan, report);
  report.check(::fchdir(root.scratch), "enter a tmpfs");
  report.check(::mkdir("upper", 0755), "create a folder in a tmpfs");
  report.check(::mkdir("work", 0755), "create a folder in a tmpfs");
  if (!plan.spec->root.erofs_image.empty()) mount_image(plan, report);
  const int tree =
      plan.layer_keys ? make_overlay(plan, report) : make_overlay_by_string(plan, report);
  root.root = attach_over("/", tree, report);
  return root;
}

}  // namespace kist::runtime
