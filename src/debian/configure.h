// Unpacked Debian packages become one tree that runs: what their maintainer scripts would have done
// is done by us, as data, and what only a script can do is run in a container and cleaned of what
// differs from run to run. docs/formats/debian-base.md lists all of it.
//
//   Assembled base = TRY(assemble(debs, {}, {.architecture = "amd64"}, reader, sink, runner));
//   … base.tree …
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "debian/deb.h"
#include "debian/solver.h"
#include "store/object_sink.h"

namespace kist::debian {

/// Changes whenever assemble() would give another tree for the same packages.
inline constexpr int kAssembleRecipe = 2;

struct InstalledDeb {
  LockedDeb deb;
  store::Tree files;
  DebMeta meta;
};

/// Maintainer scripts that have to run: all of a set, in one container, in dependency order.
struct ConfigureJob {
  /// For `/bin/sh -c`, as root, in a container whose root is `root`, without a network. Everything
  /// that it needs to know is in it; the environment should be empty.
  std::string script;
  store::Tree root;
  std::vector<std::string> packages;  // Whose scripts run.
  std::vector<std::string> reasons;   // "fontconfig: fc-cache -s -v", for people.
};

/// What the container left in its writable layer.
struct JobResult {
  store::Tree changed;               // Files added and changed, with their folders.
  std::vector<std::string> removed;  // Paths of the root that are gone.
};
/// Errors: those of the container; invalid when the script failed (with its output).
using JobRunner = std::function<Result<JobResult>(const ConfigureJob&)>;

struct AssembleOptions {
  std::string architecture = "amd64";
  PathFilter filter;  // As the packages were unpacked with.
};

struct AssembledPart {
  std::string name;  // "libc6", "usr-merge", "fixups", "scripts".
  store::Tree tree;
};

struct Assembled {
  std::vector<AssembledPart> parts;  // They merge without a conflict, in this order.
  store::Tree tree;                  // All of them merged.
  std::vector<std::string> ran;      // ConfigureJob::reasons, if one ran.
};

/// `tools`: packages that are in the container of a ConfigureJob only (see configure_tools()); those
/// that are in `packages` too are passed over. `runner` may be empty: then a set that needs it is an
/// error. The result depends on nothing but the arguments.
///
/// Errors: exists (packages overlap), unsupported (scripts must run and there is no runner; lists
/// them), corrupt, those of reader, sink and runner.
Result<Assembled> assemble(std::span<const InstalledDeb> packages,
                           std::span<const InstalledDeb> tools, const AssembleOptions& options,
                           const ContentReader& reader, store::ObjectSink& sink,
                           const JobRunner& runner);

/// What maintainer scripts take for granted, to be locked beside any set that may need a container.
std::vector<std::string> configure_tools();

/// The part of what scripts wrote that belongs in an image: without logs, caches that hold times,
/// backups of databases and what the container itself brought. Pure.
Result<store::Tree> normalise(const store::Tree& changed);
/// Whether normalise() leaves a path out.
bool is_volatile(std::string_view path);

}  // namespace kist::debian
