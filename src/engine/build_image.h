// kist build: the OCI image of a project, in the store.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/project.h"
#include "images/image_store.h"
#include "store/compressor.h"

namespace kist::engine {

struct BuildRequest {
  launch::RunRequest project;  // Which project and environment; locked, frozen.
  std::string platform;        // "linux/arm64"; empty: this machine's.
  bool is_development = false; // All that `kist run` has; else what running needs.
  store::Compression compression;
  std::vector<std::string> names;             // As Reference::name() gives them.
  std::map<std::string, std::string> labels;  // Beside those of kist.toml, and before them.
  std::vector<std::string> left_out;          // Absolute paths that are no part of the application.
};

struct BuiltLayers {
  std::vector<std::string> names;  // "base", "python/numpy" …, one for each layer.
  size_t known = 0;                // Of which the digest was known: neither read nor compressed.
  uint64_t written_bytes = 0;      // Of the tars of the others.
};

struct BuiltImage {
  images::Image image;
  std::string platform;
  BuiltLayers layers;
};

/// The project's locked environment and its files as an image. Locks and assembles if need be. The
/// same lock, files, settings and release of kist give the same digest: no clock, no name of a
/// machine, folder or user is in it. Layers are not stored but written when somebody reads them
/// (images/built_layer.h).
/// Errors: those of locking and assembling, of application_tree() and ImageStore::add(); unsupported
/// (something of another platform's environment would have to be executed).
Result<BuiltImage> build_image(const environment::Context& context, const BuildRequest& request);

}  // namespace kist::engine
