// What an image of a project says of itself: its configuration, and the layer with who runs it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "oci/image.h"
#include "python/inputs.h"
#include "python/pylock.h"
#include "store/object_sink.h"

namespace kist::engine {

struct ConfigRequest {
  const python::Inputs& inputs;
  const python::Lock& lock;
  std::string lock_text;  // As the file has it.
  bool is_development = false;
  std::map<std::string, std::string> labels;  // Of the command line.
  std::map<std::string, std::string> variables;  // Of the host, for SOURCE_DATE_EPOCH alone.
};

/// Without layers and history. Created: SOURCE_DATE_EPOCH, else when the newest package of the lock
/// was published, never now. Errors: invalid (SOURCE_DATE_EPOCH).
Result<oci::ImageConfig> image_config(const ConfigRequest& request);

/// The topmost layer: the user, with a home, and the lock. `environment`: what lies below.
/// Errors: those of reading the accounts and of `sink`.
Result<store::Tree> metadata_tree(const ConfigRequest& request, const store::Tree& environment,
                                  const std::function<Result<std::string>(const store::Entry&)>& read,
                                  store::ObjectSink& sink);

}  // namespace kist::engine
