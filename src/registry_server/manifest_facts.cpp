#include "registry_server/manifest_facts.h"

#include <boost/json.hpp>

#include "base/text.h"

namespace kist::registry_server {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 64;

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

Result<ContentDigest> digest_of(const json::value& descriptor, std::string_view where) {
  const auto* object = descriptor.if_object();
  if (object == nullptr) return Error(Code::invalid, "{} is not a descriptor", where);
  return TRY(ContentDigest::parse(text_of(*object, "digest")), "{}", where);
}

Result<void> take_list(const json::object& manifest, const char* key, std::vector<ContentDigest>& into,
                       std::vector<ContentDigest>& with_urls) {
  const auto* value = manifest.if_contains(key);
  if (value == nullptr || value->is_null()) return {};
  const auto* list = value->if_array();
  if (list == nullptr) return Error(Code::invalid, "'{}' is not a list", key);
  if (list->size() > kMaxReferences) return Error(Code::invalid, "'{}' has {} entries, more than {}", key, list->size(), kMaxReferences);
  for (size_t i = 0; i < list->size(); ++i) {
    const json::value& one = (*list)[i];
    auto digest = TRY(digest_of(one, fmt::format("{}[{}]", key, i)));
    const auto* urls = one.get_object().if_contains("urls");
    const bool is_elsewhere = urls != nullptr && urls->is_array() && !urls->get_array().empty();
    const std::string type = text_of(one.get_object(), "mediaType");
    const bool is_foreign = type.find(".nondistributable.") != std::string::npos || type.find(".foreign.") != std::string::npos;
    (is_elsewhere || is_foreign ? with_urls : into).push_back(std::move(digest));
  }
  return {};
}

Result<json::value> parse(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::system::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return Error(Code::invalid, "the manifest is not JSON: {}", error.message());
  if (!value.is_object()) return Error(Code::invalid, "the manifest is not a JSON object");
  return value;
}

}  // namespace

Result<ManifestFacts> parse_manifest_facts(std::string_view text, std::string_view media_type) {
  const json::value value = TRY(parse(text));
  const json::object& manifest = value.get_object();
  ManifestFacts facts;
  facts.media_type = text_of(manifest, "mediaType");
  // Two clients would take it for two things.
  if (!facts.media_type.empty() && !media_type.empty() && facts.media_type != media_type)
    return Error(Code::invalid, "the manifest says it is '{}', the request that it is '{}'", printable(facts.media_type),
                 printable(media_type));
  facts.artifact_type = text_of(manifest, "artifactType");
  if (const auto* config = manifest.if_contains("config"); config != nullptr && config->is_object()) {
    auto digest = TRY(digest_of(*config, "config"));
    facts.blobs.push_back(std::move(digest));
    if (facts.artifact_type.empty()) facts.artifact_type = text_of(config->get_object(), "mediaType");
  }
  TRY(take_list(manifest, "layers", facts.blobs, facts.elsewhere));
  TRY(take_list(manifest, "blobs", facts.blobs, facts.elsewhere));
  TRY(take_list(manifest, "manifests", facts.children, facts.children));
  if (const auto* subject = manifest.if_contains("subject"); subject != nullptr && !subject->is_null())
    facts.subject = TRY(digest_of(*subject, "subject"));
  if (const auto* annotations = manifest.if_contains("annotations"); annotations != nullptr && annotations->is_object())
    facts.annotations = json::serialize(*annotations);
  return facts;
}

}  // namespace kist::registry_server
