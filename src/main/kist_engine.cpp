// kist-engine: every verb, and every run that is not ready. The composition root: what the host has
// configured is read here and nowhere else.
#include <signal.h>
#include <sys/stat.h>

#include "main/host.h"
#include "main/network.h"
#include "verbs/dispatch.h"

int main(int argc, char** argv) {
  // A peer that closes its connection is an error of that write, not the end of the program.
  ::signal(SIGPIPE, SIG_IGN);
  auto host = kist::read_host();
  // Whatever the person's umask: modes in the store are set explicitly, folders must be ours. The
  // container gets the person's.
  ::umask(022);
  if (!host) {
    kist::cli::Terminal("auto", true).error(host.error());
    return 125;
  }
  auto machine = kist::read_machine(std::move(*host));
  if (!machine) {
    kist::cli::Terminal("auto", true).error(machine.error());
    return 125;
  }
  machine->starter = kist::sibling_program("kist");
  return kist::verbs::dispatch(std::vector<std::string>(argv + 1, argv + argc), *machine);
}
