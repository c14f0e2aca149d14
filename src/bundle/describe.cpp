// What is recorded of a container before anything of it is made.
#include <linux/sched.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "bundle/making.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

std::string now_text() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts = {};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[64];
  const size_t size = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:09}Z", std::string_view(text, size), now.tv_nsec);
}

// Reads /etc/passwd itself: in a static program getpwuid would load shared objects.
std::string owner_name() {
  if (::getuid() == 0) return "root";
  constexpr uint64_t kMost = 16u << 20;
  const auto text = os::read_file("/etc/passwd", kMost);
  for (const std::string_view line : text ? lines(*text) : std::vector<std::string_view>()) {
    const auto fields = split(line, ':');
    if (fields.size() > 2 && parse_number(fields[2]) == ::getuid()) return std::string(fields[0]);
  }
  return fmt::format("#{}", ::getuid());
}

Result<std::string> root_of(const Spec& spec, const std::string& bundle) {
  const std::string root =
      spec.root_path[0] == '/' ? spec.root_path : os::join(bundle, spec.root_path);
  auto real_root = os::real_path(root);
  if (!real_root) return Error(real_root.error()).context("root.path");
  if (!os::is_folder(*real_root))
    return Error(Code::invalid, "root.path: '{}' is not a folder", printable(root));
  if (*real_root == "/")
    return Error(Code::invalid, "root.path: '/' is the host's own root");
  return std::move(*real_root);
}

}  // namespace

Result<Record> describe(const Spec& spec, const CreateOptions& options, const std::string& id) {
  const std::string& folder = options.bundle;
  Record record;
  record.state = {.id = id,
                  .oci_version = spec.version,
                  .status = Status::creating,
                  .bundle = TRY(os::real_path(folder.empty() ? "." : folder), "the bundle"),
                  .root = {},
                  .created = now_text(),
                  .owner = owner_name(),
                  .annotations = spec.annotations};
  if (!options.mount_root) record.state.root = TRY(root_of(spec, record.state.bundle));
  for (const Namespace& ns : spec.namespaces)
    if (ns.path.empty()) record.namespaces |= ns.flag;
  record.chrooted = options.no_pivot || spec.find_namespace(CLONE_NEWNS) == nullptr;
  return record;
}

}  // namespace kist::bundle
