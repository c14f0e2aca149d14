// Networks as docker's JSON has them.
#pragma once

#include <boost/json.hpp>

#include "container_cli/verb.h"
#include "networks/endpoint.h"

namespace kist::container_cli {

/// One of `network inspect`.
boost::json::object network_json(const Here& here, const networks::Network& network, const std::string& driver);

/// `.NetworkSettings` of `inspect`: what a running container has.
boost::json::object network_settings(const Here& here, const containers::Record& record,
                                     const containers::Status& status);

/// The ports that lead into it now.
std::vector<networks::PublishedPort> published_ports(const Here& here, const containers::Record& record,
                                                     const containers::Status& status, bool& has_v6);

}  // namespace kist::container_cli
