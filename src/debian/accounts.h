// Users and groups of an assembled system.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::debian {

struct User {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string comment, home, shell;
};

struct Group {
  std::string name;
  uint32_t gid = 0;
  std::vector<std::string> members;
};

/// Starts from base-passwd's masters; packages add system accounts. Numbers are given in the order
/// of the calls, so callers go through packages in a fixed order.
class Accounts {
 public:
  /// Errors: corrupt (names the line).
  static Result<Accounts> from_masters(std::string_view passwd, std::string_view group);

  /// A line-based sysusers.d(5) file: u, g and m lines. Lines that it does not understand are passed
  /// over.
  void add_sysusers(std::string_view text);
  /// `adduser --system …`, `addgroup --system …`, `useradd`, `groupadd`, `usermod -aG`, with all
  /// words known. False when the call is not understood.
  bool add_by_command(const std::vector<std::string>& words);

  /// Numbers of "root" or "42"; empty when there is no such name.
  std::optional<uint32_t> uid_of(std::string_view user) const;
  std::optional<uint32_t> gid_of(std::string_view group) const;

  std::string passwd() const;
  std::string group() const;
  std::string shadow() const;   // All passwords locked, and no dates, so that it is the same always.
  std::string gshadow() const;

 private:
  User* find_user(std::string_view name);
  Group* find_group(std::string_view name);
  uint32_t free_number() const;
  uint32_t make_group(const std::string& name, std::optional<uint32_t> gid);
  void make_user(User user, bool own_group, std::optional<uint32_t> uid);
  void add_member(const std::string& user, const std::string& group);

  std::vector<User> users_;
  std::vector<Group> groups_;
};

}  // namespace kist::debian
