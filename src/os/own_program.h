// The file that is running now, and whether executing a path would execute it. Inside a container it
// must not be: there it could be opened by /proc/PID/exe, and written to once nobody runs it
// (CVE-2019-5736).
#pragma once

#include <cstdint>

namespace kist::os {

struct OwnProgram {
  uint64_t device = 0;
  uint64_t inode = 0;  // 0: none, nothing is refused.
};

/// None where it lies on a read-only mount: that is safe to execute.
OwnProgram own_program();

/// Whether `path` is that file, or a script for it, or one for such a script. An ELF file's loader is
/// not looked at: /proc/PID/exe shows the program. Allocates nothing, so it may follow a vfork.
bool executes(const OwnProgram& own, const char* path);

}  // namespace kist::os
