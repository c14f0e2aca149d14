// What the maintainer scripts of packages would do to a fresh system, and which of that kist does
// itself. What it cannot do is left for a container: see ConfigureJob in configure.h.
#pragma once

#include <string>
#include <vector>

#include "debian/alternatives.h"
#include "debian/deb.h"
#include "debian/root_view.h"

namespace kist::debian {

/// One change of the file system that a script asks for with known words.
struct FileEdit {
  enum class What { folder, symlink, empty_file, copy, mode, owner };
  What what;
  std::string path;              // Absolute.
  std::string other;             // Symlink target, or the file to copy.
  std::optional<uint32_t> mode;
  std::string user, group;       // Names or numbers; "" leaves them.
};

/// The outcome for one package.
struct ScriptPlan {
  std::vector<Alternative> alternatives;
  std::vector<std::vector<std::string>> account_commands;
  std::vector<FileEdit> edits;
  /// Commands that only a container can run, as text for people. Empty: no script needs to run.
  std::vector<std::string> remaining;
};

struct ScriptSubject {
  std::string package;
  std::string architecture;  // Of the package: "amd64".
  const DebMeta* meta;
};

/// Walks `postinst configure ""` of a package that is installed for the first time. Never fails:
/// what is not understood goes to `remaining`. Pure.
ScriptPlan plan_scripts(const ScriptSubject& subject, const RootView& root);

/// The default answers in a debconf templates file.
std::map<std::string, std::string> debconf_defaults(std::string_view templates);

}  // namespace kist::debian
