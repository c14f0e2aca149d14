// Names of content as the registry's protocol has them: of sha256 or of sha512.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::registry_server {

enum class Algorithm { sha256, sha512 };

/// Holding one proves that it was parsed or computed: its parts are safe as names of files.
class ContentDigest {
 public:
  /// Errors: invalid (not a digest), unsupported (another algorithm).
  static Result<ContentDigest> parse(std::string_view text);
  static Result<ContentDigest> parse(std::string_view algorithm, std::string_view hex);

  Algorithm algorithm() const { return algorithm_; }
  std::string_view algorithm_name() const { return algorithm_ == Algorithm::sha256 ? "sha256" : "sha512"; }
  const std::string& hex() const { return hex_; }
  std::string string() const;
  auto operator<=>(const ContentDigest&) const = default;

 private:
  friend class Hasher;
  ContentDigest(Algorithm algorithm, std::string hex) : algorithm_(algorithm), hex_(std::move(hex)) {}
  Algorithm algorithm_;
  std::string hex_;
};

/// One thread at a time.
class Hasher {
 public:
  explicit Hasher(Algorithm algorithm);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  Algorithm algorithm() const { return algorithm_; }
  void update(std::string_view bytes);
  /// Ends the message; to be called once.
  ContentDigest finish();

  static ContentDigest of(Algorithm algorithm, std::string_view bytes);

 private:
  struct State;
  Algorithm algorithm_;
  std::unique_ptr<State> state_;
};

}  // namespace kist::registry_server
