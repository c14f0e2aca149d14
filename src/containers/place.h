// Where containers are kept, and how one is found.
//
//   $KIST_HOME/containers/
//     ids/<id>/record    what it was asked to be (JSON)
//     ids/<id>/status    how it is
//     ids/<id>/alive     locked by its supervisor for as long as that lives
//     ids/<id>/log …     what it printed
//     ids/<id>/upper     what it wrote
//     ids/<id>/control   socket of its supervisor
//     names/<name>       a link whose text is the id, in base64: making it takes the name, atomically
//
// Durability: none is promised; a power cut may lose a container's last state, never an image.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/record.h"
#include "containers/status.h"
#include "os/files.h"

namespace kist::containers {

class Place {
 public:
  /// `memory`: where the folders of containers are that nobody keeps (memory_folder.h).
  explicit Place(std::string kist_home, std::string memory = {});

  const std::string& folder() const { return folder_; }
  std::string folder_of(std::string_view id) const;
  std::string file_of(std::string_view id, std::string_view name) const;

  /// Writes record and status, and takes record.name (or, when that is empty, gives it a name that is
  /// free). A crash leaves a container that can be found by its id alone, a folder for sweep(), or
  /// nothing.
  /// `passing`: it goes when it ends, so its folder lies in memory, and ids/<id> is a link to it.
  /// Errors: exists (the name is taken, and by whom), invalid (a name with odd characters).
  Result<void> make(Record& record, Status& status, bool passing = false) const;
  /// Removes all of it. The name goes first.
  Result<void> remove(const Record& record) const;
  /// Removes the folders that are no containers: of what was killed while it made or removed one.
  void sweep() const;
  Result<void> rename(Record& record, const std::string& name) const;

  /// The id for a name, an id, or the beginning of an id that fits one container only.
  /// Errors: not_found ("no such container"), invalid (several begin so).
  Result<std::string> find(std::string_view name_or_id) const;
  Result<std::vector<std::string>> ids() const;

  Result<Record> record(std::string_view id) const;
  Result<void> write(const Record& record) const;
  /// As it is now: where the supervisor died without a word, what can still be known.
  Result<Status> status(std::string_view id) const;
  Result<void> write(const Status& status) const;

  /// Held by whoever looks after the container. Empty: somebody else does.
  Result<std::optional<os::Fd>> look_after(std::string_view id) const;
  /// The same for who starts it. A container that has just ended is looked after until its last words
  /// are written, which this waits for. Errors: invalid ("is running already").
  Result<os::Fd> take_over(const Record& record) const;
  bool is_looked_after(std::string_view id) const;

 private:
  /// One has a status: it is written last, and goes first.
  bool is_container(std::string_view id) const;
  Result<void> take_name(const std::string& name, const std::string& id) const;
  Result<void> make_folder(const std::string& id, bool passing) const;
  Result<void> remove_folder(std::string_view id) const;
  std::string folder_;
  std::string memory_;
};

/// 64 hexadecimal digits from the kernel's random numbers.
Result<std::string> new_id();
/// As docker: letters, digits, and _ . - after the first.
Result<void> check_name(std::string_view name);

}  // namespace kist::containers
