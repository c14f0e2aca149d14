// A registry that runs: storage, protocol, server, and what has to be done from time to time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/client.h"
#include "registry_server/config.h"

namespace kist::registry_server {

/// Told by who starts it.
struct ServiceEvents {
  std::function<void(const std::vector<std::string>& urls)> on_listening;
  std::function<void(const Error& error)> on_error;       // The service goes on.
  std::function<void(const GcReport& report)> on_collected;
};

class Service {
 public:
  /// Opens the storage, removes what deaths have left, binds. `network`: how upstream registries and
  /// S3 are reached. Errors: those of the storage, of the addresses, of certificates and users.
  static Result<std::unique_ptr<Service>> open(Config config, const http::Config& network, ServiceEvents events);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Serves until SIGTERM or SIGINT, or stop(). Call once.
  void run();
  void stop();
  /// "http://127.0.0.1:5000"
  std::vector<std::string> urls() const;

 private:
  struct State;
  explicit Service(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The storage that a configuration names; the staging folder is below config.root either way.
Result<std::unique_ptr<Storage>> open_storage(const Config& config, const http::Config& network);

/// One collection, beside a service that may run on the same folder.
Result<GcReport> collect_once(const Config& config, const http::Config& network);

}  // namespace kist::registry_server
