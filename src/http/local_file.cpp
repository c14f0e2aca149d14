#include "http/local_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "os/files.h"

namespace kist::http {
namespace {

constexpr std::string_view kScheme = "file:";
constexpr size_t kCopyBytes = 1 << 20;

Result<void> copy_all(const std::string& path, const Download& file, PartFile& part,
                      const std::function<void(uint64_t)>& on_progress,
                      const std::atomic<bool>& stop) {
  const os::Fd fd = TRY(os::open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat '{}'", printable(path));
  if (!S_ISREG(st.st_mode)) return Error(Code::invalid, "'{}' is not a file", printable(path));
  if (part.size_bytes() > 0) TRY(part.restart());
  const uint64_t most = file.size_bytes.value_or(file.limit_bytes);
  std::vector<char> buffer(kCopyBytes);
  while (!stop) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read '{}'", printable(path));
    if (got == 0) return part.finish();
    if (part.size_bytes() + static_cast<uint64_t>(got) > most) {
      return Error(file.size_bytes ? Code::corrupt : Code::invalid,
                   "'{}' has more than the {} bytes wanted", printable(path), most);
    }
    TRY(part.append(std::string_view(buffer.data(), static_cast<size_t>(got))));
    on_progress(part.size_bytes());
  }
  return Error(Code::unavailable, "stopped");
}

}  // namespace

bool is_local_url(std::string_view url) {
  return to_lower(url.substr(0, kScheme.size())) == kScheme;
}

Result<std::string> local_path(std::string_view url) {
  std::string_view rest = url.substr(std::min(kScheme.size(), url.size()));
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view host = rest.substr(0, slash);
    if (!host.empty() && to_lower(host) != "localhost") {
      return Error(Code::invalid, "'{}' names the host '{}', want none or localhost", redact(url),
                   printable(host));
    }
    rest.remove_prefix(slash);
  }
  rest = rest.substr(0, rest.find_first_of("?#"));
  const auto path = percent_decode(rest);
  if (!path || path->find('\0') != std::string::npos || !path->starts_with('/')) {
    return Error(Code::invalid, "'{}' does not name an absolute path", redact(url))
        .hint("write it as `file:///folder/file`, other bytes as %NN");
  }
  return *path;
}

std::optional<Failure> copy_to_part(const std::string& url, const Download& file, PartFile& part,
                                    const std::function<void(uint64_t)>& on_progress,
                                    const std::atomic<bool>& stop) {
  auto path = local_path(url);
  if (!path) return Failure{std::move(path).error()};
  auto copied = copy_all(*path, file, part, on_progress, stop);
  if (!copied) return Failure{std::move(copied).error()};
  return std::nullopt;
}

}  // namespace kist::http
