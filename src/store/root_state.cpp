#include "store/root_state.h"

#include <fcntl.h>

#include "base/text.h"
#include "os/files.h"
#include "store/layout.h"

namespace kist::store {

bool is_root_durable(const std::string& folder) {
  return os::exists(os::join(folder, kDurableFile));
}

bool is_root_usable(const std::string& folder) {
  if (is_root_durable(folder)) return true;
  const auto made = os::read_file(os::join(folder, kBootFile), 4096);
  const std::string now = boot_id();
  return made && !now.empty() && trim(*made) == now;
}

Result<void> mark_root_made(const std::string& folder) {
  return os::write_file_atomically(os::join(folder, kBootFile), boot_id() + "\n");
}

void mark_root_durable(const std::string& folder) {
  (void)os::open_file(os::join(folder, kDurableFile), O_WRONLY | O_CREAT, 0644).has_value();
}

}  // namespace kist::store
