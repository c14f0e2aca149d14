// Progress as a person sees it: on a terminal one line that is redrawn, elsewhere a line per phase.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "base/progress.h"

namespace kist::cli {

class ProgressView final : public Progress {
 public:
  struct Options {
    bool is_terminal = false;
    bool color = false;
    bool quiet = false;  // Only warnings.
    size_t width = 80;
  };
  explicit ProgressView(Options options) : options_(options) {}
  ~ProgressView() override;

  void begin(std::string_view phase, uint64_t total_items, uint64_t total_bytes) override;
  void advance(std::string_view phase, uint64_t items, uint64_t bytes) override;
  void end(std::string_view phase, std::string summary) override;
  void warn(std::string message) override;

 private:
  struct Phase {
    uint64_t total_items = 0, items = 0, total_bytes = 0, bytes = 0;
  };
  void redraw();
  void clear();
  void print(std::string_view text);

  const Options options_;
  std::mutex mutex_;
  std::map<std::string, Phase, std::less<>> phases_;
  std::chrono::steady_clock::time_point drawn_{};
  bool line_shown_ = false;
};

}  // namespace kist::cli
