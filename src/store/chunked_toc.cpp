// Field names and their meaning are those of containers/storage (pkg/chunked, "minimal" and tar-split),
// whose readers compare both documents with each other, entry by entry.
#include "store/chunked_toc.h"

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <chrono>

#include "base/base64.h"
#include "base/text.h"

namespace kist::store {
namespace {

constexpr int64_t kYear0 = -62167219200;
constexpr int64_t kYear10000 = 253402300800;
constexpr uint32_t kSkippable = 0x184d2a50;
constexpr size_t kFrameHeaderBytes = 8;
constexpr int kTocType = 1;  // That of CRFS.
constexpr std::string_view kFooterMagic = "GNUlInUx";
constexpr std::string_view kAnnotations = "io.github.containers.zstd-chunked.";

std::string json(std::string_view text) { return boost::json::serialize(boost::json::string(text)); }

std::string time_text(int64_t time_s) {
  const std::chrono::sys_seconds time{std::chrono::seconds(time_s)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

const char* type_name(Kind kind) {
  switch (kind) {
    case Kind::folder: return "dir";
    case Kind::file: return "reg";
    case Kind::symlink: return "symlink";
  }
  return "reg";
}

std::string tar_name(const Entry& entry) { return entry.kind == Kind::folder ? entry.path + '/' : entry.path; }

std::string little_endian(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::string big_endian(uint64_t value) {
  const std::string turned = little_endian(value, 8);
  return {turned.rbegin(), turned.rend()};
}

// RFC 8878, section 3.1.2: decoders step over it.
std::string skippable_frame(std::string_view bytes) {
  KIST_ASSERT(bytes.size() <= UINT32_MAX);
  return little_endian(kSkippable, 4) + little_endian(bytes.size(), 4) + std::string(bytes);
}

std::string chunk_fields(const Chunk& chunk) {
  return fmt::format(R"(,"chunkSize":{},"chunkDigest":"{}")", chunk.size_bytes, chunk.digest.string());
}

// A number that is 0 is left out, as Go's encoder would.
void add_number(std::string& out, const char* key, uint64_t value) {
  if (value != 0) out += fmt::format(R"(,"{}":{})", key, value);
}

std::string described(const Entry& entry, const std::vector<Chunk>& chunks) {
  const std::string name = json(tar_name(entry));
  std::string out = fmt::format(R"({{"type":"{}","name":{})", type_name(entry.kind), name);
  if (entry.kind == Kind::symlink) out += R"(,"linkName":)" + json(entry.target);
  add_number(out, "mode", entry.mode);
  add_number(out, "size", entry.size_bytes);
  add_number(out, "uid", entry.uid);
  add_number(out, "gid", entry.gid);
  out += fmt::format(R"(,"modtime":"{}")", time_text(entry.mtime_s));
  if (!entry.xattrs.empty()) {
    out += R"(,"xattrs":{)";
    for (size_t i = 0; i < entry.xattrs.size(); ++i)
      out += fmt::format(R"({}{}:"{}")", i == 0 ? "" : ",", json(entry.xattrs[i].first), encode_base64(entry.xattrs[i].second));
    out += '}';
  }
  if (chunks.empty()) return out + '}';
  out += fmt::format(R"(,"digest":"{}","offset":{},"endOffset":{})", entry.object->string(), chunks.front().offset,
                     chunks.back().end_offset);
  if (chunks.size() == 1) return out + '}';
  out += chunk_fields(chunks.front()) + '}';
  uint64_t at = chunks.front().size_bytes;
  for (size_t i = 1; i < chunks.size(); ++i) {
    out += fmt::format(R"(,{{"type":"chunk","name":{},"offset":{},"endOffset":{},"chunkOffset":{})", name,
                       chunks[i].offset, chunks[i].end_offset, at);
    out += chunk_fields(chunks[i]) + '}';
    at += chunks[i].size_bytes;
  }
  return out;
}

}  // namespace

bool is_describable(const Tree& tree) {
  for (const Entry& entry : tree.entries()) {
    if (!is_valid_utf8(entry.path) || !is_valid_utf8(entry.target)) return false;
    if (entry.mtime_s < kYear0 || entry.mtime_s >= kYear10000) return false;
    for (const auto& attribute : entry.xattrs)
      if (!is_valid_utf8(attribute.first)) return false;
  }
  return true;
}

PackedDocument::PackedDocument(int level) {
  output_ = [this](std::string_view bytes) -> Result<void> {
    packed_ += bytes;
    return {};
  };
  compressor_ = make_compressor({.method = Compression::Method::zstd, .level = level}, output_);
}

void PackedDocument::write(std::string_view text) {
  plain_bytes_ += text.size();
  KIST_ASSERT(compressor_->write(text).has_value());  // Into memory.
}

const std::string& PackedDocument::finish() {
  KIST_ASSERT(compressor_->finish().has_value());
  return packed_;
}

ChunkedToc::ChunkedToc(int level) : contents_(level), tar_split_(level) {
  contents_.write(R"({"version":1,"entries":[)");
}

void ChunkedToc::add_segment(std::string_view bytes) {
  tar_split_.write(fmt::format("{{\"type\":2,\"payload\":\"{}\",\"position\":{}}}\n", encode_base64(bytes), positions_++));
}

void ChunkedToc::add_entry(const Entry& entry, const std::vector<Chunk>& chunks, uint64_t crc64) {
  std::string line = fmt::format(R"({{"type":1,"name":{})", json(tar_name(entry)));
  add_number(line, "size", entry.size_bytes);
  const std::string sum = chunks.empty() ? "null" : fmt::format("\"{}\"", encode_base64(big_endian(crc64)));
  tar_split_.write(fmt::format("{},\"payload\":{},\"position\":{}}}\n", line, sum, positions_++));
  contents_.write((entries_++ == 0 ? "" : ",") + described(entry, chunks));
}

std::string ChunkedToc::finish(uint64_t offset, std::map<std::string, std::string>& annotations) {
  const std::string& split = tar_split_.finish();
  const std::string split_digest = oci::Sha256::of(split).string();
  contents_.write(fmt::format(R"(],"tarSplitDigest":"{}"}})", split_digest));
  const std::string& contents = contents_.finish();
  const uint64_t at = offset + kFrameHeaderBytes;
  const uint64_t split_at = at + contents.size() + kFrameHeaderBytes;
  const auto annotate = [&](const char* key, std::string value) {
    annotations[std::string(kAnnotations) + key] = std::move(value);
  };
  annotate("manifest-checksum", oci::Sha256::of(contents).string());
  annotate("manifest-position",
           fmt::format("{}:{}:{}:{}", at, contents.size(), contents_.plain_bytes(), kTocType));
  annotate("tarsplit-checksum", split_digest);  // For readers that do not find it in the table.
  annotate("tarsplit-position", fmt::format("{}:{}:{}", split_at, split.size(), tar_split_.plain_bytes()));
  std::string footer;
  for (const uint64_t value : {at, uint64_t{contents.size()}, contents_.plain_bytes(), uint64_t{kTocType}, split_at,
                               uint64_t{split.size()}, tar_split_.plain_bytes()})
    footer += little_endian(value, 8);
  footer += kFooterMagic;
  return skippable_frame(contents) + skippable_frame(split) + skippable_frame(footer);
}

}  // namespace kist::store
