#include "networks/home.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"

namespace kist::networks {
namespace {

constexpr uint64_t kMaxBytes = 1 << 20;

Error no_such(std::string_view what) {
  return Error(Code::not_found, "network {} not found", printable(what)).hint("`kist network ls` lists them");
}

bool is_plain(std::string_view text) {
  return !text.empty() && text[0] != '.' && text.find('/') == std::string_view::npos && text.size() <= 128;
}

}  // namespace

Home::Home(const std::string& kist_home, const std::string& memory_folder)
    : folder_(os::join(kist_home, "networks")), live_(os::join(memory_folder, "networks")) {}

Result<os::FileLock> Home::lock() const {
  const std::string path = os::join(live_, "lock");
  auto lock = os::FileLock::acquire(path, os::FileLock::Mode::exclusive);
  if (lock || lock.error().code() != Code::not_found) return lock;
  TRY(os::make_folders(live_, 0700));
  return os::FileLock::acquire(path, os::FileLock::Mode::exclusive);
}

Result<void> Home::make(const Network& network) const {
  TRY(os::make_folders(os::join(folder_, "ids"), 0700));
  TRY(os::make_folders(os::join(folder_, "names"), 0700));
  const std::string record = os::join(os::join(folder_, "ids"), network.id);
  const std::string name = os::join(os::join(folder_, "names"), network.name);
  // The record first: a name leads to something, always. A crash leaves a record that all() shows and
  // its id removes.
  TRY(os::write_file_atomically(record, encode(network), 0600));
  for (;;) {
    if (::symlink(network.id.c_str(), name.c_str()) == 0) return {};
    const int error = errno;
    const auto owner = error == EEXIST ? os::read_link(name) : Result<std::string>(std::string());
    const bool nobody = error == EEXIST && owner && !os::exists(os::join(os::join(folder_, "ids"), *owner));
    if (nobody && (::unlink(name.c_str()) == 0 || errno == ENOENT)) continue;
    (void)::unlink(record.c_str());
    if (error == EEXIST)
      return Error(Code::exists, "network with name {} already exists", printable(network.name))
          .hint(fmt::format("`kist network rm {}`, or another name", shell_quote(network.name)));
    return Error::from_errno(error, "take the name '{}'", printable(network.name));
  }
}

Result<void> Home::remove(const Network& network) const {
  const std::string name = os::join(os::join(folder_, "names"), network.name);
  const auto owner = os::read_link(name);
  if (owner && *owner == network.id && ::unlink(name.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "free the name '{}'", printable(network.name));
  const std::string record = os::join(os::join(folder_, "ids"), network.id);
  if (::unlink(record.c_str()) != 0 && errno != ENOENT) return Error::from_errno(errno, "remove '{}'", record);
  return {};
}

Result<Network> Home::find(std::string_view wanted) const {
  if (!is_plain(wanted)) return no_such(wanted);
  const std::string ids = os::join(folder_, "ids");
  std::string id = os::read_link(os::join(os::join(folder_, "names"), wanted)).value_or("");
  if (!is_plain(id) || !os::exists(os::join(ids, id))) {
    id.clear();
    const auto all = os::list_folder(ids);
    for (const std::string& candidate : all ? *all : std::vector<std::string>()) {
      if (!candidate.starts_with(wanted)) continue;
      if (!id.empty())
        return Error(Code::invalid, "several networks begin with {}", printable(wanted)).hint("`kist network ls --no-trunc`");
      id = candidate;
    }
  }
  if (id.empty()) return no_such(wanted);
  const std::string text = TRY(os::read_file(os::join(ids, id), kMaxBytes));
  return TRY(decode_network(text), "network {}", printable(wanted));
}

Result<std::vector<Network>> Home::all() const {
  std::vector<Network> out;
  const std::string ids = os::join(folder_, "ids");
  if (!os::exists(ids)) return out;
  const auto names = TRY(os::list_folder(ids));
  for (const std::string& id : names) {
    const auto text = os::read_file(os::join(ids, id), kMaxBytes);
    auto network = text ? decode_network(*text) : Result<Network>(text.error());
    if (network) out.push_back(std::move(*network));
  }
  std::sort(out.begin(), out.end(), [](const Network& a, const Network& b) { return a.name < b.name; });
  return out;
}

Result<std::string> new_network_id() {
  std::array<uint8_t, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return Error::from_errno(errno, "get random numbers");
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

}  // namespace kist::networks
