// pull, push and what else talks to registries of others.
#pragma once

#include <array>

#include "cli/container_verbs.h"

namespace kist::cli {

namespace transfer_flags {
using container_flags::kHelp;
constexpr FlagSpec kJson{"--json", "", "", "print the result as JSON"};
constexpr FlagSpec kQuiet{"--quiet", "-q", "", "print no progress"};
constexpr FlagSpec kOnePlatform{"--platform", "", "OS/ARCH", "of several platforms, this one (default: this machine's)"};
constexpr FlagSpec kInsecure{"--insecure", "", "", "accept a registry without TLS, or whose certificate cannot be checked"};
constexpr FlagSpec kAllTags{"--all-tags", "-a", "", "all tags of the repository"};
constexpr FlagSpec kDryPush{"--dry-run", "", "", "say what would be sent"};
constexpr FlagSpec kUsername{"--username", "-u", "NAME", "who to be there"};
constexpr FlagSpec kPassword{"--password", "-p", "SECRET", "others see it in the list of processes: better --password-stdin"};
constexpr FlagSpec kPasswordStdin{"--password-stdin", "", "", "read the password from stdin"};
constexpr FlagSpec kNameOnly{"--quiet", "-q", "", "print the name only"};
constexpr FlagSpec kDryPull{"--dry-run", "", "", "say what would be fetched"};
inline constexpr std::array kPullFlags{kAllTags, kDryPull, kOnePlatform, kInsecure, kNameOnly, kHelp};
inline constexpr std::array kPushFlags{kDryPush, kInsecure, kJson, kNameOnly, kHelp};
inline constexpr std::array kLoginFlags{kUsername, kPassword, kPasswordStdin, kInsecure, kHelp};
constexpr FlagSpec kCopyPlatform{"--platform", "", "OS/ARCH", "of several platforms only this one (default: all)"};
constexpr FlagSpec kReferrers{"--referrers", "", "", "what refers to it, too: signatures and the like"};
constexpr FlagSpec kDryCopy{"--dry-run", "", "", "say how much would be copied"};
inline constexpr std::array kCopyFlags{kCopyPlatform, kDryCopy, kReferrers, kInsecure, kQuiet, kHelp};
inline constexpr std::array kTagsFlags{kInsecure, kJson, kHelp};
inline constexpr std::array kManifestFlags{kInsecure, kHelp};
inline constexpr std::array kOnlyHelp{kHelp};
}  // namespace transfer_flags

inline constexpr VerbSpec kTransferVerbs[] = {
    {"pull", "bring images from a registry", "NAME…", 1, 1000, false,
     "Layers that are here already are not asked for; what comes goes straight into the store, checked.\n"
     "An image appears whole or not at all. Registries and mirrors are those of registries.conf,\n"
     "credentials those of `kist login`, docker and podman.\n\n"
     "  kist pull registry.example/team/tool:1.2\n"
     "  kist pull --platform linux/arm64 registry.example/team/tool", transfer_flags::kPullFlags},
    {"push", "send an image to a registry", "IMAGE [NAME]", 1, 2, false,
     "Only what the registry does not have is sent. NAME: under another name than IMAGE's own.\n\n"
     "  kist push registry.example/team/tool:1.2\n"
     "  kist push --dry-run tool registry.example/team/tool:1.3", transfer_flags::kPushFlags},
    {"copy", "copy from one registry to another", "NAME NAME", 2, 2, false,
     "Images with all platforms, and artifacts of any type, bit for bit; nothing is kept here.\n\n"
     "  kist copy registry.example/team/tool:1.2 mirror.example/team/tool:1.2", transfer_flags::kCopyFlags},
    {"login", "keep credentials for a registry", "[REGISTRY]", 0, 1, false,
     "They are tried, then kept where docker and podman find them, too.\n\n"
     "  kist login registry.example\n"
     "  kist login -u ada --password-stdin registry.example < token", transfer_flags::kLoginFlags},
    {"logout", "forget credentials of a registry", "[REGISTRY]", 0, 1, false, "  kist logout registry.example", transfer_flags::kOnlyHelp},
    {"tags", "list the tags of a repository", "NAME", 1, 1, false,
     "`kist search-tags` is the same.\n\n"
     "  kist tags registry.example/team/tool", transfer_flags::kTagsFlags},
    {"search-tags", "the same as tags", "NAME", 1, 1, false, "  kist search-tags registry.example/team/tool", transfer_flags::kTagsFlags},
    {"manifest inspect", "show a manifest as the registry has it", "NAME", 1, 1, false,
     "  kist manifest inspect registry.example/team/tool:1.2", transfer_flags::kManifestFlags},
};

}  // namespace kist::cli
