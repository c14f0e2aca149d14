#include "cli/progress_view.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"

namespace kist::cli {
namespace {

// Often enough to look alive, seldom enough to cost nothing.
constexpr std::chrono::milliseconds kRedrawInterval{60};
constexpr size_t kBarWidth = 20;

std::string bar(double fraction) {
  const auto filled = static_cast<size_t>(fraction * static_cast<double>(kBarWidth));
  std::string out;
  for (size_t i = 0; i < kBarWidth; ++i) out += i < filled ? "━" : "╌";
  return out;
}

}  // namespace

ProgressView::~ProgressView() { clear(); }

void ProgressView::print(std::string_view text) {
  // What cannot be told cannot be told: progress never fails the work.
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

void ProgressView::clear() {
  if (line_shown_) print("\r\x1b[2K");
  line_shown_ = false;
}

void ProgressView::redraw() {
  const auto now = std::chrono::steady_clock::now();
  if (!options_.is_terminal || options_.quiet || now - drawn_ < kRedrawInterval) return;
  drawn_ = now;
  clear();
  if (phases_.empty()) return;
  // The newest phase is what is waited for.
  const auto& [name, phase] = *phases_.rbegin();
  std::string line = name;
  if (phase.total_bytes != 0) {
    const double fraction =
        std::min(1.0, static_cast<double>(phase.bytes) / static_cast<double>(phase.total_bytes));
    line += fmt::format(" {} {} of {}", bar(fraction), human_bytes(phase.bytes),
                        human_bytes(phase.total_bytes));
  }
  if (phase.total_items != 0) line += fmt::format(", {}/{}", phase.items, phase.total_items);
  if (line.size() < options_.width + 2 * kBarWidth) {  // The bar's letters are three bytes each.
    print(line);
    line_shown_ = true;
  }
}

void ProgressView::begin(std::string_view phase, uint64_t total_items, uint64_t total_bytes) {
  const std::lock_guard lock(mutex_);
  phases_[std::string(phase)] = {.total_items = total_items, .total_bytes = total_bytes};
  drawn_ = {};
  redraw();
}

void ProgressView::advance(std::string_view phase, uint64_t items, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto it = phases_.find(phase);
  if (it == phases_.end()) return;
  it->second.items += items;
  it->second.bytes += bytes;
  redraw();
}

void ProgressView::end(std::string_view phase, std::string summary) {
  const std::lock_guard lock(mutex_);
  if (const auto it = phases_.find(phase); it != phases_.end()) phases_.erase(it);
  if (options_.quiet || summary.empty()) return;
  clear();
  print(options_.color ? fmt::format("\x1b[2mkist:\x1b[0m {}\n", summary)
                       : fmt::format("kist: {}\n", summary));
}

void ProgressView::warn(std::string message) {
  const std::lock_guard lock(mutex_);
  clear();
  print(options_.color ? fmt::format("\x1b[1;33mwarning:\x1b[0m {}\n", message)
                       : fmt::format("warning: {}\n", message));
}

}  // namespace kist::cli
