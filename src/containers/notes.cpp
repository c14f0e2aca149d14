#include "containers/notes.h"

#include <algorithm>

namespace kist::containers {

void note(const Place& place, const Record& record, std::string action,
          std::vector<std::pair<std::string, std::string>> more) {
  more.emplace_back("image", record.image);
  more.emplace_back("name", record.name);
  more.insert(more.end(), record.labels.begin(), record.labels.end());
  events::write(os::parent_of(place.folder()),
                {.type = "container", .action = std::move(action), .id = record.id, .attributes = std::move(more)});
}

void note_end(const Place& place, const Record& record, const Status& status) {
  if (status.out_of_memory) note(place, record, "oom");
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t ran_s = status.started_ns == 0 ? 0 : std::max<int64_t>(status.finished_ns - status.started_ns, 0) / kSecond;
  note(place, record, "die", {{"execDuration", fmt::format("{}", ran_s)}, {"exitCode", fmt::format("{}", status.exit_code)}});
}

void note_volume(const Place& place, const std::string& name, std::string action,
                 std::vector<std::pair<std::string, std::string>> attributes) {
  events::write(os::parent_of(place.folder()),
                {.type = "volume", .action = std::move(action), .id = name, .attributes = std::move(attributes)});
}

}  // namespace kist::containers
