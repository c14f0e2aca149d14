// Layers from afar, whose way here may break off.
#pragma once

#include <functional>

#include "images/layer.h"

namespace kist::images {

/// store_layer() for a layer that comes from afar: what an earlier process had of it when it died, or lost the
/// network, is not asked for again. `claim` has a digest; `open` gives the bytes from that one on.
/// A second call of `open` means that what was there was damaged.
/// Errors: as store_layer(); what came is kept unless it was at fault.
Result<Layer> fetch_layer(const store::Store& store, store::Transaction& tx,
                          const std::function<Result<archive::Source>(uint64_t from)>& open, const LayerClaim& claim);

}  // namespace kist::images
