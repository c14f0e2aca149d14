#include "debian/library_packages.h"

#include "base/text.h"

namespace kist::debian {
namespace {

constexpr const char* kOfLibc[] = {"libc",    "libm",    "libpthread", "libdl",     "librt",
                                   "libutil", "libresolv", "libanl", "libthread_db"};

struct Exception {
  const char* soname;
  const char* package;
};
// Older than the rule, or in the package of another library.
constexpr Exception kExceptions[] = {{"libz.so.1", "zlib1g"},
                                     {"libnsl.so.1", "libc6"},
                                     {"libcrypto.so.3", "libssl3"},
                                     {"libpanelw.so.6", "libncursesw6"},
                                     {"libpanel.so.6", "libncurses6"},
                                     {"libformw.so.6", "libncursesw6"},
                                     {"libmenuw.so.6", "libncursesw6"}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// As policy 8.1 says: "libfoo.so.1" in libfoo1, "libfoo2.so.1" in libfoo2-1, "libfoo-2.so" in
// libfoo-2; lower-case, and '-' for '_'.
std::string package_of(std::string_view soname) {
  const size_t so = soname.find(".so");
  std::string name = to_lower(soname.substr(0, so));
  for (char& c : name)
    if (c == '_') c = '-';
  const std::string_view rest = soname.substr(so + 3);
  if (rest.empty()) return name;
  if (is_digit(name.back())) name += '-';
  return name + std::string(rest.substr(1));
}

}  // namespace

std::vector<std::string> packages_of_library(std::string_view soname) {
  const size_t so = soname.find(".so");
  if (!soname.starts_with("lib") || so == std::string_view::npos || so == 3 || soname.size() > 200) return {};
  const std::string_view rest = soname.substr(so + 3);
  if (!rest.empty() && (rest.size() < 2 || rest[0] != '.' || !is_digit(rest[1]))) return {};
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_";
  if (soname.find_first_not_of(kAllowed) != std::string_view::npos) return {};
  for (const char* own : kOfLibc)
    if (soname.substr(0, so) == own) return {};
  std::string package = package_of(soname);
  for (const Exception& exception : kExceptions)
    if (soname == exception.soname) package = exception.package;
  std::vector<std::string> out = {package + "t64", package};
  // "libdb-5.3.so" is in libdb5.3.
  const size_t dash = package.rfind('-');
  if (rest.empty() && dash != std::string::npos) out.push_back(package.erase(dash, 1));
  return out;
}

}  // namespace kist::debian
