// What an image of a project says of itself: its configuration, and the layer with who runs it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "images/image_store.h"
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
  const images::Image* base = nullptr;  // When the base is an image.
  std::string shell = "/bin/bash";      // Of a development image.
  std::map<std::string, std::string> labels;  // Of the command line.
  std::map<std::string, std::string> variables;  // Of the host, for SOURCE_DATE_EPOCH alone.
};

/// Of a base image: its variables, ports, volumes, stop signal, shell and
/// labels, but for those that are about it alone; neither its entry point nor its health check, which are
/// about its program. Without layers and history. Created: SOURCE_DATE_EPOCH, else when the newest package of the lock
/// was published, never now. Errors: invalid (SOURCE_DATE_EPOCH).
Result<oci::ImageConfig> image_config(const ConfigRequest& request);

/// The topmost layer: the user, with a home, and the lock. `environment`: what lies below.
/// Errors: those of reading the accounts and of `sink`.
Result<store::Tree> metadata_tree(const ConfigRequest& request, const store::Tree& environment,
                                  const std::function<Result<std::string>(const store::Entry&)>& read,
                                  store::ObjectSink& sink);

}  // namespace kist::engine
