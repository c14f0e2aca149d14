#include "containers/place.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/base64.h"
#include "base/text.h"
#include "containers/id_maps.h"

namespace kist::containers {
namespace {

constexpr uint64_t kMaxFileBytes = 16 << 20;
constexpr size_t kIdDigits = 64;
// Enough to be the only one, and few enough for a link's text: see link_text().
constexpr size_t kPassingDigits = 24;
constexpr const char* kPassing = "containers";

constexpr std::string_view kLeft[] = {"amber", "brisk", "calm",  "clever", "eager", "fond",  "gentle", "keen",
                                      "lively", "merry", "noble", "proud", "quick", "quiet", "sharp",  "steady",
                                      "sunny", "swift", "tidy",  "vivid", "warm",  "wise",  "witty",  "young"};
constexpr std::string_view kRight[] = {"ash",  "birch", "cedar", "cypress", "elder", "elm",    "fir",    "hazel",
                                       "holly", "larch", "laurel", "linden", "maple", "myrtle", "oak",   "olive",
                                       "pine", "poplar", "rowan", "spruce", "tamarack", "walnut", "willow", "yew"};

Result<void> random_bytes(void* out, size_t size) {
  if (::getrandom(out, size, 0) != static_cast<ssize_t>(size))
    return Error::from_errno(errno, "get random numbers");
  return {};
}

Result<std::string> some_name(unsigned attempt) {
  std::array<uint8_t, 4> bytes{};
  TRY(random_bytes(bytes.data(), bytes.size()));
  std::string name = fmt::format("{}-{}", kLeft[bytes[0] % std::size(kLeft)], kRight[bytes[1] % std::size(kRight)]);
  // Two words are soon all taken.
  if (attempt > 2) name += fmt::format("-{}", bytes[2] * 256 + bytes[3]);
  return name;
}

int hex_value(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// What a link to it says. ext4 keeps the text of a link in its inode as long as that has less than 60
// bytes; a longer one gets a block, and giving that back can wait for the disk (discard), milliseconds
// of a container that lives as long.
std::string link_text(const std::string& id) {
  std::string bytes;
  for (size_t i = 0; i + 1 < id.size(); i += 2) bytes += static_cast<char>(hex_value(id[i]) * 16 + hex_value(id[i + 1]));
  return encode_base64_url(bytes);
}

// Links of older releases have the id itself.
Result<std::string> id_of_link(const std::string& path) {
  std::string text = TRY(os::read_link(path));
  const auto bytes = text.size() < kIdDigits ? decode_base64_url(text) : std::nullopt;
  if (!bytes) return text;
  std::string id;
  for (const char byte : *bytes) id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return id;
}

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Error no_such(std::string_view what) {
  return Error(Code::not_found, "no such container: {}", printable(what)).hint("`kist ps -a` lists them");
}

// The supervisor is gone; what it would have written, as far as one can know.
void tell_truth(Status& status) {
  if (status.phase == Phase::created || status.phase == Phase::exited || status.phase == Phase::dead) return;
  if (process_lives(status)) {
    if (status.error.empty()) status.error = "its supervisor is gone: output and restarts are lost";
    return;
  }
  status.phase = Phase::exited;
  status.pid = 0;
  status.exit_code = 137;
  if (status.error.empty()) status.error = "it ended together with its supervisor, or with the machine";
}

}  // namespace

Result<std::string> new_id() {
  std::array<uint8_t, 32> bytes{};
  TRY(random_bytes(bytes.data(), bytes.size()));
  std::string id;
  for (const uint8_t byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

Result<void> check_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const auto good = [&](char c) { return plain(c) || c == '_' || c == '.' || c == '-'; };
  constexpr size_t kMaxNameBytes = 200;
  if (name.size() > 1 && name.size() <= kMaxNameBytes && plain(name[0]) &&
      std::all_of(name.begin(), name.end(), good))
    return {};
  return Error(Code::invalid, "'{}' is no container's name, want two or more of letters, digits, '_', '.' and '-', "
               "the first a letter or digit", printable(name));
}

Place::Place(std::string kist_home, std::string memory)
    : folder_(os::join(kist_home, "containers")), memory_(std::move(memory)) {}

Result<void> Place::make_folder(const std::string& id, bool passing) const {
  if (!passing || memory_.empty()) return os::make_folders(folder_of(id), 0700);
  TRY(os::make_folders(os::join(folder_, "ids"), 0700));
  const std::string all = os::join(memory_, kPassing);
  TRY(os::make_folders(all, 0700));
  const std::string real = os::join(all, id.substr(0, kPassingDigits));
  if (::mkdir(real.c_str(), 0700) != 0) return Error::from_errno(errno, "create '{}'", real);
  if (::symlink(real.c_str(), folder_of(id).c_str()) != 0)
    return Error::from_errno(errno, "create '{}'", folder_of(id));
  return {};
}

Result<void> Place::remove_folder(std::string_view id) const {
  const std::string folder = folder_of(id);
  // Only what this module links to is followed.
  if (const auto real = os::read_link(folder); real && real->ends_with(fmt::format("/{}/{}", kPassing, id.substr(0, kPassingDigits))))
    TRY(remove_written(*real));
  return remove_written(folder);
}

std::string Place::folder_of(std::string_view id) const { return os::join(os::join(folder_, "ids"), id); }
std::string Place::file_of(std::string_view id, std::string_view name) const {
  return os::join(folder_of(id), name);
}

bool Place::is_container(std::string_view id) const { return os::exists(file_of(id, "status")); }

Result<void> Place::take_name(const std::string& name, const std::string& id) const {
  const std::string link = os::join(os::join(folder_, "names"), name);
  for (;;) {
    if (::symlink(link_text(id).c_str(), link.c_str()) == 0) return {};
    if (errno != EEXIST) return Error::from_errno(errno, "take the name '{}'", name);
    const auto owner = id_of_link(link);
    // A removal that was killed half-way left the name of nobody.
    if (!owner || is_container(*owner))
      return Error(Code::exists, "the name '{}' is in use by container {}", name,
                   owner ? owner->substr(0, 12) : "?")
          .hint(fmt::format("`kist rm {}`, or another --name", name));
    if (::unlink(link.c_str()) != 0 && errno != ENOENT)
      return Error::from_errno(errno, "free the name '{}'", name);
  }
}

Result<void> Place::make(Record& record, Status& status, bool passing) const {
  if (record.id.empty()) record.id = TRY(new_id());
  if (!record.name.empty()) TRY(check_name(record.name));
  TRY(os::make_folders(os::join(folder_, "names"), 0700));
  TRY(make_folder(record.id, passing));
  status.id = record.id;
  status.image = record.image;
  status.created_ns = record.created_ns;
  const bool chosen = !record.name.empty();
  for (unsigned attempt = 0;; ++attempt) {
    if (!chosen) record.name = TRY(some_name(attempt));
    status.name = record.name;
    TRY(write(record));
    TRY(write(status));
    const auto taken = take_name(record.name, record.id);
    if (taken) return {};
    constexpr unsigned kMaxAttempts = 100;
    if (chosen || taken.error().code() != Code::exists || attempt == kMaxAttempts) {
      (void)remove_folder(record.id).has_value();
      return taken.error();
    }
  }
}

Result<void> Place::remove(const Record& record) const {
  const std::string link = os::join(os::join(folder_, "names"), record.name);
  const auto owner = id_of_link(link);
  if (owner && *owner == record.id && ::unlink(link.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "free the name '{}'", record.name);
  // From here on it is none any more, whatever happens to us.
  (void)::unlink(file_of(record.id, "status").c_str());
  return remove_folder(record.id);
}

Result<void> Place::rename(Record& record, const std::string& wanted) const {
  const std::string name = wanted.substr(wanted.starts_with('/') ? 1 : 0);
  TRY(check_name(name));
  if (name == record.name) return Error(Code::invalid, "container {} has this name already", name);
  TRY(take_name(name, record.id));
  const std::string before = os::join(os::join(folder_, "names"), record.name);
  record.name = name;
  TRY(write(record));
  auto now = TRY(status(record.id));
  now.name = name;
  TRY(write(now));
  (void)::unlink(before.c_str());
  return {};
}

Result<std::vector<std::string>> Place::ids() const {
  const std::string all = os::join(folder_, "ids");
  if (!os::exists(all)) return std::vector<std::string>();
  return TRY(os::list_folder(all));
}

void Place::sweep() const {
  constexpr int64_t kLongAgo_s = 60;  // Whoever makes one now writes its record in no time.
  const auto all = ids();
  const int64_t now_s = ::time(nullptr);
  for (const std::string& id : all ? *all : std::vector<std::string>()) {
    struct stat st = {};
    if (is_container(id) || ::lstat(folder_of(id).c_str(), &st) != 0) continue;
    if (now_s - st.st_mtime > kLongAgo_s) (void)remove_folder(id).has_value();
  }
}

Result<std::string> Place::find(std::string_view wanted) const {
  // As `inspect` shows names.
  if (wanted.starts_with('/')) wanted.remove_prefix(1);
  if (wanted.empty() || wanted.find('/') != std::string_view::npos || wanted[0] == '.') return no_such(wanted);
  if (const auto id = id_of_link(os::join(os::join(folder_, "names"), wanted));
      id && is_container(*id))
    return *id;
  if (!is_hexadecimal(wanted)) return no_such(wanted);
  const auto all = TRY(ids());
  const auto first = std::lower_bound(all.begin(), all.end(), wanted);
  if (first == all.end() || !first->starts_with(wanted)) return no_such(wanted);
  if (std::next(first) != all.end() && std::next(first)->starts_with(wanted))
    return Error(Code::invalid, "several containers begin with {}", wanted).hint("`kist ps -a --no-trunc` has whole ids");
  return *first;
}

Result<Record> Place::record(std::string_view id) const {
  const std::string text = TRY(os::read_file(file_of(id, "record"), kMaxFileBytes));
  return TRY(decode_record(text), "container {}", id.substr(0, 12));
}

Result<void> Place::write(const Record& record) const {
  return os::write_file_atomically(file_of(record.id, "record"), encode(record), 0600);
}

Result<Status> Place::status(std::string_view id) const {
  const std::string text = TRY(os::read_file(file_of(id, "status"), kMaxFileBytes));
  Status status = TRY(decode_status(text), "container {}", id.substr(0, 12));
  const bool ended = status.phase == Phase::created || status.phase == Phase::exited || status.phase == Phase::dead;
  if (!ended && !is_looked_after(id)) tell_truth(status);
  return status;
}

Result<void> Place::write(const Status& status) const {
  return os::write_file_atomically(file_of(status.id, "status"), encode(status), 0600);
}

// Locks of the open file description: they can be asked for without being taken, so that somebody who
// looks never stands in a supervisor's way.
Result<std::optional<os::Fd>> Place::look_after(std::string_view id) const {
  os::Fd file = TRY(os::open_file(file_of(id, "alive"), O_RDWR | O_CREAT, 0600));
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  if (::fcntl(file.get(), F_OFD_SETLK, &lock) == 0) return std::optional<os::Fd>(std::move(file));
  if (errno == EAGAIN || errno == EACCES) return std::optional<os::Fd>();
  return Error::from_errno(errno, "lock '{}'", file_of(id, "alive"));
}

Result<os::Fd> Place::take_over(const Record& record) const {
  constexpr int kTries = 5000;
  for (int i = 0; i < kTries; ++i) {
    std::optional<os::Fd> alive = TRY(look_after(record.id));
    if (alive) return std::move(*alive);
    const auto now = status(record.id);
    if (now && (now->is_alive() || now->phase == Phase::restarting)) break;
    ::usleep(1000);
  }
  return Error(Code::invalid, "container {} is running already", printable(record.name));
}

bool Place::is_looked_after(std::string_view id) const {
  const auto file = os::open_file(file_of(id, "alive"), O_RDONLY);
  if (!file) return false;
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  return ::fcntl(file->get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace kist::containers
