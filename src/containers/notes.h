// What happens to containers, told to the journal of events as docker's daemon tells it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "containers/place.h"
#include "events/events.h"

namespace kist::containers {

/// `action`: "start", "die", "exec_start: sh" …; `more`: attributes besides image, name and labels.
void note(const Place& place, const Record& record, std::string action,
          std::vector<std::pair<std::string, std::string>> more = {});
/// "die", and "oom" before it; `status` says how.
void note_end(const Place& place, const Record& record, const Status& status);
/// Of a volume: "create", "mount", "destroy" …
void note_volume(const Place& place, const std::string& name, std::string action,
                 std::vector<std::pair<std::string, std::string>> attributes);

}  // namespace kist::containers
