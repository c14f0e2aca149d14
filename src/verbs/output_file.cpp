#include "verbs/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "os/files.h"

namespace kist::verbs {

Result<void> write_whole_file(const std::string& path,
                              const std::function<Result<void>(const store::Output&)>& write) {
  const std::string partial = path + ".kist-partial";
  os::Fd file = TRY(os::open_file(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644));
  Result<void> done = write([&](std::string_view bytes) { return os::write_all(file, bytes); });
  if (done) done = std::move(file).close();
  if (done && std::rename(partial.c_str(), path.c_str()) != 0)
    done = Error::from_errno(errno, "rename '{}' to '{}'", printable(partial), printable(path));
  if (!done) ::unlink(partial.c_str());
  return done;
}

}  // namespace kist::verbs
