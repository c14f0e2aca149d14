#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kist {

Code Error::code_of_errno(int err) {
  switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
      return Code::not_found;
    case EEXIST:
    case ENOTEMPTY:
      return Code::exists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::denied;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case EISDIR:
    case E2BIG:
      return Code::invalid;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOEXEC:
      return Code::unsupported;
    case EIO:
      return Code::corrupt;
    default:
      return Code::unavailable;
  }
}

namespace {

// What helps wherever it happens; callers that know better overwrite it.
const char* remedy_of_errno(int err) {
  switch (err) {
    case ENOSPC:
    case EDQUOT:
      return "`df -h` shows which disk is full; `kist gc` frees what the store does not need";
    case EROFS:
      return "a store that can be written to is needed: `export KIST_HOME=/a/folder/of/yours`";
    case EMFILE:
    case ENFILE:
      return "`ulimit -n 4096`, then again";
    default:
      return "";
  }
}

}  // namespace

Error Error::make_from_errno(int err, std::string what) {
  // strerrordesc_np is thread-safe and not translated; it is null for numbers that do not exist.
  const char* text = ::strerrordesc_np(err);
  return (text != nullptr ? Error(code_of_errno(err), "{}: {}", what, text)
                          : Error(code_of_errno(err), "{}: errno {}", what, err))
      .hint(remedy_of_errno(err));
}

std::string Error::render() const {
  std::string out = fmt::format("error: {}\n", frames_.back());
  for (auto it = frames_.rbegin() + 1; it != frames_.rend(); ++it)
    out += fmt::format("  cause: {}\n", *it);
  if (!hint_.empty()) out += fmt::format("\nhint: {}\n", hint_);
  return out;
}

void assertion_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "kist: bug: assertion '%s' failed at %s:%d\n", what, file, line);
  std::abort();
}

}  // namespace kist
