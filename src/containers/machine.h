// The machine that a supervisor supervises in life: a container of the runtime.
#pragma once

#include <string>

#include "bundle/container.h"
#include "containers/container_network.h"
#include "containers/place.h"
#include "containers/root_mount.h"
#include "containers/spec_of.h"
#include "containers/supervisor.h"
#include "containers/volumes.h"

namespace kist::containers {

/// Of the container's root, and where it is kept.
struct MachineHost {
  SpecHost spec;
  RootMount root;
  bundle::Runtime runtime;
  Place place;
  Volumes volumes;
  networks::Home networks;
};

class Container : public Machine {
 public:
  explicit Container(MachineHost host)
      : host_(std::move(host)), network_(host_.networks, host_.place, host_.spec.folder, !host_.root.upper.empty()) {}
  Result<Started> start(const Record& record, const Streams& streams) override;
  Result<void> signal(int number) override;
  void ended(Status& status) override;
  Result<Started> probe(const Record& record, const std::vector<std::string>& args,
                        const os::Fd& output) override;
  void add_to(std::vector<pollfd>& events) const override { network_.add_to(events); }
  void look_at(const std::vector<pollfd>& events, size_t first) override { network_.look_at(events, first); }
  int64_t deadline() const override { return network_.deadline(); }

 private:
  Result<void> open_volumes(const Record& record);
  MachineHost host_;
  ContainerNetwork network_;
  Result<bundle::Created> make(const Record& record, const bundle::Spec& spec, bundle::CreateOptions options);

  std::string id_;
  std::vector<std::string> volumes_;  // Of the record, by their names.
  pid_t pid_ = 0;
};

/// Copies what the image has where an empty volume goes into the volume, as docker does. `root`: of the container.
/// Errors: invalid (a volume on a file), those of copying.
Result<void> fill_volumes(const MachineHost& host, const Record& record, const os::Fd& root);

/// Whether /sys/fs/cgroup is version 2.
bool has_unified_cgroups();

/// Where the runtime keeps the state of all containers of this store.
bundle::Runtime runtime_of(const std::string& memory_folder);

/// A process for `exec` in a running container. `user` empty: the container's own.
struct ExecRequest {
  std::vector<std::string> args;
  std::vector<std::string> env;  // Further variables.
  std::string user;
  std::string working_dir;
  bool tty = false;
  bool privileged = false;
};
/// Starts it; its parent is this process. `streams` as for bundle::exec().
/// Errors: invalid (the container does not run), those of find_account() and bundle::exec().
Result<bundle::Created> exec(const bundle::Runtime& runtime, const Record& record, const Status& status,
                             const ExecRequest& request, const bundle::StandardStreams& streams);

}  // namespace kist::containers
