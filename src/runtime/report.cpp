#include "runtime/report.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace kist::runtime {
namespace {

constexpr int kSetupFailed = 125;

void append(Report& report, const char* text) {
  const size_t room = Report::kMaxText - report.header.text_size;
  size_t size = std::strlen(text);
  if (size > room) size = room;
  std::memcpy(report.text + report.header.text_size, text, size);
  report.header.text_size += static_cast<uint32_t>(size);
}

}  // namespace

void Reporter::send(Report::Kind kind, int error, uint32_t number, const char* what,
                    const char* operand, const char* detail) const {
  Report report;
  report.header = {.kind = kind, .error = error, .number = number, .text_size = 0};
  append(report, what);
  if (operand != nullptr) {
    append(report, " '");
    append(report, operand);
    append(report, "'");
  }
  if (detail != nullptr && *detail != '\0') {
    append(report, " (");
    append(report, detail);
    append(report, ")");
  }
  // If nobody listens any more there is nobody to tell.
  if (::write(fd_, &report, sizeof report.header + report.header.text_size) < 0) return;
}

void Reporter::fail(int error, const char* what, const char* operand, const char* detail,
                    Report::Kind kind) const {
  send(kind, error, 0, what, operand, detail);
  ::_exit(kSetupFailed);
}

int Reporter::check(long result, const char* what, const char* operand) const {
  if (result < 0) [[unlikely]]
    fail(errno, what, operand);
  return static_cast<int>(result);
}

}  // namespace kist::runtime
