// Containers of a network find each other by the lines in each other's hosts file, which is written in
// place: a container has that very file mounted.
#pragma once

#include <string>
#include <vector>

#include "networks/endpoint.h"

namespace kist::networks {

/// What stands after the container's own part: itself on each of its networks, then who else is there.
/// The default network tells nobody's name, as docker's, but to whom is linked to it. Pure.
std::string names_text(const std::vector<Endpoint>& own, const std::vector<Endpoint>& others);

/// Brings the hosts files of all members up to date. Under Home::lock(). A file that cannot be written
/// is passed over: it is one container's loss.
void write_names(const Home& home);
/// For a container on networks that tell nobody's name.
void write_own_names(const std::vector<Endpoint>& own);

}  // namespace kist::networks
