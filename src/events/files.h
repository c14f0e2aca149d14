// Where the journal is. Module-private.
#pragma once

#include <string>

namespace kist::events {

std::string journal_path(const std::string& kist_home);  // And journal.1: the one before.

}  // namespace kist::events
