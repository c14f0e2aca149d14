// Makes zips for tests, wrong ones above all: every field of every record can be forged.
#pragma once

#include <libdeflate.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/zip_format.h"

namespace kist::archive {

struct ForgedEntry {
  std::string name;
  std::string content;
  uint32_t unix_mode = 0100644;
  bool deflate = true;
  bool descriptor = false;
  uint16_t flags = 0;
  std::string central_extra = {};
  std::string local_extra = {};
  // What the headers say instead of the truth.
  std::optional<std::string> local_name = std::nullopt;
  std::optional<uint32_t> central_crc = std::nullopt;
  std::optional<uint32_t> local_crc = std::nullopt;
  std::optional<uint32_t> central_size = std::nullopt;
  std::optional<uint32_t> local_size = std::nullopt;
  std::optional<uint32_t> central_packed = std::nullopt;
  std::optional<uint16_t> central_method = std::nullopt;
  std::optional<uint32_t> offset = std::nullopt;
};

struct ForgedEnd {
  std::string comment = {};
  std::optional<uint16_t> entries = std::nullopt;
  std::optional<uint32_t> directory_offset = std::nullopt;
  std::string gap = {};  // Between directory and end record.
  bool zip64 = false;
  std::optional<uint64_t> zip64_entries = std::nullopt;
};

inline void put16(std::string& out, uint64_t v) {
  const auto value = static_cast<uint16_t>(v);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
inline void put32(std::string& out, uint64_t v) {
  const auto value = static_cast<uint32_t>(v);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
inline void put64(std::string& out, uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline std::string forge_deflate(std::string_view plain) {
  const std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> compressor(
      libdeflate_alloc_compressor(6), libdeflate_free_compressor);
  std::string out(libdeflate_deflate_compress_bound(compressor.get(), plain.size()), '\0');
  out.resize(libdeflate_deflate_compress(compressor.get(), plain.data(), plain.size(), out.data(),
                                         out.size()));
  return out;
}

inline void forge_local(std::string& out, const ForgedEntry& e, const std::string& packed,
                        uint32_t crc) {
  const std::string& name = e.local_name.value_or(e.name);
  const auto flags =
      static_cast<uint16_t>(e.flags | (e.descriptor ? zip::kFlagDescriptor : 0));
  put32(out, zip::kLocalSignature);
  put16(out, 20);
  put16(out, flags);
  put16(out, e.deflate ? zip::kDeflate : zip::kStored);
  put32(out, 0x00210000);  // 1980-01-01, 00:00.
  put32(out, e.descriptor ? 0 : e.local_crc.value_or(crc));
  put32(out, e.descriptor ? 0 : packed.size());
  put32(out, e.descriptor ? 0 : e.local_size.value_or(static_cast<uint32_t>(e.content.size())));
  put16(out, name.size());
  put16(out, e.local_extra.size());
  out += name + e.local_extra + packed;
  if (!e.descriptor) return;
  put32(out, zip::kDescriptorSignature);
  put32(out, e.local_crc.value_or(crc));
  put32(out, packed.size());
  put32(out, e.local_size.value_or(static_cast<uint32_t>(e.content.size())));
}

inline void forge_central(std::string& out, const ForgedEntry& e, size_t packed_bytes, uint32_t crc,
                          size_t offset) {
  put32(out, zip::kCentralSignature);
  put16(out, 0x0314);  // Made on Unix.
  put16(out, 20);
  put16(out, static_cast<uint16_t>(e.flags | (e.descriptor ? zip::kFlagDescriptor : 0)));
  put16(out, e.central_method.value_or(e.deflate ? zip::kDeflate : zip::kStored));
  put32(out, 0x00210000);
  put32(out, e.central_crc.value_or(crc));
  put32(out, e.central_packed.value_or(static_cast<uint32_t>(packed_bytes)));
  put32(out, e.central_size.value_or(static_cast<uint32_t>(e.content.size())));
  put16(out, e.name.size());
  put16(out, e.central_extra.size());
  put16(out, 0);
  put16(out, 0);
  put16(out, 0);
  put32(out, e.unix_mode << 16);
  put32(out, e.offset.value_or(static_cast<uint32_t>(offset)));
  out += e.name + e.central_extra;
}

inline std::string forge_zip(const std::vector<ForgedEntry>& entries, const ForgedEnd& end = {}) {
  std::string out;
  std::string directory;
  for (const ForgedEntry& e : entries) {
    const size_t offset = out.size();
    const std::string packed = e.deflate ? forge_deflate(e.content) : e.content;
    const uint32_t crc = libdeflate_crc32(0, e.content.data(), e.content.size());
    forge_local(out, e, packed, crc);
    forge_central(directory, e, packed.size(), crc, offset);
  }
  const size_t directory_offset = out.size();
  out += directory;
  const size_t end64 = out.size();
  if (end.zip64) {
    put32(out, zip::kEnd64Signature);
    put64(out, zip::kEnd64Bytes - 12);
    put16(out, 45);
    put16(out, 45);
    put32(out, 0);
    put32(out, 0);
    put64(out, end.zip64_entries.value_or(entries.size()));
    put64(out, end.zip64_entries.value_or(entries.size()));
    put64(out, directory.size());
    put64(out, directory_offset);
    put32(out, zip::kLocator64Signature);
    put32(out, 0);
    put64(out, end64);
    put32(out, 1);
  }
  out += end.gap;
  put32(out, zip::kEndSignature);
  put32(out, 0);
  const uint64_t count = end.zip64 && !end.entries ? zip::kMax16 : end.entries.value_or(
                                                 static_cast<uint16_t>(entries.size()));
  put16(out, count);
  put16(out, count);
  put32(out, end.zip64 ? zip::kMax32 : directory.size());
  put32(out, end.zip64 ? zip::kMax32
                       : end.directory_offset.value_or(static_cast<uint32_t>(directory_offset)));
  put16(out, end.comment.size());
  return out + end.comment;
}

}  // namespace kist::archive
