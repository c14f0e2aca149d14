// What --size says.
#include <sys/mman.h>

#include "base/text.h"
#include "container_cli/verb.h"

namespace kist::container_cli {

Sizes sizes_of(const Here& here, const containers::Record& record) {
  Sizes out;
  out.written = bytes_below(here.place.file_of(record.id, "upper"));
  // Counted perhaps by a child, so told through a file.
  const os::Fd told(::memfd_create("size", MFD_CLOEXEC));
  const auto count = [&](const containers::ContainerFiles& files) -> Result<void> {
    return os::write_all(told, fmt::format("{}", bytes_below(fmt::format("/proc/self/fd/{}", files.image().get()))));
  };
  if (!with_files(here, record, {.image = true}, count) || ::lseek(told.get(), 0, SEEK_SET) != 0) return out;
  if (const auto text = os::read_all(told, 64)) out.image = parse_number(*text).value_or(0);
  return out;
}

}  // namespace kist::container_cli
