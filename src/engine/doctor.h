// What this machine can do for kist, each with a fix for what it cannot.
#pragma once

#include <string>
#include <vector>

#include "environment/context.h"

namespace kist::engine {

struct Check {
  enum class State { good, warning, bad };
  std::string name;
  State state = State::good;
  std::string detail;
  std::string fix;  // A command or a clause; empty when there is nothing to do.
};

/// Runs all checks, the network's too. Never fails: a check that cannot be made is a bad one.
std::vector<Check> examine(const environment::Context& context, const http::Config& network);

}  // namespace kist::engine
