// Images between this machine's store and registries.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "environment/context.h"
#include "images/image_store.h"
#include "images/intake.h"
#include "oci/image.h"
#include "oci/reference.h"
#include "registry/address.h"
#include "registry/client.h"

namespace kist::engine {

/// What of the machine a transfer needs. References outlive every use.
struct Transfer {
  const images::Intake& intake;
  registry::Host host;
  const http::Config& network;
  uint64_t bytes_per_second = 0;  // Of blobs, in each direction; 0: as fast as it goes.
};

/// `source` from that byte on.
registry::Source without_first(uint64_t bytes, registry::Source source);

/// For a repository to pull from or push to.
registry::TransferOptions options_of(const Transfer& transfer, bool for_push);

struct Pulled {
  images::Image image;
  oci::Digest digest;  // Of what the name stands for: an index, or the manifest itself.
  bool is_new = false;
  std::string from;  // "registry/repository"
};

/// Brings what `reference` stands for here, for one platform; layers that are here already are not asked
/// for. Mirrors are tried first. The image appears whole or not at all, under `reference.name()`.
/// Errors: those of registry::Repository, take_image(); not_found (no image for the platform),
/// unsupported (an artifact that is no image). `only_platform`: nor one for another platform, where the name
/// stands for a single image.
Result<Pulled> pull_image(const Transfer& transfer, const oci::Reference& reference, const oci::Platform& platform,
                          bool only_platform = false);

struct Wanted {
  struct Layer {
    oci::Digest digest;
    uint64_t size_bytes = 0;
    bool is_here = false;
  };
  oci::Digest digest;  // As Pulled::digest.
  std::vector<Layer> layers;
  uint64_t fetch_bytes = 0;  // Of layers that are not here.
};
/// What pull_image() would do, at the first place that answers. Asks for documents only.
Result<Wanted> preview_pull(const Transfer& transfer, const oci::Reference& reference, const oci::Platform& platform);

struct PushedLayer {
  oci::Digest digest;
  enum class How { there, mounted, sent } how = How::there;
  uint64_t size_bytes = 0;
};
struct Pushed {
  oci::Digest digest;
  uint64_t manifest_bytes = 0;
  std::string to;  // "registry/repository"
  std::vector<PushedLayer> layers;
  uint64_t sent_bytes = 0;
};
/// Sends what the registry does not have, the manifest last, under the reference's digest if it has one,
/// else its tag. `dry_run`: only asks what that would be.
Result<Pushed> push_image(const Transfer& transfer, const images::Image& image, const oci::Reference& reference,
                          bool dry_run);

/// Puts an index whose manifests are there already under the reference's tag.
Result<void> push_index(const Transfer& transfer, const std::string& bytes, const oci::Reference& reference);

/// Where a copy comes from or goes.
struct CopyEnd {
  std::optional<oci::Reference> reference;  // In a registry; else what follows.
  std::string layout = {};                  // An OCI layout: a folder, or a tar to read.
  std::string name = {};                    // Of the image in it; may be empty.
  std::string shown = {};                   // For messages: "oci:folder".
  std::string user = {};                    // Instead of the kept credentials; mostly empty.
  http::Secret password = {};
};
struct CopyOptions {
  std::optional<oci::Platform> platform;  // Of an index only this one; empty: the index with all.
  bool all_tags = false;                  // All of the repository, or all named ones of the layout.
  bool referrers = false;                 // What refers to it, too: signatures and the like.
  bool dry_run = false;                   // Only asks what would be sent.
};
struct Copied {
  oci::Digest digest;
  std::string to;   // "registry.example/team/tool", "oci:folder"
  std::string tag;  // Or name, there; a digest; or empty.
  uint64_t sent_bytes = 0;
};
/// Between registries and layouts: images, indexes with all that they name, artifacts of any type. Blobs are
/// not kept here; within one registry they are mounted. Threads and errors as push_image().
Result<std::vector<Copied>> copy_images(const Transfer& transfer, const CopyEnd& from, const CopyEnd& to,
                                        const CopyOptions& options);

}  // namespace kist::engine
