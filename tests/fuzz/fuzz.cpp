#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/result.h"
#include "os/files.h"

namespace kist::fuzz {

void fail(std::string_view property) {
  std::fprintf(stderr, "property does not hold: %.*s\n", static_cast<int>(property.size()),
               property.data());
  std::abort();
}

std::string memory_file(std::string_view bytes) {
  static os::Fd file;
  if (!file.is_open()) file = os::Fd(::memfd_create("fuzz", MFD_CLOEXEC));
  expect(::ftruncate(file.get(), 0) == 0 && ::lseek(file.get(), 0, SEEK_SET) == 0, "memory file");
  expect(os::write_all(file, bytes).has_value(), "memory file");
  return fmt::format("/proc/self/fd/{}", file.get());
}

}  // namespace kist::fuzz

// `TARGET --seeds=FOLDER` writes the seeds there and ends.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view kOption = "--seeds=";
  for (int i = 1; i < *argc; ++i) {
    const std::string_view arg = (*argv)[i];
    if (!arg.starts_with(kOption)) continue;
    const std::string folder(arg.substr(kOption.size()));
    int number = 0;
    for (const std::string& seed : kist::fuzz::seeds()) {
      const std::string path = fmt::format("{}/seed{:02}", folder, number++);
      kist::fuzz::expect(kist::os::write_file_atomically(path, seed).has_value(), "writing seeds");
    }
    std::exit(0);
  }
  return 0;
}
