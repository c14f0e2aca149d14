// Documents and names of images, and templates: hostile bytes are refused, and what is accepted means
// the same when it is written again.
#include "format/template.h"
#include "fuzz.h"
#include "oci/image.h"
#include "oci/reference.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  const oci::Digest digest = oci::Sha256::of("x");
  oci::Descriptor descriptor{.media_type = std::string(oci::media::kLayerGzip),
                             .digest = digest,
                             .size_bytes = 3,
                             .annotations = {{"a", "b"}},
                             .platform = oci::Platform::host()};
  oci::Manifest manifest{.media_type = std::string(oci::media::kManifest),
                         .artifact_type = {},
                         .config = descriptor,
                         .layers = {descriptor},
                         .subject = descriptor,
                         .annotations = {}};
  oci::Index index;
  index.media_type = std::string(oci::media::kIndex);
  index.manifests = {descriptor};
  oci::ImageConfig config;
  config.run.env = {"A=1"};
  config.run.labels = {{"a", "b"}};
  config.run.healthcheck = oci::Healthcheck{.test = {"CMD", "x"}, .interval_ns = 1};
  config.diff_ids = {digest};
  config.history = {{.created = "", .created_by = "x"}};
  return {oci::encode(manifest), oci::encode(index), oci::encode(config),
          "registry.example:5000/a/b__c:tag@" + digest.string(),
          "{{range $i, $v := .layers}}{{json .}}{{else}}{{printf \"%5s\" .config}}{{end}}"};
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  if (const auto manifest = oci::parse_manifest(text)) {
    const auto again = oci::parse_manifest(oci::encode(*manifest), "");
    fuzz::expect(manifest->media_type.empty() || again.has_value(), "a manifest is written again");
  }
  if (const auto index = oci::parse_index(text))
    fuzz::expect(index->media_type.empty() || oci::parse_index(oci::encode(*index)).has_value(),
                 "an index is written again");
  if (const auto config = oci::parse_image_config(text)) {
    const std::string once = oci::encode(*config);
    const auto again = oci::parse_image_config(once);
    fuzz::expect(again.has_value() && oci::encode(*again) == once, "a configuration is written again");
  }
  (void)oci::media_type_of(text);
  if (const auto reference = oci::Reference::parse(text)) {
    fuzz::expect(reference->string() == text, "a name is written as it was read");
    fuzz::expect(oci::Reference::parse(reference->name()).has_value(), "its short form is a name");
  }
  if (const auto shape = format::Template::parse(text))
    (void)shape->render(boost::json::object{{"layers", {1, "x"}}, {"config", {{"a", nullptr}}}});
  return 0;
}
