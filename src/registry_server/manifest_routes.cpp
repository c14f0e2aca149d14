// Manifests: get, put, delete.
#include "base/text.h"
#include "registry_server/names.h"
#include "registry_server/registry.h"

namespace kist::registry_server {
namespace {

constexpr uint64_t kBytesInFlight = 24u << 20;  // Of manifests that clients are sending, all together.

constexpr size_t kLargeManifest = 64 << 10;

// Without "; charset=utf-8".
std::string_view media_type_of(std::string_view content_type) { return trim(content_type.substr(0, content_type.find(';'))); }

bool is_digest_like(std::string_view reference) { return reference.find(':') != std::string_view::npos; }

}  // namespace

class Registry::ManifestReceiver final : public http_server::BodyReceiver {
 public:
  ManifestReceiver(Registry& registry, CallPtr call) : registry_(registry), call_(std::move(call)) {}
  ~ManifestReceiver() override { registry_.manifest_bytes_in_flight_ -= bytes_.size(); }

  Result<void> take(std::string_view bytes) override {
    if (bytes_.size() + bytes.size() > registry_.options_.manifest_bytes)
      return Error(Code::invalid, "a manifest may have {} bytes", registry_.options_.manifest_bytes);
    if (registry_.manifest_bytes_in_flight_.fetch_add(bytes.size()) + bytes.size() > kBytesInFlight) {
      registry_.manifest_bytes_in_flight_ -= bytes.size();
      return Error(Code::unavailable, "too many manifests at once");
    }
    bytes_ += bytes;
    return {};
  }
  Response finish() override { return registry_.put_manifest(*call_, bytes_); }
  Response failed(const Error& error) override {
    if (error.code() == Code::invalid) return refusal(413, "SIZE_INVALID", error.message());
    return failure(error);
  }

