#include "environment/configure_step.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/text.h"
#include "debian/java_keystore.h"
#include "environment/assemble.h"
#include "environment/step.h"

namespace kist::environment {
namespace {

constexpr uint64_t kMaxFileBytes = 1ull << 30;
constexpr size_t kMaxDepth = 100;

// What a container must not leave behind: mount points that it made for itself.
bool is_mount_point(std::string_view path) {
  for (const std::string_view own : {"proc", "sys", "dev", "run", "tmp"})
    if (path == own) return true;
  return false;
}

bool is_whiteout(const struct stat& st, const std::string& path) {
  if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) return true;
  char value[2];
  return S_ISREG(st.st_mode) && st.st_size == 0 &&
         ::lgetxattr(path.c_str(), "user.overlay.whiteout", value, sizeof value) >= 0;
}

class Harvest {
 public:
  Harvest(std::string upper, store::ObjectSink& sink) : upper_(std::move(upper)), builder_(sink) {}

  Result<debian::JobResult> run() {
    TRY(folder("", 0));
    result_.changed = TRY(std::move(builder_).finish());
    return std::move(result_);
  }

 private:
  Result<void> folder(const std::string& relative, size_t depth) {
    if (depth > kMaxDepth)
      return Error(Code::invalid, "scripts made folders more than {} deep", kMaxDepth);
    const auto names = TRY(os::list_folder(os::join(upper_, relative)));
    for (const std::string& name : names)
      TRY(entry(relative.empty() ? name : os::join(relative, name), depth));
    return {};
  }

  Result<void> entry(const std::string& relative, size_t depth) {
    const std::string path = os::join(upper_, relative);
    struct stat st = {};
    if (::lstat(path.c_str(), &st) != 0) return Error::from_errno(errno, "stat '{}'", printable(path));
    if (is_whiteout(st, path)) {
      result_.removed.push_back(relative);
      return {};
    }
    if (S_ISDIR(st.st_mode)) {
      if (is_mount_point(relative)) return {};
      builder_.folder(relative, st.st_mode & 07777);
      return folder(relative, depth + 1);
    }
    if (S_ISLNK(st.st_mode)) {
      std::string target = TRY(os::read_link(path));
      builder_.symlink(relative, std::move(target));
      return {};
    }
    // Sockets and fifos are of the moment; devices cannot be made there.
    if (!S_ISREG(st.st_mode)) return {};
    std::string bytes = TRY(os::read_file(path, kMaxFileBytes));
    if (auto undated = debian::undated_keystore(bytes)) bytes = std::move(*undated);
    return builder_.file(relative, st.st_mode & 07777, bytes);
  }

  const std::string upper_;
  store::TreeBuilder builder_;
  debian::JobResult result_;
};

Result<debian::JobResult> run_job(const Context& context, const debian::ConfigureJob& job,
                                  store::Transaction& tx) {
  const oci::Digest digest = TRY(tx.put_tree(job.root));
  const store::Root root = TRY(root_of(context, digest, tx));
  TRY(os::make_folders(context.cache("configure")));
  const os::TempDir work = TRY(os::TempDir::make(context.cache("configure")));
  Step step;
  step.name = fmt::format("configuring {}", fmt::join(job.packages, ", "));
  step.root = root_source(root);
  step.args = {"/bin/sh", "-c", job.script};
  step.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
              "LC_ALL=C.UTF-8"};
  step.upper_folder = os::join(work.path(), "upper");
  step.privileged = true;
  const std::string phase = fmt::format("configuring {} packages", job.packages.size());
  context.progress.begin(phase, 0, 0);
  const StepOutput output = TRY(run_step(step));
  context.progress.end(phase, fmt::format("configured {} packages in a container", job.packages.size()));
  if (output.status != 0)
    return Error(Code::invalid, "{} ended with status {}:{}", step.name, output.status,
                 tail_of(output));
  return harvest_upper(step.upper_folder, tx);
}

}  // namespace

Result<debian::JobResult> harvest_upper(const std::string& upper, store::ObjectSink& sink) {
  return Harvest(upper, sink).run();
}

debian::JobRunner configure_runner(const Context& context, store::Transaction& tx) {
  return [&context, &tx](const debian::ConfigureJob& job) { return run_job(context, job, tx); };
}

}  // namespace kist::environment
