// Python that is no part of the Debian base: an archive that kist.toml names by address and hash.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "environment/context.h"
#include "environment/interpreter_archive.h"
#include "environment/pieces.h"
#include "python/inputs.h"
#include "python/pylock.h"
#include "python/tags.h"

namespace kist::environment {

/// The interpreter as a piece: gives the tree at /opt/python, and its facts as a tree of their own.
/// `folder`: what a relative path starts from. Errors: not_found (a file that is not there).
Result<Piece> interpreter_piece(const Context& context, const python::LockedInterpreter& interpreter,
                                const std::string& folder);

struct Interpreter {
  store::Tree files;
  InterpreterFacts facts;
};

/// From the store, or fetched and unpacked. Errors: those of gather() and unpack_interpreter();
/// invalid (it is for another platform).
Result<Interpreter> bring_interpreter(const Context& context,
                                      const python::LockedInterpreter& interpreter,
                                      const std::string& platform, const std::string& folder,
                                      store::Transaction& tx);

/// What the store knows of it; empty when it was never unpacked here. Errors: those of the store.
Result<std::optional<InterpreterFacts>> known_facts(const Context& context,
                                                    const python::LockedInterpreter& interpreter);

/// What a lock needs to know of the project's own interpreter.
struct ChosenInterpreter {
  python::LockedInterpreter locked;  // With its size; its path as seen from the lock's folder.
  std::string python;                // "3.12.7"; "3.12" when neither content nor name say more.
  std::vector<std::string> libraries;  // Of the base, that it needs: "libz.so.1".
};

struct InterpreterRequest {
  const python::Inputs& inputs;
  std::string platform;        // "linux/amd64"
  std::string project_folder;  // What paths in kist.toml start from,
  std::string lock_folder;     // and those in the lock.
};

/// Empty when the project has none of its own for the platform. Brings it, since only its content
/// says which version it is. Errors: those of bring_interpreter() and check_python().
Result<std::optional<ChosenInterpreter>> choose_interpreter(const Context& context,
                                                            const InterpreterRequest& request,
                                                            store::Transaction& tx);

/// "3.12.7" of "cpython-3.12.7+20241016-x86_64-unknown-linux-gnu-install_only.tar.gz"; empty for
/// names that say no version.
std::string version_in_name(std::string_view url_or_path);

}  // namespace kist::environment
