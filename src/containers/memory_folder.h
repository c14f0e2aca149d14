// A folder in memory, where what need not outlive the machine's running costs no disk.
#pragma once

#include <string>

namespace kist::containers {

/// Ours alone (mode 0700): "kist" in `runtime_dir` ($XDG_RUNTIME_DIR) or /run, "kist-UID" in /dev/shm:
/// the first that lies in memory. `otherwise` where there is none, or where somebody else got there
/// first. Made when missing; emptied by the next boot.
std::string memory_folder(const std::string& runtime_dir, const std::string& otherwise);

}  // namespace kist::containers
