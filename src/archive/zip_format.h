// The numbers of the zip format (APPNOTE 6.3), shared by the two halves of the reader.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "os/fd.h"

namespace kist::archive::zip {

inline constexpr uint32_t kLocalSignature = 0x04034b50;
inline constexpr uint32_t kCentralSignature = 0x02014b50;
inline constexpr uint32_t kEndSignature = 0x06054b50;
inline constexpr uint32_t kEnd64Signature = 0x06064b50;
inline constexpr uint32_t kLocator64Signature = 0x07064b50;
inline constexpr uint32_t kDescriptorSignature = 0x08074b50;

inline constexpr size_t kLocalBytes = 30;
inline constexpr size_t kCentralBytes = 46;
inline constexpr size_t kEndBytes = 22;
inline constexpr size_t kEnd64Bytes = 56;
inline constexpr size_t kLocator64Bytes = 20;

inline constexpr uint16_t kStored = 0;
inline constexpr uint16_t kDeflate = 8;

inline constexpr uint16_t kFlagEncrypted = 1 << 0;
inline constexpr uint16_t kFlagDescriptor = 1 << 3;
inline constexpr uint16_t kFlagPatched = 1 << 5;
inline constexpr uint16_t kFlagStrongEncryption = 1 << 6;
inline constexpr uint16_t kFlagMaskedHeaders = 1 << 13;

inline constexpr uint16_t kExtraZip64 = 0x0001;
inline constexpr uint16_t kExtraUnicodePath = 0x7075;

inline constexpr uint16_t kMax16 = 0xffff;
inline constexpr uint32_t kMax32 = 0xffffffff;

/// Little-endian numbers; the caller has checked that the bytes are there. kist runs on
/// little-endian machines only (amd64, arm64).
inline uint16_t u16(const char* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline uint32_t u32(const char* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline uint64_t u64(const char* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// The body of the first extra field `wanted`. Trailing bytes that are no field are ignored, as
/// every reader does: Android's zipalign pads with them.
inline std::optional<std::string_view> extra_field(std::string_view extra, uint16_t wanted) {
  while (extra.size() >= 4) {
    const uint16_t id = u16(extra.data());
    const size_t size = u16(extra.data() + 2);
    if (extra.size() < 4 + size) return std::nullopt;
    if (id == wanted) return extra.substr(4, size);
    extra.remove_prefix(4 + size);
  }
  return std::nullopt;
}

/// Exactly `size` bytes from `offset`. Errors: corrupt when the file is shorter.
Result<void> read_exactly(const os::Fd& fd, uint64_t offset, char* into, size_t size);

}  // namespace kist::archive::zip
