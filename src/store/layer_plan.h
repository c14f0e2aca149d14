// Which packages share a layer of an image: a pure function of what is locked, so that two images
// that share packages share layers, whoever builds them. docs/formats/layer.md gives the reasons.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kist::store {

/// Bottom first: what changes least lies lowest.
enum class LayerKind { base, debian, interpreter, python, bytecode, application, metadata };

struct LayerPackage {
  std::string name;  // Normalised; what the bucket is chosen by.
  LayerKind kind;
  uint64_t compressed_bytes;  // As fetched: a wheel's length.
  uint64_t installed_bytes;   // Sum of the sizes of its files.
};

struct LayerSlot {
  std::string name;              // "base", "python/numpy", "python/tail-07", "application" ….
  std::vector<size_t> packages;  // Indexes into the input, ordered by name.
  bool is_split = false;         // Goes through split_tree() with kMaxPartBytes.
};

inline constexpr size_t kMaxLayers = 100;
inline constexpr size_t kTailBuckets = 16;
inline constexpr uint64_t kMinSoloBytes = 3'000'000;      // Compressed.
inline constexpr uint64_t kSplitAboveBytes = 1ull << 30;  // Installed.
inline constexpr uint64_t kMaxPartBytes = 512ull << 20;

/// The slots that are not empty, bottom first. Independent of the order of `packages`. Python
/// packages of at least kMinSoloBytes have a layer of their own, the largest lowest; the others
/// share kTailBuckets layers by the hash of their name; every other kind is one layer. If that is
/// more than kMaxLayers, the smallest of the single ones join the buckets.
std::vector<LayerSlot> plan_layers(std::span<const LayerPackage> packages);

}  // namespace kist::store
