#include "launch/paths.h"

#include "base/text.h"
#include "os/files.h"

namespace kist::launch {

std::string clean_path(std::string_view path) {
  std::string out;
  for (const std::string_view name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name == "..")
      out.resize(out.rfind('/') == std::string::npos ? 0 : out.rfind('/'));
    else
      (out += '/') += name;
  }
  return out.empty() ? "/" : out;
}

std::string host_path(std::string_view path, std::string_view folder) {
  std::string out;
  if (!path.starts_with('/')) out = folder;
  for (const std::string_view name : split(path, '/')) {
    if (name == "..") {
      if (auto real = os::real_path(out.empty() ? "/" : out)) out = std::move(*real);
      out = clean_path(out + "/..");
    } else {
      (out += '/') += name;
    }
  }
  return clean_path(out);
}

}  // namespace kist::launch