 private:
  Registry& registry_;
  CallPtr call_;
  std::string bytes_;
};

Answer Registry::manifest(const CallPtr& call) {
  const std::string& reference = call->route.last;
  const std::string_view method = call->request->method;
  const bool is_put = method == "PUT";
  if (is_digest_like(reference)) {
    if (auto digest = ContentDigest::parse(reference); !digest)
      return refusal(is_put ? 400 : 404, "DIGEST_INVALID", digest.error().message());
  } else if (!is_tag(reference)) {
    return refusal(is_put ? 400 : 404, is_put ? "TAG_INVALID" : "MANIFEST_UNKNOWN",
                   fmt::format("'{}' is not a tag", printable(reference)));
  }
  if (method == "DELETE") return waiting(call, &Registry::delete_manifest);
  if (!is_put) return get_manifest(call);
  if (call->request->content_length.value_or(0) > options_.manifest_bytes)
    return refusal(413, "SIZE_INVALID", fmt::format("a manifest may have {} bytes", options_.manifest_bytes));
  return Answer(std::unique_ptr<http_server::BodyReceiver>(std::make_unique<ManifestReceiver>(*this, call)));
}

Answer Registry::get_manifest(const CallPtr& call) {
  if (parts_.upstream != nullptr) {
    // What is here waits for nobody, however many wait for the other registry: they have all threads that may.
    if (parts_.catalog.storage().is_quick() && is_digest_like(call->route.last))
      if (auto found = find_manifest(*call)) return std::move(*found);
    return waiting(call, &Registry::get_manifest_upstream);
  }
  if (parts_.local == nullptr) return when_quick(call, &Registry::get_manifest_here);
  return waiting(call, &Registry::get_manifest_here);
}

// None: it is not here.
std::optional<Response> Registry::find_manifest(const Call& call) {
  const std::string& reference = call.route.last;
  std::optional<ContentDigest> digest;
  if (is_digest_like(reference)) {
    digest = *ContentDigest::parse(reference);
  } else {
    auto found = parts_.catalog.tag(call.repository(), reference);
    if (!found) return failure(found.error());
    if (!*found) return std::nullopt;
    digest = std::move(**found);
  }
  const auto link = parts_.catalog.manifest(call.repository(), *digest);
  if (!link) return failure(link.error());
  if (!*link) return std::nullopt;
  auto bytes = documents_.find(*digest);
  if (bytes == nullptr) {
    const auto source = parts_.catalog.storage().open_blob(*digest);
    if (!source) return failure(source.error());
    if (!*source) return std::nullopt;
    auto read = (*source)->read(std::max<uint64_t>(options_.manifest_bytes, 64u << 20));
    if (!read) return failure(read.error());
    bytes = documents_.add(*digest, std::move(*read));
  }
  return manifest_response(call, *digest, (*link)->media_type, std::move(bytes));
}

Response Registry::manifest_response(const Call& call, const ContentDigest& digest, std::string_view media_type,
                                     std::shared_ptr<const std::string> bytes) const {
  const std::string tag = fmt::format("\"{}\"", digest.string());
  Response response;
  response.add("Docker-Content-Digest", digest.string());
  response.add("ETag", tag);
  response.add("Docker-Distribution-Api-Version", "registry/2.0");
  if (const auto field = call.request->header("If-None-Match"); !field.empty() && http_server::names_tag(field, tag)) {
    response.status = 304;
    return response;
  }
  response.add("Content-Type", media_type);
  response.body = std::move(bytes);
  return response;
}

std::optional<Response> Registry::find_local_manifest(const Call& call) {
  if (parts_.local == nullptr) return std::nullopt;
  const std::string& reference = call.route.last;
  auto digest = is_digest_like(reference) ? Result<std::optional<ContentDigest>>(*ContentDigest::parse(reference))
                                          : parts_.local->tag(call.repository(), reference);
  if (!digest) return failure(digest.error());
  if (!*digest) return std::nullopt;
  auto found = parts_.local->manifest(call.repository(), **digest);
  if (!found) return failure(found.error());
  if (!*found) return std::nullopt;
  return manifest_response(call, **digest, (*found)->media_type, std::make_shared<const std::string>(std::move((*found)->bytes)));
}

Response Registry::get_manifest_here(const Call& call) {
  if (auto found = find_manifest(call)) return std::move(*found);
  if (auto found = find_local_manifest(call)) return std::move(*found);
  return refusal(404, "MANIFEST_UNKNOWN", fmt::format("'{}' has no manifest '{}'", call.repository(), printable(call.route.last)));
}

Response Registry::get_manifest_upstream(const Call& call) {
  const std::string& reference = call.route.last;
  if (is_digest_like(reference)) {
    if (auto found = find_manifest(call)) return std::move(*found);
    const auto fetched = parts_.upstream->fetch_manifest(call.repository(), *ContentDigest::parse(reference));
    if (!fetched) return failure(fetched.error());
  } else {
    // What is here is the second best when nobody answers there.
    const auto digest = parts_.upstream->refresh_tag(call.repository(), reference);
    if (!digest)
      if (auto found = find_manifest(call); !found || found->status >= 400) return failure(digest.error());
  }
  return get_manifest_here(call);
}

Response Registry::delete_manifest(const Call& call) {
  const std::string& reference = call.route.last;
  const auto alone = parts_.catalog.take_away();
  if (!alone) return failure(alone.error());
  const auto removed = is_digest_like(reference)
                           ? parts_.catalog.unlink_manifest(call.repository(), *ContentDigest::parse(reference))
                           : parts_.catalog.remove_tag(call.repository(), reference);
  if (!removed) return failure(removed.error());
  if (!*removed) return refusal(404, "MANIFEST_UNKNOWN", fmt::format("'{}' has no manifest '{}'", call.repository(), reference));
  return succeeded(202, "");
}

// None: all that must be here is.
Result<std::optional<Response>> Registry::missing_blob(const Call& call, const ManifestFacts& facts) {
  if (options_.takes_sparse) return std::nullopt;
  for (const ContentDigest& digest : facts.blobs) {
    const bool is_here = TRY(parts_.catalog.has_blob(call.repository(), digest));
    if (is_here) continue;
    return refusal(404, "MANIFEST_BLOB_UNKNOWN", fmt::format("'{}' has no blob {}: push it first", call.repository(), digest.string()));
  }
  return std::nullopt;
}

Result<StagedFile> Registry::stage(const Call& call, const std::string& bytes, const ContentDigest& digest) {
  auto upload = TRY(parts_.uploads.begin(call.repository(), digest.algorithm()));
  if (auto appended = upload->append(bytes); !appended) {
    parts_.uploads.cancel(std::move(upload));
    return std::move(appended).error();
  }
  const std::string id = upload->id();
  auto staged = upload->finish(digest);
  parts_.uploads.forget(id);
  return staged;
}

Response Registry::put_manifest(const Call& call, const std::string& bytes) {
  const std::string& reference = call.route.last;
  std::string media_type(media_type_of(call.request->header("Content-Type")));
  std::unique_lock one_at_a_time(large_manifests_, std::defer_lock);
  if (bytes.size() > kLargeManifest) one_at_a_time.lock();
  const auto facts = parse_manifest_facts(bytes, media_type);
  if (one_at_a_time.owns_lock()) one_at_a_time.unlock();
  if (!facts) return failure(facts.error(), "MANIFEST_INVALID");
  if (media_type.empty()) media_type = facts->media_type;
  if (media_type.empty()) return refusal(400, "MANIFEST_INVALID", "neither the request nor the manifest says its type");
  Algorithm algorithm = Algorithm::sha256;
  const std::string* wanted = is_digest_like(reference) ? &reference : call.target.find("digest");
  if (wanted != nullptr) {
    const auto parsed = ContentDigest::parse(*wanted);
    if (!parsed) return refusal(400, "DIGEST_INVALID", parsed.error().message());
    algorithm = parsed->algorithm();
  }
  const ContentDigest digest = Hasher::of(algorithm, bytes);
  if (wanted != nullptr && *wanted != digest.string())
    return refusal(400, "DIGEST_INVALID", fmt::format("the manifest has the digest {}, not {}", digest.string(), printable(*wanted)));
  std::vector<std::string> tags;
  if (!is_digest_like(reference)) tags.push_back(reference);
  const auto [from, to] = call.target.query.equal_range("tag");
  for (auto at = from; at != to && tags.size() < 10; ++at) {
    if (!is_tag(at->second)) return refusal(400, "TAG_INVALID", fmt::format("'{}' is not a tag", printable(at->second)));
    tags.push_back(at->second);
  }

  auto staged = stage(call, bytes, digest);
  if (!staged) return failure(staged.error());

  const auto together = parts_.catalog.need();
  if (!together) return failure(together.error());
  auto missing = missing_blob(call, *facts);
  if (!missing) return failure(missing.error());
  if (*missing) return std::move(**missing);
  if (auto stored = parts_.catalog.storage().put_blob(digest, std::move(*staged)); !stored) return failure(stored.error());
  const ManifestLink link{.media_type = media_type, .size_bytes = bytes.size(), .subject = facts->subject};
  if (auto linked = parts_.catalog.link_manifest(call.repository(), digest, link, *facts); !linked) return failure(linked.error());
  Response response = succeeded(201, fmt::format("/v2/{}/manifests/{}", call.repository(), digest.string()), &digest);
  for (const std::string& tag : tags) {
    if (auto tagged = parts_.catalog.set_tag(call.repository(), tag, digest); !tagged) return failure(tagged.error());
    if (tag != reference) response.add("OCI-Tag", tag);
  }
  if (facts->subject) response.add("OCI-Subject", facts->subject->string());
  return response;
}

}  // namespace kist::registry_server
