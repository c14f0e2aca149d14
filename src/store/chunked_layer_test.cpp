// Goal: who trusts the table of contents gets what who reads the whole layer gets. Method: a small reader
// of the format, which starts from the annotations alone, as those of other programs do.
#include "store/chunked_layer.h"

#include <zstd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "archive/decompress.h"
#include "base/base64.h"
#include "base/text.h"
#include "store/crc64.h"
#include "store/test_contents.h"

namespace kist::store {
namespace {

namespace json = boost::json;

constexpr const char* kPrefix = "io.github.containers.zstd-chunked.";

struct Written {
  Layer layer;
  std::string bytes;

  std::string annotation(const std::string& key) const { return layer.annotations.at(kPrefix + key); }
};

Written written(const Tree& tree, const Contents& contents, std::string_view compression = "zstd:chunked") {
  std::string bytes;
  const Output output = [&](std::string_view piece) -> Result<void> {
    bytes += piece;
    return {};
  };
  Layer layer = must(write_layer(tree, contents, output, must(Compression::parse(compression))));
  return {.layer = std::move(layer), .bytes = std::move(bytes)};
}

std::string plain_of(std::string_view bytes) {
  std::string out;
  archive::Source raw = [bytes]() mutable -> Result<std::string_view> { return std::exchange(bytes, {}); };
  const archive::Source plain = must(archive::decompress(std::move(raw), archive::TarFilter::zstd));
  must(archive::each_piece(plain, [&](std::string_view piece) -> Result<void> {
    out += piece;
    return {};
  }));
  return out;
}

// "offset:length:plain length[:type]" of an annotation.
std::vector<uint64_t> numbers(const std::string& text) {
  std::vector<uint64_t> out;
  for (const std::string_view field : split(text, ':')) out.push_back(parse_number(field).value());
  return out;
}

std::string document(const Written& layer, const std::string& position) {
  const auto at = numbers(layer.annotation(position));
  std::string out = plain_of(std::string_view(layer.bytes).substr(at[0], at[1]));
  EXPECT_EQ(out.size(), at[2]);
  return out;
}

json::object toc_of(const Written& layer) { return json::parse(document(layer, "manifest-position")).as_object(); }

uint64_t number(const json::object& entry, std::string_view key) {
  const json::value* const value = entry.if_contains(key);
  return value == nullptr ? 0 : value->to_number<uint64_t>();
}

// Contents by name, each frame alone.
std::map<std::string, std::string> files_of(const Written& layer) {
  std::map<std::string, std::string> out;
  const json::object toc = toc_of(layer);
  for (const json::value& value : toc.at("entries").as_array()) {
    const json::object& entry = value.as_object();
    const uint64_t begin = number(entry, "offset");
    std::string& content = out[std::string(entry.at("name").as_string())];
    if (begin == 0) continue;
    std::string bytes = plain_of(std::string_view(layer.bytes).substr(begin, number(entry, "endOffset") - begin));
    if (const uint64_t size = number(entry, "chunkSize"); size != 0) {
      bytes.resize(size);  // The first one's end is the file's.
      EXPECT_EQ(entry.at("chunkDigest").as_string(), oci::Sha256::of(bytes).string());
      EXPECT_EQ(number(entry, "chunkOffset"), content.size());
    }
    content += bytes;
  }
  return out;
}

std::string base64(std::string_view text) { return decode_base64(text).value(); }

// The tar, from its tar-split data and the contents.
std::string tar_of(const Written& layer, const std::map<std::string, std::string>& files) {
  std::string out;
  uint64_t position = 0;
  const std::string text = document(layer, "tarsplit-position");
  for (const std::string_view line : lines(text)) {
    const json::object entry = json::parse(json::string_view(line)).as_object();
    EXPECT_EQ(number(entry, "position"), position++);
    if (number(entry, "type") == 2) {
      out += base64(entry.at("payload").as_string());
    } else if (const uint64_t size = number(entry, "size"); size > 0) {
      const std::string& content = files.at(std::string(entry.at("name").as_string()));
      EXPECT_EQ(content.size(), size);
      std::string crc;
      for (const uint64_t sum = crc64_iso(0, content); crc.size() < 8;)
        crc += static_cast<char>(sum >> (56 - 8 * crc.size()) & 0xff);
      EXPECT_EQ(base64(entry.at("payload").as_string()), crc);
      out += content;
    }
  }
  return out;
}

Tree sample(TestContents& contents) {
  Entry rich = contents.add("rich \"é\"\n", "rich", 0600);
  rich.uid = 1000;
  rich.gid = 2'097'152;
  rich.mtime_s = 1'700'000'000;
  rich.xattrs = {{"security.capability", std::string("\1\0\0\n=", 5)}, {"user.a", ""}};
  return must(Tree::make({rich, folder("tmp", 01777), contents.add("usr/bin/su", "su", 04755),
                          contents.add("empty", "", 0444), contents.add("block", std::string(512, 'b')),
                          contents.add("large", random_bytes(9'000'000)), contents.add(std::string(200, 'r'), "pax"),
                          symlink("to-101", std::string(101, 't'))}));
}

TEST(ChunkedLayerTest, IsTheSameTarAsWithoutTheTable) {
  TestContents contents;
  const Tree tree = sample(contents);
  const Written chunked = written(tree, contents);
  const Written plain = written(tree, contents, "none");
  EXPECT_EQ(chunked.layer.diff_id, plain.layer.diff_id);
  EXPECT_EQ(chunked.layer.tar_bytes, plain.layer.tar_bytes);
  EXPECT_EQ(plain_of(chunked.bytes), plain.bytes);
  EXPECT_EQ(oci::Sha256::of(chunked.bytes), chunked.layer.digest);
  EXPECT_TRUE(plain.layer.annotations.empty());
}

TEST(ChunkedLayerTest, DoesNotDependOnHowContentsArrive) {
  TestContents whole;
  TestContents pieces(4099);
  EXPECT_EQ(written(sample(whole), whole).layer.digest, written(sample(pieces), pieces).layer.digest);
  EXPECT_NE(written(sample(whole), whole, "zstd:chunked:9").layer.digest, written(sample(whole), whole).layer.digest);
}

TEST(ChunkedLayerTest, TheTableLeadsToEachFileAndTheSplitDataToTheTar) {
  TestContents contents;
  const Tree tree = sample(contents);
  const Written layer = written(tree, contents);
  const auto files = files_of(layer);
  for (const Entry& entry : tree.entries()) {
    if (entry.kind != Kind::file) continue;
    ASSERT_TRUE(files.contains(entry.path)) << entry.path;
    EXPECT_EQ(oci::Sha256::of(files.at(entry.path)), *entry.object) << entry.path;
  }
  EXPECT_TRUE(files.contains("tmp/"));
  EXPECT_EQ(tar_of(layer, files), written(tree, contents, "none").bytes);
}

TEST(ChunkedLayerTest, TheTableSaysWhatTheTreeDoes) {
  TestContents contents;
  const json::object toc = toc_of(written(sample(contents), contents));
  EXPECT_EQ(toc.at("version"), 1);
  json::object seen;
  for (const json::value& entry : toc.at("entries").as_array())
    if (entry.at("type") != "chunk") seen[entry.at("name").as_string()] = entry;
  const json::object& rich = seen.at("rich \"é\"\n").as_object();
  EXPECT_EQ(rich.at("mode"), 0600);
  EXPECT_EQ(rich.at("uid"), 1000);
  EXPECT_EQ(rich.at("gid"), 2'097'152);
  EXPECT_EQ(rich.at("size"), 4);
  EXPECT_EQ(rich.at("modtime"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(json::serialize(rich.at("xattrs")), R"({"security.capability":"AQAACj0=","user.a":""})");
  EXPECT_EQ(rich.at("digest").as_string(), oci::Sha256::of("rich").string());
  EXPECT_EQ(seen.at("to-101").at("linkName").as_string(), std::string(101, 't'));
  EXPECT_EQ(seen.at("tmp/").at("type"), "dir");
  EXPECT_EQ(seen.at("tmp/").at("mode"), 01777);
  EXPECT_FALSE(seen.at("empty").as_object().contains("offset"));
}

TEST(ChunkedLayerTest, DigestsAndTheFooterLeadToTheTable) {
  TestContents contents;
  const Written layer = written(sample(contents), contents);
  const auto toc = numbers(layer.annotation("manifest-position"));
  const auto split_data = numbers(layer.annotation("tarsplit-position"));
  const std::string_view bytes = layer.bytes;
  EXPECT_EQ(layer.annotation("manifest-checksum"), oci::Sha256::of(bytes.substr(toc[0], toc[1])).string());
  const std::string split_digest = oci::Sha256::of(bytes.substr(split_data[0], split_data[1])).string();
  EXPECT_EQ(layer.annotation("tarsplit-checksum"), split_digest);
  EXPECT_EQ(toc_of(layer).at("tarSplitDigest").as_string(), split_digest);
  EXPECT_EQ(toc[3], 1u);
  const std::string_view footer = bytes.substr(bytes.size() - 72);
  EXPECT_EQ(footer.substr(0, 8), std::string_view("\x50\x2a\x4d\x18\x40\0\0\0", 8));
  EXPECT_EQ(footer.substr(64), "GNUlInUx");
  std::vector<uint64_t> told;
  for (size_t i = 8; i < 64; i += 8) {
    uint64_t value = 0;
    for (size_t j = 8; j-- > 0;) value = value << 8 | static_cast<unsigned char>(footer[i + j]);
    told.push_back(value);
  }
  EXPECT_EQ(told, (std::vector<uint64_t>{toc[0], toc[1], toc[2], 1, split_data[0], split_data[1], split_data[2]}));
}

// Goal: what has no content needs no memory for all of it at once. Method: the length that each frame says it has.
TEST(ChunkedLayerTest, ALongRunOfHeadersIsSeveralFrames) {
  TestContents contents;
  std::vector<Entry> entries;
  for (int i = 0; i < 20'000; ++i) entries.push_back(symlink(fmt::format("links/{}", i), "target"));
  const Tree tree = must(Tree::make(std::move(entries)));
  const Written layer = written(tree, contents);
  uint64_t largest = 0;
  for (std::string_view rest = layer.bytes; !rest.empty(); rest.remove_prefix(::ZSTD_findFrameCompressedSize(rest.data(), rest.size())))
    largest = std::max<uint64_t>(largest, ::ZSTD_getFrameContentSize(rest.data(), rest.size()));
  EXPECT_EQ(largest, 4u << 20);
  EXPECT_EQ(plain_of(layer.bytes), written(tree, contents, "none").bytes);
  EXPECT_EQ(tar_of(layer, files_of(layer)), plain_of(layer.bytes));
}

// Cuts depend on the bytes around them: behind an insertion they are the old ones.
TEST(ChunkedLayerTest, AnInsertionMovesNoLaterCut) {
  TestContents contents;
  const std::string before = random_bytes(12'000'000);
  const std::string after = before.substr(0, 2'000'000) + "inserted" + before.substr(2'000'000);
  const auto chunks_of = [&](const std::string& bytes) {
    std::map<std::string, uint64_t> out;
    const json::object toc = toc_of(written(must(Tree::make({contents.add("f", bytes)})), contents));
    for (const json::value& entry : toc.at("entries").as_array())
      out[std::string(entry.at("chunkDigest").as_string())] = number(entry.as_object(), "chunkSize");
    return out;
  };
  const auto old_chunks = chunks_of(before);
  EXPECT_GT(old_chunks.size(), 5u);
  uint64_t fresh = 0;
  for (const auto& [digest, size] : chunks_of(after)) {
    EXPECT_LE(size, 4u << 20);
    if (!old_chunks.contains(digest)) fresh += size;
  }
  EXPECT_GT(fresh, 0u);
  EXPECT_LE(fresh, 2u * (4u << 20));
}

// Readers would refuse a table that differs from the tar: such a layer has none, and is whole all the same.
TEST(ChunkedLayerTest, WhatTheTableCannotSayLeavesItOut) {
  TestContents contents;
  Entry late = contents.add("late", "late");
  late.mtime_s = 300'000'000'000;
  for (const Entry& entry : {contents.add("odd\xff", "odd"), symlink("s", "\xff"), late}) {
    const Tree tree = must(Tree::make({entry}));
    const Written layer = written(tree, contents);
    EXPECT_TRUE(layer.layer.annotations.empty());
    EXPECT_EQ(plain_of(layer.bytes), written(tree, contents, "none").bytes);
  }
}

TEST(ChunkedLayerTest, CrcIsThatOfTheStandard) {
  EXPECT_EQ(crc64_iso(0, "123456789"), 0xb90956c775a41001u);
  EXPECT_EQ(crc64_iso(crc64_iso(0, "1234567890123"), "456"), crc64_iso(0, "1234567890123456"));
  EXPECT_EQ(crc64_iso(0, ""), 0u);
}

}  // namespace
}  // namespace kist::store
