// Credentials that stand in a project's own files, for fetching what its lock names without them.
#pragma once

#include "engine/project.h"

namespace kist::engine {

/// Makes the client know what requirements and pyproject.toml say in addresses ("--index-url
/// https://${TOKEN}@host/simple") and what UV_INDEX_NAME_USERNAME and _PASSWORD say of the indexes
/// that pyproject.toml names. Nothing of it is kept. Call it before anything is fetched.
void learn_credentials(const environment::Context& context, const Project& project,
                       const python::Inputs& inputs);

}  // namespace kist::engine
