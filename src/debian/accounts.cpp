#include "debian/accounts.h"

#include <algorithm>

#include "base/text.h"

namespace kist::debian {
namespace {

constexpr uint32_t kFirstSystem = 100;  // Debian's range for what packages create.
constexpr uint32_t kLastSystem = 999;
constexpr uint32_t kNoGroup = 65534;

bool is_account_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

// Words of a sysusers line; double quotes hold blanks together.
std::vector<std::string> quoted_words(std::string_view line) {
  std::vector<std::string> out;
  std::string word;
  bool quoted = false;
  bool any = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if ((c == ' ' || c == '\t') && !quoted) {
      if (any) out.push_back(std::exchange(word, {}));
      any = false;
    } else {
      word += c;
      any = true;
    }
  }
  if (any) out.push_back(word);
  return out;
}

std::string without_colon(std::string text) {
  std::erase_if(text, [](char c) { return c == ':' || c == '\n'; });
  return text;
}

}  // namespace

Result<Accounts> Accounts::from_masters(std::string_view passwd, std::string_view group) {
  Accounts accounts;
  for (const std::string_view line : lines(passwd)) {
    if (line.empty()) continue;
    const std::vector<std::string_view> f = split(line, ':');
    const auto uid = f.size() == 7 ? parse_number(f[2]) : std::nullopt;
    const auto gid = f.size() == 7 ? parse_number(f[3]) : std::nullopt;
    if (!uid || !gid || *uid > UINT32_MAX || *gid > UINT32_MAX)
      return Error(Code::corrupt, "'{}' is no passwd line", printable(line));
    accounts.users_.push_back({std::string(f[0]), static_cast<uint32_t>(*uid),
                               static_cast<uint32_t>(*gid), std::string(f[4]), std::string(f[5]),
                               std::string(f[6])});
  }
  for (const std::string_view line : lines(group)) {
    if (line.empty()) continue;
    const std::vector<std::string_view> f = split(line, ':');
    const auto gid = f.size() == 4 ? parse_number(f[2]) : std::nullopt;
    if (!gid || *gid > UINT32_MAX)
      return Error(Code::corrupt, "'{}' is no group line", printable(line));
    accounts.groups_.push_back({std::string(f[0]), static_cast<uint32_t>(*gid), {}});
    for (const std::string_view member : split(f[3], ','))
      if (!member.empty()) accounts.groups_.back().members.emplace_back(member);
  }
  return accounts;
}

User* Accounts::find_user(std::string_view name) {
  const auto found = std::find_if(users_.begin(), users_.end(),
                                  [&](const User& user) { return user.name == name; });
  return found == users_.end() ? nullptr : &*found;
}

Group* Accounts::find_group(std::string_view name) {
  const auto found = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const Group& group) { return group.name == name; });
  return found == groups_.end() ? nullptr : &*found;
}

std::optional<uint32_t> Accounts::uid_of(std::string_view user) const {
  for (const User& known : users_)
    if (known.name == user) return known.uid;
  const auto number = parse_number(user);
  return number && *number < kNoGroup ? std::optional(static_cast<uint32_t>(*number)) : std::nullopt;
}

std::optional<uint32_t> Accounts::gid_of(std::string_view group) const {
  for (const Group& known : groups_)
    if (known.name == group) return known.gid;
  const auto number = parse_number(group);
  return number && *number < kNoGroup ? std::optional(static_cast<uint32_t>(*number)) : std::nullopt;
}

// One number for a user and its group, so that both tables stay easy to read.
uint32_t Accounts::free_number() const {
  for (uint32_t number = kFirstSystem; number <= kLastSystem; ++number) {
    const bool taken =
        std::any_of(users_.begin(), users_.end(),
                    [&](const User& user) { return user.uid == number; }) ||
        std::any_of(groups_.begin(), groups_.end(),
                    [&](const Group& group) { return group.gid == number; });
    if (!taken) return number;
  }
  return kNoGroup;  // 900 packages with accounts: they share.
}

uint32_t Accounts::make_group(const std::string& name, std::optional<uint32_t> gid) {
  if (const Group* group = find_group(name)) return group->gid;
  groups_.push_back({name, gid.value_or(free_number()), {}});
  return groups_.back().gid;
}

void Accounts::make_user(User user, bool own_group, std::optional<uint32_t> uid) {
  if (find_user(user.name) != nullptr) return;
  user.uid = uid.value_or(free_number());
  if (own_group) user.gid = make_group(user.name, user.uid);
  users_.push_back(std::move(user));
}

void Accounts::add_member(const std::string& user, const std::string& group) {
  make_group(group, std::nullopt);
  std::vector<std::string>& members = find_group(group)->members;
  if (std::find(members.begin(), members.end(), user) == members.end()) members.push_back(user);
}

