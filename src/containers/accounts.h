// Who a container's process is: by the root's own /etc/passwd and /etc/group.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace kist::containers {

struct Account {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;
  std::string home = "/";
};

/// `wanted`: "", "1000", "1000:1000", "ada", "ada:staff", as docker has it: a bare number without an
/// entry has group 0 and the home "/"; a name must exist. `more_groups`: names or numbers.
/// The files are untrusted: of bounded size, links resolved inside `root`, odd lines passed over.
/// Errors: invalid ("no user 'ada' in the image").
Result<Account> find_account(const os::Fd& root, std::string_view wanted,
                             const std::vector<std::string>& more_groups);

}  // namespace kist::containers
