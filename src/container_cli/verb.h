// What the verbs share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "cli/terminal.h"
#include "container_cli/filters.h"
#include "containers/files.h"
#include "containers/lifecycle.h"
#include "containers/notes.h"
#include "containers/place.h"
#include "launch/image.h"
#include "launch/request.h"

namespace kist::container_cli {

inline constexpr int kKistFailed = 125;  // As docker.

struct Here {
  const launch::Host& host;
  containers::Place place;
  containers::Volumes volumes;
  bundle::Runtime runtime;
  networks::Home networks;
  cli::Terminal& terminal;

  /// Errors: not_found.
  Result<containers::Record> record(std::string_view name_or_id) const;
};

Here here_of(const launch::Host& host, cli::Terminal& terminal);

/// All that starting needs. Errors: not_found (the image is gone), unavailable (its root is).
Result<containers::StartContext> start_context(const Here& here, const containers::Record& record,
                                               const launch::ReadyImage& image, bool keeps_writes);
/// The image of a container that was made before.
Result<launch::ReadyImage> image_of(const Here& here, const containers::Record& record);

/// Shows `body` the files of a container, in containers::with_ids_of().
/// Errors: those of start_context(), ContainerFiles::open() and `body`.
Result<void> with_files(const Here& here, const containers::Record& record, const containers::FilesWanted& wanted,
                        const std::function<Result<void>(const containers::ContainerFiles&)>& body);
/// "web:/etc/passwd" as its two parts; the first is empty for a path of the host.
std::pair<std::string, std::string> split_container_path(const std::string& text);

/// Calls `work` for each container that is named; prints the names of those that were done, and the
/// errors. 1 if there was any.
int for_each(const Here& here, const std::vector<std::string>& names,
             const std::function<Result<void>(const containers::Record&)>& work);

/// The filters of `ps`. Errors: invalid (a key, a value).
Result<Filters> container_filters(const cli::Parsed& parsed);
Result<bool> fits_container(const Here& here, const containers::Status& status, const Filters& filters);

/// With what the networks know of it. Errors: invalid (it runs, and not `force`).
Result<void> remove_container(const Here& here, const containers::Record& record, const containers::RemoveHow& how);
/// Where -it was asked for and there is no terminal.
Error no_terminal();

struct Sizes {
  uint64_t written = 0;  // By the container, on disk.
  uint64_t image = 0;    // Of its root, as far as it can be looked into.
};
Sizes sizes_of(const Here& here, const containers::Record& record);

struct Pruned {
  std::vector<std::string> removed;
  uint64_t bytes = 0;
};
/// Containers that do not run. Errors: invalid (a filter).
Result<Pruned> prune_containers(const Here& here, const Filters& filters);
/// Volumes that no container has; without `all` only those without a name.
Result<Pruned> prune_volumes(const Here& here, const Filters& filters, bool all);
/// Networks that no container has. Of the default one the bridge goes, until it is needed again. Root's alone.
Result<Pruned> prune_networks(const Here& here, const Filters& filters);

// One function a verb: the exit status.
Result<int> ps_verb(const cli::Parsed& parsed, const Here& here);
Result<int> logs_verb(const cli::Parsed& parsed, const Here& here);
Result<int> exec_verb(const cli::Parsed& parsed, const Here& here);
Result<int> attach_verb(const cli::Parsed& parsed, const Here& here);
Result<int> start_verb(const cli::Parsed& parsed, const Here& here);
Result<int> stop_verb(const cli::Parsed& parsed, const Here& here);
Result<int> restart_verb(const cli::Parsed& parsed, const Here& here);
Result<int> kill_verb(const cli::Parsed& parsed, const Here& here);
Result<int> wait_verb(const cli::Parsed& parsed, const Here& here);
Result<int> remove_verb(const cli::Parsed& parsed, const Here& here);
Result<int> pause_verb(const cli::Parsed& parsed, const Here& here);
Result<int> unpause_verb(const cli::Parsed& parsed, const Here& here);
Result<int> rename_verb(const cli::Parsed& parsed, const Here& here);
Result<int> inspect_verb(const cli::Parsed& parsed, const Here& here);
Result<int> top_verb(const cli::Parsed& parsed, const Here& here);
Result<int> stats_verb(const cli::Parsed& parsed, const Here& here);
Result<int> update_verb(const cli::Parsed& parsed, const Here& here);
Result<int> copy_verb(const cli::Parsed& parsed, const Here& here);
Result<int> events_verb(const cli::Parsed& parsed, const Here& here);
Result<int> container_prune_verb(const cli::Parsed& parsed, const Here& here);
Result<int> container_exists_verb(const cli::Parsed& parsed, const Here& here);
Result<int> diff_verb(const cli::Parsed& parsed, const Here& here);
Result<int> volume_create_verb(const cli::Parsed& parsed, const Here& here);
Result<int> volume_list_verb(const cli::Parsed& parsed, const Here& here);
Result<int> volume_inspect_verb(const cli::Parsed& parsed, const Here& here);
Result<int> volume_exists_verb(const cli::Parsed& parsed, const Here& here);
Result<int> volume_remove_verb(const cli::Parsed& parsed, const Here& here);
Result<int> volume_prune_verb(const cli::Parsed& parsed, const Here& here);
Result<int> port_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_create_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_list_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_inspect_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_exists_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_remove_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_prune_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_connect_verb(const cli::Parsed& parsed, const Here& here);
Result<int> network_disconnect_verb(const cli::Parsed& parsed, const Here& here);

/// Exit status of podman's `exists`: 0 and 1; what cannot be known is an error.
template <class T>
Result<int> exists_status(const Result<T>& found) {
  if (found) return 0;
  if (found.error().code() == Code::not_found) return 1;
  return found.error();
}

/// Stays with a container that runs: its output here, our input there. `attached` is a connection
/// that has sent Frame::attach already, or none yet.
struct AttachOptions {
  bool input = true;
  bool output = true;
  bool error_output = true;
  bool pass_signals = true;
  std::string detach_keys = "ctrl-p,ctrl-q";
};
/// Its exit status; 0 when it was left running. Errors: not_found (nobody looks after it).
Result<int> attach(const Here& here, const containers::Record& record, const AttachOptions& options,
                   os::Fd connection);
/// Errors: invalid.
Result<std::string> parse_detach_keys(std::string_view text);

}  // namespace kist::container_cli
