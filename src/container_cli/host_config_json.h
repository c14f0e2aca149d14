// What a container was asked of its host, in docker's shape: `.HostConfig` of `inspect`.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "container_cli/verb.h"

namespace kist::container_cli {

boost::json::object host_config_of(const Here& here, const containers::Record& record);

// How JSON is made of what records hold.
boost::json::string json_text(std::string_view value);
boost::json::array json_list(const std::vector<std::string>& values);
/// As docker shows a list that nobody gave.
boost::json::value null_if_empty(const std::vector<std::string>& values);

}  // namespace kist::container_cli
