// What `run` says of networks and ports.
#pragma once

#include "cli/flags.h"
#include "containers/record.h"
#include "launch/request.h"

namespace kist::container_cli {

/// Fills in network, networks, ports, exposed_ports (to which the image's were added before), dns and
/// extra hosts and links. `is_root`: ports without a network mean `bridge`, else `pasta`. `warning`: what was asked
/// for and has no effect. Errors: invalid, not_found (a link's container).
Result<void> read_network(const cli::Parsed& parsed, const launch::Host& host, bool is_root, containers::Record& record,
                          std::string& warning);

/// "NAME", or docker's long form "name=NAME,alias=db,ip=10.1.2.3". Errors: invalid.
Result<containers::NetworkRequest> parse_network(const std::string& text);

/// Errors: invalid: an address, a name, or what the default network does not give.
Result<void> check_wish(const containers::NetworkRequest& wish);

}  // namespace kist::container_cli
