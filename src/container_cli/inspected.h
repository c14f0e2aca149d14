// What `inspect` shows, in docker's shape.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string>

#include "container_cli/verb.h"

namespace kist::container_cli {

/// Errors: not_found.
Result<boost::json::object> inspected_container(const Here& here, const std::string& name, bool with_size);
Result<boost::json::object> inspected_network(const Here& here, const std::string& name);
Result<boost::json::object> inspected_volume(const Here& here, const std::string& name);

/// What `ps` shows of it, but for its size.
boost::json::object container_fields(const Here& here, const containers::Status& status);

/// Shows all that are there, as --format says, and fails for the rest. The exit status.
Result<int> inspect_all(const cli::Parsed& parsed, const Here& here,
                        const std::function<Result<boost::json::object>(const std::string& name)>& look);

}  // namespace kist::container_cli
