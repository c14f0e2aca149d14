#include "containers/accounts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/text.h"
#include "os/files.h"

namespace kist::containers {
namespace {

constexpr uint64_t kMaxFileBytes = 8 << 20;

std::string read_inside(const os::Fd& root, const char* path) {
  const auto file = os::open_in_root(root, path, O_RDONLY | O_NONBLOCK);
  struct stat info = {};
  if (!file || ::fstat(file->get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  return os::read_all(*file, kMaxFileBytes).value_or("");
}

std::optional<uint32_t> parse_id(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number >= std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return static_cast<uint32_t>(*number);
}

struct User {
  std::string name;
  uint32_t uid, gid;
  std::string home;
};

std::optional<User> find_user(std::string_view passwd, std::string_view wanted) {
  const auto number = parse_id(wanted);
  for (const std::string_view line : lines(passwd)) {
    const auto fields = split(line, ':');
    if (fields.size() < 6) continue;
    const auto uid = parse_id(fields[2]);
    const auto gid = parse_id(fields[3]);
    if (!uid || !gid || (fields[0] != wanted && (!number || *uid != *number))) continue;
    return User{std::string(fields[0]), *uid, *gid, std::string(fields[5])};
  }
  return std::nullopt;
}

std::optional<uint32_t> find_group(std::string_view groups, std::string_view wanted) {
  for (const std::string_view line : lines(groups)) {
    const auto fields = split(line, ':');
    if (fields.size() > 2 && fields[0] == wanted) return parse_id(fields[2]);
  }
  return parse_id(wanted);
}

// The groups that list the user as a member.
std::vector<uint32_t> groups_of(std::string_view groups, std::string_view user) {
  std::vector<uint32_t> out;
  for (const std::string_view line : lines(groups)) {
    const auto fields = split(line, ':');
    if (fields.size() < 4) continue;
    const auto members = split(fields[3], ',');
    const auto gid = parse_id(fields[2]);
    if (gid && std::find(members.begin(), members.end(), user) != members.end()) out.push_back(*gid);
  }
  return out;
}

Error no_group(std::string_view name) {
  return Error(Code::invalid, "no group '{}' in the image", printable(name))
      .hint("give its number, or make the group in the image");
}

}  // namespace

Result<Account> find_account(const os::Fd& root, std::string_view wanted,
                             const std::vector<std::string>& more_groups) {
  // As docker: "5:" names no group.
  if (wanted.ends_with(':')) wanted.remove_suffix(1);
  const std::string passwd = read_inside(root, "etc/passwd");
  const std::string groups = read_inside(root, "etc/group");
  const size_t colon = std::min(wanted.find(':'), wanted.size());
  const std::string_view user_part = wanted.substr(0, colon);
  Account out;
  const std::string_view user_name = user_part.empty() ? "0" : user_part;
  if (const auto user = find_user(passwd, user_name)) {
    out = {.uid = user->uid, .gid = user->gid, .groups = {}, .home = user->home};
    if (colon == wanted.size()) out.groups = groups_of(groups, user->name);
  } else if (const auto uid = parse_id(user_name)) {
    out.uid = *uid;
  } else {
    return Error(Code::invalid, "no user '{}' in the image", printable(user_name))
        .hint("give a number: `-u 1000`, or make the user in the image");
  }
  if (out.home.empty()) out.home = "/";
  if (out.uid == 0 && out.home == "/") out.home = "/root";
  if (colon < wanted.size()) {
    const auto gid = find_group(groups, wanted.substr(colon + 1));
    if (!gid) return no_group(wanted.substr(colon + 1));
    out.gid = *gid;
  }
  for (const std::string& name : more_groups) {
    const auto gid = find_group(groups, name);
    if (!gid) return no_group(name);
    out.groups.push_back(*gid);
  }
  // As docker since 20.10.18: its own group is one of them, so that giving it up by setgid(2) does not
  // take away what the group may not do (CVE-2022-36109).
  out.groups.insert(out.groups.begin(), out.gid);
  std::vector<uint32_t> once;
  for (const uint32_t gid : out.groups)
    if (std::find(once.begin(), once.end(), gid) == once.end()) once.push_back(gid);
  out.groups = std::move(once);
  return out;
}

}  // namespace kist::containers
