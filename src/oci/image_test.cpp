#include "oci/image.h"

#include <gtest/gtest.h>

namespace kist::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string manifest_with(const std::string& more) {
  return R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",)"
         R"("digest":")" +
         kDigest + R"(","size":7},"layers":[{"mediaType":")" + std::string(media::kLayerGzip) +
         R"(","digest":")" + kDigest + R"(","size":9,"annotations":{"a":"b"}}])" + more + "}";
}

TEST(ManifestTest, ReadsWhatItWrites) {
  const auto read = parse_manifest(manifest_with(R"(,"annotations":{"k":"v"})"), media::kManifest);
  ASSERT_TRUE(read.has_value()) << read.error().render();
  EXPECT_EQ(read->config.size_bytes, 7u);
  EXPECT_EQ(read->layers.at(0).annotations.at("a"), "b");
  const std::string text = encode(*read);
  const auto again = parse_manifest(text);
  ASSERT_TRUE(again.has_value()) << again.error().render();
  EXPECT_EQ(encode(*again), text);
}

TEST(IndexTest, KeepsWhatKindOfArtifactAnEntryIs) {
  const std::string text = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:)" +
                           std::string(64, '0') + R"(","size":7,"artifactType":"application/x.report","annotations":{"a":"b"}}]})";
  const Index index = parse_index(text).value();
  EXPECT_EQ(index.manifests.at(0).artifact_type, "application/x.report");
  EXPECT_EQ(encode(index), text);
}

TEST(ManifestTest, RefusesWhatTwoReadersWouldTakeForTwoThings) {
  const struct {
    const char* why;
    std::string text;
    std::string_view announced;
    std::string message;
  } cases[] = {
      {"an index's type", manifest_with(R"(,"mediaType":")" + std::string(media::kIndex) + "\""), "",
       "manifest has the media type 'application/vnd.oci.image.index.v1+json', want a manifest's"},
      {"announced as an index", manifest_with(""), media::kIndex,
       "manifest was announced as 'application/vnd.oci.image.index.v1+json', want a manifest's"},
      {"both", manifest_with(R"(,"manifests":[])"), "",
       "manifest has a field 'manifests', as only an index has"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = parse_manifest(c.text, c.announced);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(ManifestTest, RejectsWithPreciseMessage) {
  const struct {
    std::string text;
    std::string message;
  } cases[] = {
      {"[]", "manifest is not a JSON object"},
      {R"({"schemaVersion":1})", "manifest has schema version 1, want 2"},
      {R"({"schemaVersion":"2"})", "manifest: field 'schemaVersion' is not a whole number"},
      {R"({"schemaVersion":2})", "manifest: no field 'config'"},
      {R"({"schemaVersion":2,"config":{}})", "manifest: config: no field 'digest'"},
      {R"({"schemaVersion":2,"config":{"digest":")" + kDigest + R"(","size":-1}})",
       "manifest: config: field 'size' is not a length"},
      {R"({"schemaVersion":2,"config":{"digest":")" + kDigest + R"(","size":1},"layers":[1]})",
       "manifest: field 'layers' is not a list of descriptors"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = parse_manifest(c.text);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(ManifestTest, SizeAndDepthAreBounded) {
  EXPECT_EQ(parse_manifest(std::string(kMaxDocumentBytes + 1, ' ')).error().code(), Code::invalid);
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "{\"a\":";
  EXPECT_EQ(parse_manifest(deep).error().code(), Code::corrupt);
  std::string layers;
  for (size_t i = 0; i <= kMaxLayers; ++i) layers += i == 0 ? "1" : ",1";
  const auto many = parse_manifest(R"({"schemaVersion":2,"config":{"digest":")" + kDigest +
                                   R"(","size":1},"layers":[)" + layers + "]}");
  EXPECT_EQ(many.error().message(), "manifest: 'layers' has 1001 elements, want at most 1000");
}

TEST(ImageConfigTest, TakesOldFormsAndNulls) {
  const auto got = parse_image_config(
      R"({"architecture":"arm64","variant":"v8","os":"linux","config":{"Entrypoint":"/run","Cmd":null,)"
      R"("Env":["A=1"],"ExposedPorts":{"80/tcp":{}},"Volumes":null,"Labels":{"l":"x"},)"
      R"("Healthcheck":{"Test":["CMD","t"],"Interval":5}},"rootfs":{"type":"layers","diff_ids":[")" +
      kDigest + R"("]},"history":[{"created_by":"x","empty_layer":true}]})");
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->platform.string(), "linux/arm64/v8");
  EXPECT_EQ(got->run.entrypoint, std::vector<std::string>{"/run"});
  EXPECT_TRUE(got->run.cmd.empty());
  EXPECT_EQ(got->run.exposed_ports, std::vector<std::string>{"80/tcp"});
  EXPECT_EQ(got->run.healthcheck->interval_ns, 5);
  EXPECT_TRUE(got->history.at(0).empty_layer);
  const auto again = parse_image_config(encode(*got));
  ASSERT_TRUE(again.has_value()) << again.error().render();
  EXPECT_EQ(encode(*again), encode(*got));
}

TEST(ImageConfigTest, RefusesWrongKinds) {
  EXPECT_EQ(parse_image_config("{}").error().message(), "image configuration: no field 'rootfs'");
  EXPECT_EQ(parse_image_config(R"({"config":{"Env":[1]},"rootfs":{}})").error().message(),
            "image configuration: config: field 'Env' is not a list of texts");
  EXPECT_FALSE(parse_image_config(R"({"rootfs":{"diff_ids":["sha256:1"]}})").has_value());
}

TEST(PlatformTest, Parse) {
  EXPECT_EQ(Platform::parse("linux/arm64/v8")->variant, "v8");
  EXPECT_FALSE(Platform::parse("linux").has_value());
  EXPECT_FALSE(Platform::parse("a/b/c/d").has_value());
  EXPECT_FALSE(Platform::parse("/amd64").has_value());
}

}  // namespace
}  // namespace kist::oci
