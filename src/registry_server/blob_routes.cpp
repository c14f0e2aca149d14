// Blobs: get, delete.
#include <ctime>

#include "base/text.h"
#include "registry_server/registry.h"

namespace kist::registry_server {
namespace {

// Looking at a blob says that somebody may be about to need it; more often than this is not written.
constexpr int64_t kYoungFor_s = 600;

// What the other registry did wrong is not the client's fault.
Response upstream_failure(const Error& error) {
  const bool is_theirs = error.code() == Code::corrupt || error.code() == Code::invalid;
  return is_theirs ? refusal(502, "UNAVAILABLE", "the upstream registry: " + error.message()) : failure(error);
}

}  // namespace

Answer Registry::blob(const CallPtr& call) {
  if (auto digest = ContentDigest::parse(call->route.last); !digest)
    return refusal(call->request->method == "DELETE" ? 400 : 404, "DIGEST_INVALID", digest.error().message());
  if (call->request->method == "DELETE") return waiting(call, &Registry::delete_blob);
  if (parts_.upstream != nullptr) {
    // As for manifests.
    if (parts_.catalog.storage().is_quick())
      if (auto found = find_blob(*call)) return std::move(*found);
    return waiting(call, &Registry::get_blob_upstream);
  }
  if (parts_.local == nullptr) return when_quick(call, &Registry::get_blob_here);
  return waiting(call, &Registry::get_blob_here);
}

std::optional<Response> Registry::find_local_blob(const Call& call) {
  if (parts_.local == nullptr) return std::nullopt;
  const ContentDigest digest = *ContentDigest::parse(call.route.last);
  auto source = parts_.local->blob(call.repository(), digest);
  if (!source) return failure(source.error());
  if (!*source) return std::nullopt;
  return blob_response(call, digest, std::move(**source));
}

void Registry::keep_young(const Call& call, const ContentDigest& digest, const BlobSource& source) {
  if (source.modified_s + kYoungFor_s > ::time(nullptr)) return;
  // At worst it is pushed again.
  (void)parts_.catalog.storage().touch_blob(digest);
  (void)parts_.catalog.storage().touch(link_key(call.repository(), digest));
}

// None: it is not here. A manifest is a blob too, for clients that ask for it as one.
std::optional<Response> Registry::find_blob(const Call& call) {
  const ContentDigest digest = *ContentDigest::parse(call.route.last);
  const auto is_linked = parts_.catalog.has_blob(call.repository(), digest);
  if (!is_linked) return failure(is_linked.error());
  if (!*is_linked) {
    const auto manifest = parts_.catalog.manifest(call.repository(), digest);
    if (!manifest) return failure(manifest.error());
    if (!*manifest) return std::nullopt;
  }
  auto source = parts_.catalog.storage().open_blob(digest);
  if (!source) return failure(source.error());
  if (!*source) return std::nullopt;
  if (call.request->method == "HEAD" && !options_.is_read_only) keep_young(call, digest, **source);
  return blob_response(call, digest, std::move(**source));
}

Response Registry::blob_response(const Call& call, const ContentDigest& digest, BlobSource source) const {
  const std::string tag = fmt::format("\"{}\"", digest.string());
  Response response;
  response.add("Docker-Content-Digest", digest.string());
  response.add("ETag", tag);
  response.add("Accept-Ranges", "bytes");
  response.add("Cache-Control", "max-age=31536000, immutable");
  response.add("Docker-Distribution-Api-Version", "registry/2.0");
  const http_server::Request& request = *call.request;
  if (const auto field = request.header("If-None-Match"); !field.empty() && http_server::names_tag(field, tag)) {
    response.status = 304;
    return response;
  }
  response.add("Content-Type", "application/octet-stream");
  http_server::ByteRange range{http_server::ByteRange::Kind::whole, 0, source.size_bytes};
  const std::string_view condition = request.header("If-Range");
  if (const auto field = request.header("Range"); !field.empty() && (condition.empty() || condition == tag))
    range = http_server::parse_range(field, source.size_bytes);
  if (range.kind == http_server::ByteRange::Kind::unsatisfiable) {
    Response refused = refusal(416, "SIZE_INVALID", "the blob has no such range");
    refused.add("Content-Range", fmt::format("bytes */{}", source.size_bytes));
    return refused;
  }
  if (range.kind == http_server::ByteRange::Kind::part) {
    response.status = 206;
    response.add("Content-Range", fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.size_bytes - 1, source.size_bytes));
  }
  if (source.file != nullptr) {
    response.body = http_server::FileBody{std::move(source.file), range.offset, range.size_bytes};
  } else if (source.growing != nullptr) {
    response.body = http_server::GrowingBody{std::move(source.growing), range.offset, range.size_bytes};
  } else {
    auto produce = [copy = std::move(source.copy), range](const http_server::ProducedBody::Write& write) {
      return copy(range.offset, range.size_bytes, write);
    };
    response.body = http_server::ProducedBody{range.size_bytes, std::move(produce)};
  }
  return response;
}

Response Registry::get_blob_here(const Call& call) {
  if (auto found = find_blob(call)) return std::move(*found);
  if (auto found = find_local_blob(call)) return std::move(*found);
  return refusal(404, "BLOB_UNKNOWN", fmt::format("'{}' has no blob {}", call.repository(), call.route.last));
}

Response Registry::get_blob_upstream(const Call& call) {
  if (auto found = find_blob(call)) return std::move(*found);
  if (auto found = find_local_blob(call)) return std::move(*found);
  const ContentDigest digest = *ContentDigest::parse(call.route.last);
  std::optional<BlobSource> source;
  if (call.request->method == "HEAD") {
    const auto size_bytes = parts_.upstream->blob_size(call.repository(), digest);
    if (!size_bytes) return upstream_failure(size_bytes.error());
    if (*size_bytes) source.emplace().size_bytes = **size_bytes;
  } else {
    auto opened = parts_.upstream->open_blob(call.repository(), digest);
    if (!opened) return upstream_failure(opened.error());
    source = std::move(*opened);
  }
  if (!source) return get_blob_here(call);  // Which says that it is not here.
  return blob_response(call, digest, std::move(*source));
}

// Only this repository's: others may have it too. The collection removes what nobody has.
Response Registry::delete_blob(const Call& call) {
  const ContentDigest digest = *ContentDigest::parse(call.route.last);
  const auto alone = parts_.catalog.take_away();
  if (!alone) return failure(alone.error());
  uint64_t size_bytes = 0;
  if (!parts_.quotas.is_empty())
    if (const auto text = parts_.catalog.storage().get(link_key(call.repository(), digest)); text && *text)
      size_bytes = parse_number(trim(**text)).value_or(0);
  const auto removed = parts_.catalog.unlink_blob(call.repository(), digest);
  if (!removed) return failure(removed.error());
  if (!*removed) return refusal(404, "BLOB_UNKNOWN", fmt::format("'{}' has no blob {}", call.repository(), digest.string()));
  parts_.quotas.give_back(call.repository(), size_bytes);
  return succeeded(202, "");
}

}  // namespace kist::registry_server
