// --health-cmd and its like, over what the image says.
#pragma once

#include <optional>

#include "cli/flags.h"
#include "containers/record.h"
#include "launch/image.h"

namespace kist::container_cli {

/// Errors: invalid (which flag, got, wanted).
Result<containers::HealthCheck> health_of(const cli::Parsed& parsed, const launch::ReadyImage& image);

/// "1m30s", "500ms", "2h", as Go spells spans of time, in nanoseconds. Empty: it is none.
std::optional<int64_t> parse_span(std::string_view text);

}  // namespace kist::container_cli
