// The folders of writers: what tells a live transaction from one whose process died, and what is
// done about the dead. Module-private.
#pragma once

#include <string>
#include <vector>

#include "os/files.h"

namespace kist::store {

/// The folder of one transaction: staging/<pid>.<random>/, with a locked file `own` in it.
class Staging {
 public:
  static Result<Staging> make(const std::string& home);

  const std::string& path() const { return path_; }
  /// Lets go of the folder and removes it. Failing to is harmless: it is then found dead.
  void remove() &&;
  /// Empties the folder but leaves it for others to see: what this transaction wrote elsewhere is
  /// not durable, and after a power cut this is what tells so.
  void abandon() &&;

 private:
  Staging(std::string path, os::FileLock own) : path_(std::move(path)), own_(std::move(own)) {}
  std::string path_;
  os::FileLock own_;
};

/// Folders whose process died in this run of the kernel. What they wrote is whole, since the page
/// cache survived, but perhaps not durable: sync the file system, then remove them.
std::vector<std::string> find_dead(const std::string& home);
/// Removes those of `folders` that are still dead.
void remove_dead(const std::vector<std::string>& folders);

/// Deals with folders that an earlier run of the kernel left: every object and tree that was
/// changed since the first of them began is hashed, and dropped when it is not what its name says.
/// Costs one listing of a small folder when there are none. Errors: those of reading the disk.
Result<void> recover(const std::string& home);

/// Processes that write at this moment, for messages: "kist lock (pid 123)".
std::vector<std::string> describe_writers(const std::string& home);

}  // namespace kist::store
