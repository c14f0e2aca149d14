// `kist runtime`: the command line of runc, so that podman, docker and containerd can use kist in its
// place. Also what runs when the program is called by the name kist-runtime.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kist::runtime_cli {

/// What main() knows of the world.
struct Caller {
  std::string runtime_dir;  // XDG_RUNTIME_DIR, or empty.
  std::string path;         // PATH
  unsigned listen_fds = 0;  // LISTEN_FDS, as systemd gives open sockets to services.
  /// protect_program(): for `run`, which is told by its configuration whether that is needed.
  std::function<void()> protect;
};

/// `args`: what follows the program's name. Returns the exit status: that of the container for `run`
/// and `exec`, 1 for failures as with runc, 126 and 127 for commands that cannot be executed.
int run(const std::vector<std::string>& args, const Caller& caller);

/// Whether these arguments lead into a container that may have processes already, or gets some later
/// while we are in it: the program has to be protected first.
bool enters_container(const std::vector<std::string>& args);
/// Makes the program's own file safe from what runs in containers, by executing it again from a
/// read-only mount that no path leads to, or from a sealed copy in memory. Does nothing where it is
/// safe already; returns only then, or if neither can be done.
void protect_program(char** argv, char** environment);

}  // namespace kist::runtime_cli
