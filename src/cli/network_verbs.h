// `kist network …`: docker's verbs of the same name.
#pragma once

#include <array>

#include "cli/container_verbs.h"

namespace kist::cli {

namespace network_flags {
using container_flags::kHelp;
using container_flags::kNoTrunc;
using container_flags::kQuiet;
constexpr FlagSpec kDriver{"--driver", "-d", "bridge", "what it is made of (default, and all there is: bridge)"};
constexpr FlagSpec kSubnet{"--subnet", "", "ADDRESS/BITS", "its addresses; one of IPv4, one of IPv6 (default: chosen)", true};
constexpr FlagSpec kGateway{"--gateway", "", "ADDRESS", "of the host on it (default: the first)", true};
constexpr FlagSpec kIpRange{"--ip-range", "", "ADDRESS/BITS", "give containers addresses from this part only", true};
constexpr FlagSpec kInternal{"--internal", "", "", "no way out, and none in"};
constexpr FlagSpec kIpv6{"--ipv6", "", "", "IPv6 too"};
constexpr FlagSpec kAttachable{"--attachable", "", "", "taken for docker's sake: all are"};
constexpr FlagSpec kLabel{"--label", "", "KEY=VALUE", "a label of the network", true};
constexpr FlagSpec kOpt{"--opt", "-o", "KEY=VALUE", "com.docker.network.bridge.name, com.docker.network.driver.mtu", true};
constexpr FlagSpec kFilter{"--filter", "-f", "KEY=VALUE", "only those: name, id, driver, label, type, dangling", true};
constexpr FlagSpec kFormat{"--format", "", "TEMPLATE", "`json`, or a Go template: '{{.Name}} {{.Driver}}'"};
constexpr FlagSpec kForceRemove{"--force", "-f", "", "one that is not there is no error"};
constexpr FlagSpec kForcePrune{"--force", "-f", "", "do not ask"};
constexpr FlagSpec kPruneFilter{"--filter", "", "KEY=VALUE", "only those: label, until", true};
constexpr FlagSpec kForceDisconnect{"--force", "-f", "", "taken for docker's sake"};
constexpr FlagSpec kAlias{"--alias", "", "NAME", "one more name on the network", true};
constexpr FlagSpec kIp4{"--ip", "", "ADDRESS", "its IPv4 address on the network"};
constexpr FlagSpec kIp6{"--ip6", "", "ADDRESS", "its IPv6 address on the network"};
constexpr FlagSpec kVerbose{"--verbose", "-v", "", "taken for docker's sake: all is always shown"};

inline constexpr std::array kCreate{kDriver,   kSubnet,     kGateway, kIpRange, kInternal, kIpv6,
                                    kAttachable, kLabel, kOpt, kHelp};
inline constexpr std::array kList{kFilter, kFormat, kQuiet, kNoTrunc, container_flags::kNoHeading, kHelp};
inline constexpr std::array kInspect{container_flags::kInspectFormat, kVerbose, kHelp};
inline constexpr std::array kRemove{kForceRemove, kHelp};
inline constexpr std::array kPrune{kForcePrune, kPruneFilter, kHelp};
inline constexpr std::array kConnect{kAlias, kIp4, kIp6, kHelp};
inline constexpr std::array kDisconnect{kForceDisconnect, kHelp};
}  // namespace network_flags

inline constexpr VerbSpec kNetworkVerbs[] = {
    {"network create", "make a network", "NAME", 1, 1, false,
     "Containers on it reach each other, by name too; other networks' do not reach them. Only root\n"
     "has networks; a plain user's container gets one of its own by `--network pasta`.\n\n"
     "  kist network create lab\n"
     "  kist run -d --name db --network lab --image postgres\n"
     "  kist network create --internal --subnet 10.123.0.0/24 quiet", network_flags::kCreate},
    {"network ls", "list networks", "", 0, 0, false,
     "  kist network ls\n"
     "  kist network ls --filter driver=bridge --format '{{.Name}}'", network_flags::kList},
    {"network inspect", "show all about networks as JSON", "NAME…", 1, 1000, false,
     "  kist network inspect lab --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}'", network_flags::kInspect},
    {"network exists", "tell by the exit status whether there is such a network", "NAME", 1, 1, false,
     "0: there is; 1: there is none. Prints nothing; as podman's.\n\n"
     "  kist network exists lab || kist network create lab", container_flags::kOnlyHelp},
    {"network rm", "remove networks", "NAME…", 1, 1000, false, "  kist network rm lab", network_flags::kRemove},
    {"network prune", "remove networks that no container names", "", 0, 0, false,
     "The default network stays; its bridge goes until it is needed again.\n\n"
     "  kist network prune -f", network_flags::kPrune},
    {"network connect", "put a container onto one more network", "NAME CONTAINER", 2, 2, false,
     "At once, if it runs.\n\n"
     "  kist network connect --alias db lab web", network_flags::kConnect},
    {"network disconnect", "take a container off a network", "NAME CONTAINER", 2, 2, false,
     "  kist network disconnect lab web", network_flags::kDisconnect},
};

}  // namespace kist::cli
