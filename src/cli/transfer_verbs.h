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
constexpr FlagSpec kTlsVerify{"--tls-verify", "", "", "podman's and skopeo's word: --tls-verify=false is --insecure"};
constexpr FlagSpec kCreds{"--creds", "", "USER:PASSWORD", "these instead of those that are kept; others see them in the list of processes"};
constexpr FlagSpec kFromCreds{"--src-creds", "", "USER:PASSWORD", "for FROM, instead of those that are kept"};
constexpr FlagSpec kToCreds{"--dest-creds", "", "USER:PASSWORD", "for TO"};
constexpr FlagSpec kAuthFile{"--authfile", "", "FILE", "credentials in this file, and no other: $REGISTRY_AUTH_FILE"};
constexpr FlagSpec kGetLogin{"--get-login", "", "", "print who is logged in"};
constexpr FlagSpec kAllLogins{"--all", "-a", "", "of all registries"};
constexpr FlagSpec kRate{"--limit-rate", "", "SIZE", "at most so many bytes a second in each direction, for example 5m"};
constexpr FlagSpec kAllTags{"--all-tags", "-a", "", "all tags of the repository"};
constexpr FlagSpec kDryPush{"--dry-run", "", "", "say what would be sent"};
constexpr FlagSpec kUsername{"--username", "-u", "NAME", "who to be there"};
constexpr FlagSpec kPassword{"--password", "-p", "SECRET", "others see it in the list of processes: better --password-stdin"};
constexpr FlagSpec kPasswordStdin{"--password-stdin", "", "", "read the password from stdin"};
constexpr FlagSpec kNameOnly{"--quiet", "-q", "", "print the name only"};
constexpr FlagSpec kDryPull{"--dry-run", "", "", "say what would be fetched"};
inline constexpr std::array kPullFlags{kAllTags, kDryPull, kRate, kOnePlatform, kInsecure, kTlsVerify, kCreds, kAuthFile, kNameOnly, kHelp};
constexpr FlagSpec kPushAllTags{"--all-tags", "-a", "", "all tags that the repository has here"};
inline constexpr std::array kPushFlags{kPushAllTags, kDryPush, kRate, kInsecure, kTlsVerify, kCreds, kAuthFile, kJson, kNameOnly, kHelp};
inline constexpr std::array kLoginFlags{kUsername, kPassword, kPasswordStdin, kGetLogin, kInsecure, kTlsVerify, kAuthFile, kHelp};
constexpr FlagSpec kCopyPlatform{"--platform", "", "OS/ARCH", "of several platforms only this one (default: all)"};
constexpr FlagSpec kReferrers{"--referrers", "", "", "what refers to it, too: signatures and the like"};
constexpr FlagSpec kDryCopy{"--dry-run", "", "", "say how much would be copied"};
constexpr FlagSpec kAllCopied{"--all-tags", "-a", "", "all tags of the repository, or all named ones of the layout"};
inline constexpr std::array kCopyFlags{kAllCopied, kCopyPlatform, kDryCopy, kRate, kReferrers, kInsecure, kTlsVerify, kFromCreds, kToCreds, kAuthFile, kQuiet, kHelp};
inline constexpr std::array kLogoutFlags{kAllLogins, kAuthFile, kHelp};
inline constexpr std::array kTagsFlags{kInsecure, kTlsVerify, kCreds, kAuthFile, kJson, kHelp};
inline constexpr std::array kManifestFlags{kInsecure, kTlsVerify, kCreds, kAuthFile, kHelp};
constexpr FlagSpec kArtifactType{"--artifact-type", "", "TYPE", "only of this type"};
constexpr FlagSpec kFormat{"--format", "", "TEMPLATE", "print through a Go template; 'json'; 'table TEMPLATE'"};
inline constexpr std::array kReferrersFlags{kArtifactType, kFormat, kInsecure, kTlsVerify, kCreds, kAuthFile, kJson, kHelp};
constexpr FlagSpec kAmend{"--amend", "-a", "", "add to the list if it is there already"};
inline constexpr std::array kCreateListFlags{kAmend, kInsecure, kTlsVerify, kCreds, kAuthFile, kHelp};
inline constexpr std::array kAddToListFlags{kInsecure, kTlsVerify, kCreds, kAuthFile, kHelp};
constexpr FlagSpec kArch{"--arch", "", "ARCH", "the architecture it is for"};
constexpr FlagSpec kOs{"--os", "", "OS", "the system it is for"};
constexpr FlagSpec kVariant{"--variant", "", "VARIANT", "of the architecture, for example v8"};
constexpr FlagSpec kAnnotation{"--annotation", "", "KEY=VALUE", "an annotation of its entry", true};
inline constexpr std::array kAnnotateFlags{kAnnotation, kArch, kOs, kVariant, kHelp};
constexpr FlagSpec kPurge{"--purge", "-p", "", "forget the list afterwards"};
inline constexpr std::array kPushListFlags{kPurge, kInsecure, kTlsVerify, kCreds, kAuthFile, kHelp};
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
     "  kist push --all-tags registry.example/team/tool\n"
     "  kist push --dry-run tool registry.example/team/tool:1.3", transfer_flags::kPushFlags},
    {"copy", "copy from one registry to another, or from and to files", "FROM TO", 2, 2, false,
     "Images with all platforms, and artifacts of any type, bit for bit; nothing is kept here.\n"
     "FROM and TO are names in registries (docker:// may stand before them), oci:FOLDER[:NAME] or\n"
     "oci-archive:FILE[:NAME].\n\n"
     "  kist copy registry.example/team/tool:1.2 mirror.example/team/tool:1.2\n"
     "  kist copy --all-tags registry.example/team/tool oci:tool\n"
     "  kist copy --referrers oci-archive:tool.tar registry.example/team/tool:1.2", transfer_flags::kCopyFlags},
    {"login", "keep credentials for a registry", "[REGISTRY]", 0, 1, false,
     "They are tried, then kept where docker and podman find them, too.\n\n"
     "  kist login registry.example\n"
     "  kist login -u ada --password-stdin registry.example < token", transfer_flags::kLoginFlags},
    {"logout", "forget credentials of a registry", "[REGISTRY]", 0, 1, false, "  kist logout registry.example\n  kist logout --all", transfer_flags::kLogoutFlags},
    {"tags", "list the tags of a repository", "NAME", 1, 1, false,
     "`kist search-tags` is the same.\n\n"
     "  kist tags registry.example/team/tool", transfer_flags::kTagsFlags},
    {"search-tags", "the same as tags", "NAME", 1, 1, false, "  kist search-tags registry.example/team/tool", transfer_flags::kTagsFlags},
    {"delete", "delete images in a registry", "NAME…", 1, 1000, false,
     "A tag goes alone, if the registry can do that; a digest with all tags that stand for it.\n"
     "Images of this machine are `kist rmi`'s.\n\n"
     "  kist delete registry.example/team/tool:1.1", transfer_flags::kManifestFlags},
    {"manifest inspect", "show a manifest as the registry has it, or a list made here", "NAME", 1, 1, false,
     "  kist manifest inspect registry.example/team/tool:1.2", transfer_flags::kManifestFlags},
    {"manifest referrers", "list what refers to an image: signatures, bills of materials", "NAME", 1, 1, false,
     "  kist manifest referrers registry.example/team/tool:1.2\n"
     "  kist manifest referrers --artifact-type application/spdx+json registry.example/team/tool:1.2", transfer_flags::kReferrersFlags},
    {"manifest create", "begin a list of images for several platforms", "LIST [IMAGE…]", 1, 1000, false,
     "Of this machine's images, or of those in registries; an index adds all that it has.\n"
     "`kist build` makes such a list of a project by itself.\n\n"
     "  kist manifest create registry.example/team/tool:1 tool:1-amd64 registry.example/team/tool:1-arm64\n"
     "  kist manifest push registry.example/team/tool:1", transfer_flags::kCreateListFlags},
    {"manifest add", "add images to such a list", "LIST IMAGE…", 2, 1000, false,
     "One for the same platform makes place.\n\n"
     "  kist manifest add registry.example/team/tool:1 tool:1-riscv64", transfer_flags::kAddToListFlags},
    {"manifest annotate", "say what an image of a list is for", "LIST IMAGE", 2, 2, false,
     "  kist manifest annotate registry.example/team/tool:1 tool:1-arm64 --arch arm64 --variant v8", transfer_flags::kAnnotateFlags},
    {"manifest push", "send a list with all its images to a registry", "LIST [NAME]", 1, 2, false,
     "Prints the digest.\n\n"
     "  kist manifest push --purge registry.example/team/tool:1", transfer_flags::kPushListFlags},
    {"manifest rm", "forget lists", "LIST…", 1, 1000, false, "  kist manifest rm registry.example/team/tool:1", transfer_flags::kOnlyHelp},
};

}  // namespace kist::cli
