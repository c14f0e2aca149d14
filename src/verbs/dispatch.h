// From a command line to the verb that does it.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"
#include "environment/context.h"
#include "http/client.h"

namespace kist::verbs {

/// What main/ found out about the machine.
struct Machine {
  launch::Host host;
  http::Config network;
  std::vector<std::string> index_variables;  // For uv.
  std::vector<std::string> index_folders;    // Local find-links.
  std::string default_index;                 // May hold credentials.
  std::string default_registry;              // Of the build; may be empty.
  std::string starter;                       // kist, which starts what is ready.
};

/// `args`: without the program's name. Returns the exit status.
int dispatch(const std::vector<std::string>& args, const Machine& machine);

}  // namespace kist::verbs
