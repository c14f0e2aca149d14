// The flags of `kist run`, `shell` and `task` as a request. Pure but for --env-file.
#pragma once

#include <span>
#include <string>

#include "cli/flags.h"
#include "launch/request.h"

namespace kist::cli {

/// Set by the engine for the starter that it starts again: --pull has been seen to.
inline constexpr const char* kImageIsReady = "KIST_IMAGE_IS_READY";

/// `verb` is one of run, shell, task. Errors: invalid, not_found (an --env-file).
Result<launch::RunRequest> run_request(const VerbSpec& verb, const Parsed& parsed,
                                            const launch::Host& host);

/// The lines of an --env-file as docker reads them: NAME=value, a bare NAME passes the host's on,
/// # starts a comment line. Errors: invalid (line number and text).
Result<std::vector<std::string>> parse_env_file(std::string_view text, std::string_view path,
                                                const launch::Host& host);

}  // namespace kist::cli
