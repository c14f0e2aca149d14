// The person's files while kist changes them: whatever happens, they end as they were or as wanted.
#pragma once

#include <string>
#include <vector>

#include "engine/project.h"
#include "os/files.h"

namespace kist::engine {

struct EditFiles;

/// Waits for others that prepare or edit the project, then puts back what one that was killed left.
Result<os::FileLock> guard_edits(const Project& project);

/// Where it is written down what is being changed: the guard's environment's own.
std::string edit_journal(const Project& project);

/// Keeps the very files (by a second name beside each, so also owner and times) until it is clear
/// that the change stays. They are put back by restore(), by ^C and other polite signals, and, if
/// this process is killed or the machine stops, by recover_edits() of the next kist.
///
///   EditBackup backup = TRY(EditBackup::begin(edit_journal(project), paths));
///   … replace the files, by rename …
///   worked ? std::move(backup).keep() : std::move(backup).restore();
///
/// One at a time in a process; the caller holds the project's guard. Files that are not there yet
/// are removed again. Threads: one.
class EditBackup {
 public:
  /// Errors: denied, unavailable (disk full).
  static Result<EditBackup> begin(std::string journal, std::vector<std::string> paths);
  EditBackup(EditBackup&& other) noexcept;
  EditBackup& operator=(EditBackup&&) = delete;
  ~EditBackup();  // Restores.

  Result<void> restore() &&;
  void keep() &&;

 private:
  EditBackup() = default;
  EditFiles* files_ = nullptr;  // Also the signal handler's: see the .cpp.
};

/// Puts back what a kist left that was killed while it changed files. Costs one look when there is
/// nothing. Returns whether there was something. Under the project's guard.
Result<bool> recover_edits(const std::string& journal);

}  // namespace kist::engine
