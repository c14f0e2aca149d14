// What containers keep on disk, and what clients say to supervisors.
#include <unistd.h>

#include "containers/control.h"
#include "containers/log_reader.h"
#include "containers/record.h"
#include "containers/status.h"
#include "fuzz.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  containers::Record record;
  record.id = std::string(64, 'a');
  record.command = {"sh", "-c", "true"};
  record.mounts = {{.type = "bind", .source = "/a", .destination = "/b"}};
  record.ports = {{"", 80, 8080, "tcp"}};
  containers::Status status;
  status.id = record.id;
  std::string frames;
  containers::append_frame(frames, containers::Frame::attach, "\1");
  containers::append_frame(frames, containers::Frame::input, "text\n");
  return {containers::encode(record), containers::encode(status), frames, "2026-01-02T03:04:05.000000006+01:00", "1h30m"};
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  if (const auto record = containers::decode_record(text)) {
    const auto again = containers::decode_record(containers::encode(*record));
    fuzz::expect(again.has_value() && *again == *record, "a record comes back");
  }
  if (const auto status = containers::decode_status(text)) {
    const auto again = containers::decode_status(containers::encode(*status));
    fuzz::expect(again.has_value() && *again == *status, "a status comes back");
  }
  static_cast<void>(containers::parse_time(text, 0));
  int ends[2];
  if (size > 4096 || ::pipe(ends) != 0) return 0;
  const os::Fd reading(ends[0]);
  os::Fd writing(ends[1]);
  static_cast<void>(!::write(writing.get(), data, size));
  writing = os::Fd();
  containers::FrameReader reader;
  while (reader.fill(reading))
    while (const auto frame = reader.next()) fuzz::expect(frame->payload.size() <= size, "no frame is longer than what came");
  return 0;
}
