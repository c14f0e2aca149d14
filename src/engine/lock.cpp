#include "engine/lock.h"

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "engine/base_image.h"
#include "engine/credentials.h"
#include "environment/build_lock.h"
#include "environment/platform.h"
#include "environment/resolve.h"
#include "python/pylock_complete.h"

namespace kist::engine {
namespace {

using environment::Context;

Error stale(const Project& project, const python::Inputs& inputs,
            const std::optional<python::Lock>& lock, const std::string& platform) {
  const std::string name = printable(os::name_of(project.lock_path));
  if (!lock)
    return Error(Code::invalid, "--locked: there is no '{}' for {}", name, printable(inputs.chosen))
        .hint("`kist lock`");
  return Error(Code::invalid, "--locked: '{}' is stale: {}", name,
               python::why_stale(*lock, inputs, {.platform = platform}))
      .hint("`kist lock`");
}

Result<void> write_lock_file(const Project& project, const std::string& text) {
  TRY(os::make_folders(os::parent_of(project.lock_path)));
  auto written = os::write_file_durably(project.lock_path, text);
  if (written) return {};
  return std::move(written).error().hint(
      "the lock belongs beside the inputs: make the folder writable, or copy the project to one "
      "that is");
}

std::string summary(const python::Lock& lock, const Project& project, double seconds) {
  // Tools are not in the environment.
  const auto& debian = lock.kist->debian;
  const auto count = std::count_if(debian.begin(), debian.end(), [](const auto& p) { return !p.tool; });
  if (lock.kist->image)
    return fmt::format("locked {} Python packages over the image {} in {} → {}", lock.packages.size(),
                       lock.kist->image->digest.hex().substr(0, 12), human_seconds(seconds),
                       printable(os::name_of(project.lock_path)));
  return fmt::format("locked {} Python and {} Debian packages in {} → {}", lock.packages.size(), count,
                     human_seconds(seconds),
                     printable(os::name_of(project.lock_path)));
}

// --python is no part of the inputs that a lock remembers.
bool has_python(const python::Lock& lock, const python::Inputs& inputs) {
  if (inputs.python_from != "--python") return true;
  return lock.kist->python == inputs.python || lock.kist->python.starts_with(inputs.python + ".");
}

}  // namespace

Result<LockOutcome> ensure_lock(const Context& context, Project& project,
                                const python::Inputs& inputs, const LockOptions& options,
                                store::Transaction& tx) {
  learn_credentials(context, project, inputs);
  const std::string platform =
      options.platform.empty() ? environment::host_platform() : options.platform;
  choose_platform(project, platform);
  auto previous = read_lock(project, context.progress);
  if (!previous && !options.upgrade) return std::move(previous).error();
  std::optional<python::Lock> old = previous ? std::move(*previous) : std::nullopt;
  const bool keep_all = !options.upgrade && options.upgrade_packages.empty();
  const bool current = old && is_current(*old, inputs) && old->kist->platform == platform &&
                       has_python(*old, inputs);
  if (current && keep_all) return LockOutcome{std::move(*old), project.lock_path, false};
  if (options.only_check) return stale(project, inputs, old, platform);
  if (context.offline && !inputs.is_locked())
    return Error(Code::unavailable, "--offline: the lock is not current, and resolving needs the index")
        .hint("run it once without `--offline`");

  auto image = TRY(choose_base_image(context, {.inputs = inputs, .platform = platform,
                                               .previous = old ? &*old : nullptr, .upgrade = options.upgrade}));
  const environment::Suite suite =
      TRY(image ? environment::newest_suite() : environment::choose_suite(inputs, platform));
  auto interpreter = TRY(environment::choose_interpreter(
      context, {.inputs = inputs, .platform = platform, .project_folder = project.folder,
                .lock_folder = os::parent_of(project.lock_path)}, tx));
  if (image && interpreter) TRY(warn_of_missing(context, *image, interpreter->libraries));
  context.progress.end("", fmt::format("using {}; base {}, Python {}", inputs.chosen,
                                       image ? printable(image->base) : suite.base(),
                                       interpreter ? interpreter->python + " of kist.toml"
                                       : image     ? image->python
                                                   : suite.python));
  const auto start = std::chrono::steady_clock::now();
  const std::optional<python::Lock> before = old;
  python::Lock lock = TRY(environment::resolve(
      context, {.inputs = inputs,
                .project_folder = project.folder,
                .lock_folder = os::parent_of(project.lock_path),
                .platform = platform,
                .suite = suite,
                .image = std::move(image),
                .interpreter = std::move(interpreter),
                .previous = std::move(old),
                .upgrade = options.upgrade,
                .upgrade_packages = options.upgrade_packages}, tx));
  TRY(environment::lock_builds(context,
                               {.lock_folder = os::parent_of(project.lock_path),
                                .previous = before ? &*before : nullptr,
                                .upgrade = options.upgrade,
                                .upgrade_packages = options.upgrade_packages}, lock, tx));
  const std::string text = python::write_lock(lock);
  TRY(write_lock_file(project, text));
  // From here on all is a function of the lock's bytes, as on every other machine: its order, too.
  std::vector<std::string> warnings;
  lock = TRY(python::parse_lock(text, os::name_of(project.lock_path), warnings));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  context.progress.end("", summary(lock, project, took.count()));
  return LockOutcome{std::move(lock), project.lock_path, true};
}

}  // namespace kist::engine
