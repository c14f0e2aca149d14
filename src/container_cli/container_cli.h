// The verbs for containers. They run in the small static program, so that asking for a list or
// entering a container costs what the kernel costs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "cli/terminal.h"
#include "launch/request.h"

namespace kist::container_cli {

/// Whether `name` is one of the verbs of run().
bool is_container_verb(std::string_view name);

/// Whether the verb starts a process in a container that others can see or change meanwhile: then the
/// program's own file has to be protected first (runtime_cli::protect_program).
bool enters_container(std::string_view name);
/// The same of `kist run --image`. A new container that shares nothing has nobody in it who could.
bool is_reachable(const cli::Parsed& parsed);

/// Whether `kist inspect` is asked for something that may be an image: those are kist-engine's to show.
bool inspects_images(const cli::Parsed& parsed, const launch::Host& host);

/// The exit status. Errors are printed.
int run(const cli::VerbSpec& verb, const cli::Parsed& parsed, const launch::Host& host, cli::Terminal& terminal);

/// `kist run --image`. Empty when the image is not ready on this machine: kist-engine can say why.
/// `only_make`: `kist create`.
std::optional<int> run_image(const cli::Parsed& parsed, const launch::Host& host, cli::Terminal& terminal,
                             bool only_make = false);

}  // namespace kist::container_cli
