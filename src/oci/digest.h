// Content names: sha256 digests as values, and the hasher that makes them.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::oci {

/// Names content by its sha256. Holding one proves that it was parsed or computed (there is no
/// empty Digest), and hex() is safe as a file name. 32 bytes, cheap to copy: trees hold many.
class Digest {
 public:
  static constexpr size_t kBytes = 32;
  using Bytes = std::array<uint8_t, kBytes>;

  /// "sha256:" and 64 lower-case hex digits.
  /// Errors: invalid (names the offending byte and its position), unsupported (other algorithms).
  static Result<Digest> parse(std::string_view text);
  /// The 64 hex digits alone.
  static Result<Digest> parse_hex(std::string_view hex);
  explicit Digest(const Bytes& bytes) : bytes_(bytes) {}

  std::string string() const { return "sha256:" + hex(); }
  std::string hex() const;
  const Bytes& bytes() const { return bytes_; }
  auto operator<=>(const Digest&) const = default;

 private:
  Bytes bytes_;
};

/// Computes a Digest of bytes that come in pieces. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  /// Ends the message; the hasher is then as new.
  Digest finish();

  static Digest of(std::string_view bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kist::oci
