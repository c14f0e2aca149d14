// Verbs that talk to registries: pull, push, copy, login, logout, tags, delete, manifest. Names, flags and
// messages are docker's; `copy`, `tags` (list-tags) and `delete` are skopeo's.
#pragma once

#include "cli/flags.h"
#include "cli/terminal.h"
#include "engine/image_transfer.h"
#include "environment/context.h"

namespace kist::verbs {

bool is_transfer_verb(std::string_view name);
/// Returns the exit status.
Result<int> transfer_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                          cli::Terminal& terminal);

Result<int> pull_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> push_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> copy_image_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> login_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> logout_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> tags_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> delete_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> manifest_inspect_verb(const cli::Parsed& parsed, const environment::Context& context,
                                  cli::Terminal& terminal);
Result<int> manifest_referrers_verb(const cli::Parsed& parsed, const environment::Context& context,
                                    cli::Terminal& terminal);
/// manifest create, add, annotate, push, rm.
Result<int> manifest_list_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                               cli::Terminal& terminal);
/// `kist inspect docker://NAME`, in skopeo's shape.
Result<int> inspect_remote(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);

/// skopeo's word for what is in a registry; the only one that names need not have.
inline constexpr std::string_view kDockerTransport = "docker://";
/// With or without that word. Errors: invalid.
Result<oci::Reference> remote_name(std::string_view text);

/// What of the command line and the machine a registry needs. Errors: unavailable (--offline).
Result<registry::Host> registry_host(const cli::Parsed& parsed, const environment::Context& context);
/// --authfile takes the place of the person's variable.
void use_authfile(const cli::Parsed& parsed, const environment::Context& context, registry::Host& host);
/// "USER:PASSWORD"; empty without the flag. Errors: invalid.
Result<std::pair<std::string, http::Secret>> credentials_of(const cli::Parsed& parsed, std::string_view flag);
/// --limit-rate, in bytes a second; 0: none. Errors: invalid.
Result<uint64_t> rate_of(const cli::Parsed& parsed);
/// --platform, or this machine's.
Result<oci::Platform> wanted_platform(const cli::Parsed& parsed);

}  // namespace kist::verbs
