// The network of one container, from before its first process to after its last.
#pragma once

#include <optional>
#include <string>

#include "containers/record.h"
#include "containers/spec_of.h"
#include "networks/attach.h"

namespace kist::containers {

class ContainerNetwork {
 public:
  /// `folder`: the container's own. `remembers`: it may be started again, and gets the same addresses.
  ContainerNetwork(networks::Home home, std::string folder, bool remembers)
      : home_(std::move(home)), folder_(std::move(folder)), remembers_(remembers) {}

  /// Makes what has to be there before the first process, and writes into `host` what of it the
  /// specification needs. Errors: those of networks::attach(), not_found (container:ID does not run).
  Result<void> prepare(const Record& record, SpecHost& host);
  /// While this lives, a process that is made is in the container's network.
  Result<std::optional<networks::Inhabited>> enter() const;
  /// After its end, or when it could not start. Twice is fine.
  void ended();
  /// As `ps` shows them.
  std::string ports(const Record& record) const;

 private:
  void remember() const;
  networks::Home home_;
  std::string folder_;
  bool remembers_;
  networks::Attachment attachment_;
};

}  // namespace kist::containers