void Accounts::add_sysusers(std::string_view text) {
  for (const std::string_view raw : lines(text)) {
    const std::string_view line = trim(raw);
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> words = quoted_words(line);
    if (words.size() < 2 || !is_account_name(words[1])) continue;
    const std::string id = words.size() > 2 ? words[2] : "-";
    const size_t colon = std::min(id.find(':'), id.size());
    const auto number = parse_number(std::string_view(id).substr(0, colon));
    const auto uid = number && *number <= 65535 ? std::optional(static_cast<uint32_t>(*number))
                                                : std::nullopt;
    if (words[0] == "g") make_group(words[1], uid);
    if (words[0] == "m" && is_account_name(id)) add_member(words[1], id);
    if (words[0] != "u" && words[0] != "u!") continue;
    const auto field = [&](size_t at, const char* otherwise) {
      return without_colon(words.size() > at && words[at] != "-" ? words[at] : otherwise);
    };
    User user{words[1], 0, 0, field(3, ""), field(4, "/"), field(5, "/usr/sbin/nologin")};
    const std::string group = id.substr(std::min(colon + 1, id.size()));
    const auto gid = gid_of(group);
    user.gid = gid.value_or(kNoGroup);
    make_user(std::move(user), !gid, uid);
  }
}

bool Accounts::add_by_command(const std::vector<std::string>& words) {
  static constexpr std::string_view kWithValue[] = {
      "--home", "--shell", "--gecos", "--comment", "--ingroup", "--uid",    "--gid",
      "-d",     "-s",      "-c",      "-g",        "-u",        "--groups", "-G",
      "-aG",    "-k",      "-K",      "-b",        "--firstuid", "--lastuid"};
  std::map<std::string, std::string> options;
  std::vector<std::string> names;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    const size_t equals = word.find('=');
    if (word.starts_with("--") && equals != std::string::npos) {
      options[word.substr(0, equals)] = word.substr(equals + 1);
    } else if (std::find(std::begin(kWithValue), std::end(kWithValue), word) !=
               std::end(kWithValue)) {
      if (i + 1 == words.size()) return false;
      options[word] = words[++i];
    } else if (word.starts_with('-')) {
      options[word] = "";
    } else {
      names.push_back(word);
    }
  }
  if (names.empty() || names.size() > 2 ||
      !std::all_of(names.begin(), names.end(), is_account_name))
    return false;
  const auto option = [&](std::initializer_list<const char*> spellings, std::string otherwise) {
    for (const char* spelling : spellings)
      if (const auto found = options.find(spelling); found != options.end()) return found->second;
    return otherwise;
  };
  const std::string& tool = words[0];
  const bool group_tool = tool.ends_with("addgroup") || tool.ends_with("groupadd") ||
                          options.contains("--group");
  if (names.size() == 2 || tool.ends_with("usermod")) {
    const std::string group = names.size() == 2 ? names[1] : option({"-aG", "-G", "--groups"}, "");
    if (!is_account_name(group)) return false;
    add_member(names[0], group);
    return true;
  }
  if (tool.ends_with("addgroup") || tool.ends_with("groupadd")) {
    const auto gid = gid_of(option({"--gid", "-g"}, "-"));
    make_group(names[0], gid);
    return true;
  }
  if (!tool.ends_with("adduser") && !tool.ends_with("useradd")) return false;
  User user{names[0], 0, kNoGroup, without_colon(option({"--gecos", "--comment", "-c"}, "")),
            without_colon(option({"--home", "-d"}, "/nonexistent")),
            without_colon(option({"--shell", "-s"}, "/usr/sbin/nologin"))};
  const std::string ingroup = option({"--ingroup", "--gid", "-g"}, "");
  if (const auto gid = gid_of(ingroup)) user.gid = *gid;
  const bool own_group = ingroup.empty() && (group_tool || tool.ends_with("useradd"));
  make_user(std::move(user), own_group, uid_of(option({"--uid", "-u"}, "-")));
  return true;
}

std::string Accounts::passwd() const {
  std::string out;
  for (const User& user : users_)
    out += fmt::format("{}:x:{}:{}:{}:{}:{}\n", user.name, user.uid, user.gid, user.comment,
                       user.home, user.shell);
  return out;
}

std::string Accounts::group() const {
  std::string out;
  for (const Group& group : groups_)
    out += fmt::format("{}:x:{}:{}\n", group.name, group.gid, fmt::join(group.members, ","));
  return out;
}

std::string Accounts::shadow() const {
  std::string out;
  for (const User& user : users_) out += fmt::format("{}:*::0:99999:7:::\n", user.name);
  return out;
}

std::string Accounts::gshadow() const {
  std::string out;
  for (const Group& group : groups_)
    out += fmt::format("{}:*::{}\n", group.name, fmt::join(group.members, ","));
  return out;
}

}  // namespace kist::debian
