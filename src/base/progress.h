// What long operations tell about themselves while they run. Who renders it is no business of the
// teller: the engine takes a Progress and cli/ draws bars or prints lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kist {

/// Threads: every method may be called from any thread.
class Progress {
 public:
  virtual ~Progress() = default;
  /// A phase begins, with as much as is known of its size; 0 means unknown. Phases may overlap.
  virtual void begin(std::string_view phase, uint64_t total_items, uint64_t total_bytes) = 0;
  virtual void advance(std::string_view phase, uint64_t items, uint64_t bytes) = 0;
  /// The phase is over; `summary` is one line for people: "resolved 12 packages in 0.8s".
  virtual void end(std::string_view phase, std::string summary) = 0;
  /// A warning: something that the user should know and that does not stop us.
  virtual void warn(std::string message) = 0;
};

/// Swallows everything; for tests and for quiet runs.
class NoProgress final : public Progress {
 public:
  void begin(std::string_view, uint64_t, uint64_t) override {}
  void advance(std::string_view, uint64_t, uint64_t) override {}
  void end(std::string_view, std::string) override {}
  void warn(std::string) override {}
};

}  // namespace kist
