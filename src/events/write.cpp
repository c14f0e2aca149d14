#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "events/events.h"
#include "events/files.h"
#include "os/files.h"

namespace kist::events {
namespace {

namespace json = boost::json;

constexpr off_t kRotateAt = 4 << 20;

Result<os::Fd> open_journal(const std::string& kist_home) {
  const std::string path = journal_path(kist_home);
  auto file = os::open_file(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (file || file.error().code() != Code::not_found) return file;
  TRY(os::make_folders(os::parent_of(path), 0700));
  return os::open_file(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
}

// By whoever comes first; who holds the old file open meanwhile writes its line there.
void rotate(const std::string& kist_home) {
  const std::string path = journal_path(kist_home);
  const auto lock = os::FileLock::try_acquire(path + ".lock", os::FileLock::Mode::exclusive);
  if (!lock || !*lock) return;
  struct stat now = {};
  if (::stat(path.c_str(), &now) == 0 && now.st_size >= kRotateAt) (void)::rename(path.c_str(), (path + ".1").c_str());
}

}  // namespace

std::string journal_path(const std::string& kist_home) { return os::join(kist_home, "events/journal"); }

std::string encode(const Event& event) {
  json::object attributes;
  for (const auto& [key, value] : event.attributes) attributes[key] = value;
  return json::serialize(json::object{{"time", event.time_ns},
                                      {"type", event.type},
                                      {"action", event.action},
                                      {"id", event.id},
                                      {"attributes", std::move(attributes)}}) +
         "\n";
}

Result<Event> decode(std::string_view line) {
  boost::system::error_code failed;
  json::parse_options any_bytes;
  any_bytes.allow_invalid_utf8 = true;
  const json::value root = json::parse({line.data(), line.size()}, failed, {}, any_bytes);
  const Error odd(Code::corrupt, "no event: '{}'", printable(line));
  if (failed || !root.is_object()) return odd;
  const json::object& all = root.get_object();
  Event event;
  const auto text = [&](const char* key, std::string& out) {
    const json::value* found = all.if_contains(key);
    if (found == nullptr || !found->is_string()) return false;
    out.assign(found->get_string().data(), found->get_string().size());
    return true;
  };
  const json::value* time = all.if_contains("time");
  if (time == nullptr || !time->is_int64() || !text("type", event.type) || !text("action", event.action) ||
      !text("id", event.id))
    return odd;
  event.time_ns = time->get_int64();
  if (const json::value* attributes = all.if_contains("attributes"); attributes != nullptr && attributes->is_object())
    for (const auto& item : attributes->get_object())
      if (item.value().is_string())
        event.attributes.emplace_back(std::string(item.key()), std::string(item.value().get_string()));
  return event;
}

void write(const std::string& kist_home, Event event) {
  if (event.time_ns == 0) {
    timespec now = {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    event.time_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }
  const auto file = open_journal(kist_home);
  if (!file) return;
  const std::string line = encode(event);
  (void)!::write(file->get(), line.data(), line.size());
  struct stat st = {};
  if (::fstat(file->get(), &st) == 0 && st.st_size >= kRotateAt) rotate(kist_home);
}

}  // namespace kist::events
