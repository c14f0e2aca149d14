// The Python part of an environment: locked packages as pieces, and the virtual environment that
// they are installed into.
#pragma once

#include <string>
#include <vector>

#include "environment/pieces.h"
#include "python/pylock_select.h"

namespace kist::environment {

/// A wheel of the lock as a piece. `lock_folder`: what relative paths in the lock start from.
Result<Piece> wheel_piece(const Context& context, const python::SelectedPackage& package,
                          const python::Target& target, const std::string& lock_folder);

/// The same, for a wheel that was built of the package: `package.file` is that wheel, and
/// `direct_url` is what direct_url_json() gave for the package as it was locked.
Result<Piece> wheel_piece_with(const Context& context, const python::SelectedPackage& package,
                               const python::Target& target, const std::string& lock_folder,
                               const std::optional<std::string>& direct_url);

/// PEP 610 for what did not come from an index; empty for what did. Names this machine's folders for
/// editable packages only.
Result<std::optional<std::string>> direct_url_json(const python::SelectedPackage& package,
                                                   const std::string& lock_folder);

/// The virtual environment at /opt/kist over the target's interpreter: pyvenv.cfg, bin/python.
Result<store::Tree> venv_tree(const python::Target& target, store::ObjectSink& sink);

}  // namespace kist::environment
