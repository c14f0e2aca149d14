// update-alternatives, without running it: the calls of maintainer scripts become the links below
// /etc/alternatives and the records that the real program reads and continues.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "debian/root_view.h"
#include "store/object_sink.h"

namespace kist::debian {

struct AlternativeLink {
  std::string name;    // "awk.1.gz"
  std::string link;    // "/usr/share/man/man1/awk.1.gz"
  std::string target;  // "/usr/share/man/man1/mawk.1.gz"
};

/// One `update-alternatives --install`.
struct Alternative {
  AlternativeLink master;
  int priority = 0;
  std::vector<AlternativeLink> slaves;
};

/// Of the words of a command, "update-alternatives" first. Empty for other actions than --install.
/// Errors: invalid (a word that is not known, a call that does not parse).
Result<std::optional<Alternative>> parse_alternative(
    const std::vector<std::optional<std::string>>& words);

/// Links and records for all of them. Of one name, the choice with the highest priority whose target
/// exists wins, the first by path among equals; choices without a target are left out.
Result<void> add_alternatives(const std::vector<Alternative>& all, const RootView& root,
                              store::TreeBuilder& builder);

}  // namespace kist::debian
