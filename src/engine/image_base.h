// The Debian part of an environment as an image has it: without what only building needs, and in
// the layers that images of other projects have too.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "python/pylock.h"
#include "store/object_sink.h"

namespace kist::engine {

enum class ImageForm {
  development,  // All that `kist run` has.
  production,   // No package manager, nothing that only it needs.
  minimal,      // And no shell, nor the programs around it.
};

struct DebianParts {
  store::Tree base;         // Files of the base set: the same for all projects on this base.
  store::Tree interpreter;  // Of Debian's Python.
  store::Tree debian;       // What the project asks for, and what was generated for all together.
};

/// Whether a file of an interpreter or of its byte-code is none that running needs.
bool is_left_out(std::string_view path, ImageForm form);

using ReadObject = std::function<Result<std::string>(const store::Entry&)>;

/// `tree`: all Debian packages, configured. Which file is whose is read from its dpkg database, so this
/// is a function of its arguments. What the lock asks for by name stays, whatever it is.
/// Errors: corrupt (the database), those of `read` and of `sink` (for the database of what is left).
Result<DebianParts> split_debian(const store::Tree& tree, const python::KistSection& lock, ImageForm form,
                                 const ReadObject& read, store::ObjectSink& sink);

}  // namespace kist::engine
