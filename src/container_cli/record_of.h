// The flags of `kist run --image` as a record, with the image's configuration under them.
#pragma once

#include "cli/flags.h"
#include "containers/record.h"
#include "launch/image.h"
#include "launch/request.h"

namespace kist::container_cli {

/// Without its mounts: mounts_of.h. `warning`: what was asked for and has no effect; may be null.
/// Errors: invalid (which flag, got, wanted), not_found (an --env-file, the source of a mount).
Result<containers::Record> record_of(const cli::Parsed& parsed, const launch::ReadyImage& image,
                                     const launch::Host& host, std::string* warning = nullptr);

/// Of `run` and `update`: changes what the flags name. Errors: invalid.
Result<void> read_limits(const cli::Parsed& parsed, containers::LimitRequest& limits);
/// "no", "on-failure:5" … Errors: invalid.
Result<containers::RestartPolicy> parse_restart(std::string_view text);

}  // namespace kist::container_cli
