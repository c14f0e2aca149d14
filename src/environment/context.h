// What resolving and assembling work with: the machine, the store, the network, and somebody to tell.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/progress.h"
#include "debian/apt_config.h"
#include "http/client.h"
#include "launch/request.h"
#include "os/workers.h"
#include "store/store.h"

namespace kist::environment {

/// References outlive every use. Threads: as its parts.
struct Context {
  const launch::Host& host;
  const store::Store& store;
  http::Client& client;
  Progress& progress;
  os::Workers& workers;
  /// Reads the host's apt configuration when it is first needed; most runs never do.
  std::function<Result<debian::AptConfig>()> apt;
  /// "NAME=value" for uv: indexes, certificates, proxies, as the host's uv and pip have them.
  std::vector<std::string> index_variables;
  std::vector<std::string> index_folders;  // Local folders with packages (find-links).
  /// May hold credentials. The index to use when the host configures none; may be empty.
  std::string default_index;
  const http::Config* network = nullptr;  // For what `client` cannot do. Never null in the program.
  std::string default_registry;            // Of the build; may be empty.
  int64_t now_s = 0;
  bool offline = false;

  std::string cache(std::string_view name) const { return os::join(store.home(), os::join("cache", name)); }
};

}  // namespace kist::environment
