// Uploads: begin, mount, go on, finish, cancel.
#include "base/text.h"
#include "registry_server/names.h"
#include "registry_server/registry.h"

namespace kist::registry_server {

// Takes bytes into an upload. With a digest the upload ends with them.
class Registry::UploadReceiver final : public http_server::BodyReceiver {
 public:
  UploadReceiver(Registry& registry, CallPtr call, std::unique_ptr<Upload> upload, std::optional<ContentDigest> digest)
      : registry_(registry), call_(std::move(call)), upload_(std::move(upload)), digest_(std::move(digest)) {}

  ~UploadReceiver() override {
    if (upload_ == nullptr) return;
    // A client that has lost its connection goes on where it was, if it can know where that is.
    if (call_->route.kind == Route::Kind::upload) registry_.parts_.uploads.put_back(std::move(upload_));
    else registry_.parts_.uploads.cancel(std::move(upload_));
  }

  Result<void> take(std::string_view bytes) override {
    if (upload_->size_bytes() + bytes.size() > registry_.options_.blob_bytes)
      return Error(Code::invalid, "a blob may have {} bytes", registry_.options_.blob_bytes);
    return upload_->append(bytes);
  }

  Response finish() override {
    if (digest_) return registry_.commit(*call_, std::move(upload_), *digest_);
    Response response = registry_.status_of(*call_, *upload_, 202);
    registry_.parts_.uploads.put_back(std::move(upload_));
    return response;
  }

  Response failed(const Error& error) override {
    // Nothing is left of it: a disk that is full has no room for halves.
    registry_.parts_.uploads.cancel(std::move(upload_));
    if (error.code() == Code::invalid) return refusal(413, "SIZE_INVALID", error.message());
    return failure(error, "BLOB_UPLOAD_INVALID");
  }

 private:
  Registry& registry_;
  CallPtr call_;
  std::unique_ptr<Upload> upload_;
  std::optional<ContentDigest> digest_;
};

Response Registry::status_of(const Call& call, const Upload& upload, int status) const {
  Response response = succeeded(status, upload_location(call.repository(), upload.id()));
  response.add("Range", fmt::format("0-{}", upload.size_bytes() == 0 ? 0 : upload.size_bytes() - 1));
  response.add("Docker-Upload-UUID", upload.id());
  return response;
}

Answer Registry::begin_upload(const CallPtr& call) {
  if (const std::string* text = call->target.find("mount")) {
    const auto digest = ContentDigest::parse(*text);
    if (!digest) return refusal(400, "DIGEST_INVALID", digest.error().message());
    return http_server::Later{[this, call, digest = *digest]() -> Answer { return mount(*call, digest); }};
  }
  const std::string* text = call->target.find("digest");
  if (text == nullptr) return waiting(call, &Registry::new_upload);
  auto digest = ContentDigest::parse(*text);
  if (!digest) return refusal(400, "DIGEST_INVALID", digest.error().message());
  return http_server::Later{[this, call, digest = std::move(*digest)]() -> Answer {
    auto upload = parts_.uploads.begin(call->repository(), digest.algorithm());
    if (!upload) return failure(upload.error());
    return receive(call, std::move(*upload), digest);
  }};
}

Response Registry::new_upload(const Call& call) {
  // Some clients say beforehand which digest will come (distribution-spec 1.2).
  const std::string* algorithm = call.target.find("digest-algorithm");
  if (algorithm != nullptr && *algorithm != "sha256" && *algorithm != "sha512")
    return refusal(400, "DIGEST_INVALID", fmt::format("digests by '{}' are not supported", printable(*algorithm)));
  auto upload = parts_.uploads.begin(call.repository(),
                                     algorithm != nullptr && *algorithm == "sha512" ? Algorithm::sha512 : Algorithm::sha256);
  if (!upload) return failure(upload.error());
  Response response = status_of(call, **upload, 202);
  parts_.uploads.put_back(std::move(*upload));
  return response;
}

// Whether the caller may read the blob in the repository that it names, or, without a name, anywhere.
Result<bool> Registry::can_mount(const Call& call, const ContentDigest& digest) {
  if (const std::string* from = call.target.find("from")) {
    if (!is_repository_name(*from) || !parts_.access.may(call.who, Right::read, *from)) return false;
    return TRY(parts_.catalog.has_blob(*from, digest));
  }
  const bool is_here = TRY(parts_.catalog.has_blob(call.repository(), digest));
  if (is_here) return true;
  const Page all = TRY(parts_.catalog.repositories("", 10'000));
  for (const std::string& repository : all.names) {
    if (!parts_.access.may(call.who, Right::read, repository)) continue;
    const bool is_there = TRY(parts_.catalog.has_blob(repository, digest));
    if (is_there) return true;
  }
  return false;
}

Response Registry::mount(const Call& call, const ContentDigest& digest) {
  const auto together = parts_.catalog.need();
  if (!together) return failure(together.error());
  const auto may = can_mount(call, digest);
  if (!may) return failure(may.error());
  const auto source = *may ? parts_.catalog.storage().open_blob(digest) : Result<std::optional<BlobSource>>(std::nullopt);
  if (!source) return failure(source.error());
  if (!*source) return new_upload(call);
  const auto is_here = parts_.catalog.has_blob(call.repository(), digest);
  if (!is_here) return failure(is_here.error());
  if (!*is_here) {
    if (auto fits = parts_.quotas.take(call.repository(), (*source)->size_bytes); !fits)
      return refusal(403, "DENIED", fits.error().message());
    if (auto linked = parts_.catalog.link_blob(call.repository(), digest, (*source)->size_bytes); !linked)
      return failure(linked.error());
  }
  keep_young(call, digest, **source);
  return succeeded(201, blob_location(call.repository(), digest), &digest);
}

Answer Registry::upload(const CallPtr& call) {
  if (call->request->content_length.value_or(0) > options_.blob_bytes)
    return refusal(413, "SIZE_INVALID", fmt::format("a blob may have {} bytes", options_.blob_bytes));
  // One of an earlier process has to be read first.
  if (parts_.uploads.is_known(call->route.last)) return go_on(call);
  return http_server::Later{[this, call]() -> Answer { return go_on(call); }};
}

Answer Registry::go_on(const CallPtr& call) {
  auto taken = parts_.uploads.take(call->repository(), call->route.last);
  if (!taken) return failure(taken.error(), "BLOB_UPLOAD_INVALID");
  std::unique_ptr<Upload> upload = std::move(*taken);
  if (upload == nullptr) return refusal(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload: begin again");
  const std::string_view method = call->request->method;
  if (method == "DELETE") {
    parts_.uploads.cancel(std::move(upload));
    return succeeded(204, "");
  }
  const auto give_back = [&](Response response) {
    parts_.uploads.put_back(std::move(upload));
    return response;
  };
  if (method == "GET") return give_back(status_of(*call, *upload, 204));
  if (const std::string_view field = call->request->header("Content-Range"); !field.empty()) {
    const auto range = http_server::parse_content_range(field);
    if (!range || range->first != upload->size_bytes()) return give_back(status_of(*call, *upload, 416));
    const auto& length = call->request->content_length;
    if (length && *length != range->last - range->first + 1)
      return give_back(refusal(400, "SIZE_INVALID", "Content-Range and Content-Length do not fit together"));
  }
  std::optional<ContentDigest> digest;
  if (method == "PUT") {
    const std::string* text = call->target.find("digest");
    if (text == nullptr) return give_back(refusal(400, "DIGEST_INVALID", "the query names no digest"));
    auto parsed = ContentDigest::parse(*text);
    if (!parsed) return give_back(refusal(400, "DIGEST_INVALID", parsed.error().message()));
    digest = std::move(*parsed);
  }
  return receive(call, std::move(upload), std::move(digest));
}

Answer Registry::receive(const CallPtr& call, std::unique_ptr<Upload> upload, std::optional<ContentDigest> digest) {
  return Answer(std::unique_ptr<http_server::BodyReceiver>(
      std::make_unique<UploadReceiver>(*this, call, std::move(upload), std::move(digest))));
}

Response Registry::commit(const Call& call, std::unique_ptr<Upload> upload, const ContentDigest& digest) {
  const std::string id = upload->id();
  auto staged = upload->finish(digest);
  parts_.uploads.forget(id);
  if (!staged) return failure(staged.error(), "DIGEST_INVALID");
  const uint64_t size_bytes = staged->size_bytes();
  const auto together = parts_.catalog.need();
  if (!together) return failure(together.error());
  const auto is_here = parts_.catalog.has_blob(call.repository(), digest);
  if (!is_here) return failure(is_here.error());
  if (!*is_here)
    if (auto fits = parts_.quotas.take(call.repository(), size_bytes); !fits) return refusal(403, "DENIED", fits.error().message());
  auto stored = parts_.catalog.storage().put_blob(digest, std::move(*staged));
  if (stored) stored = parts_.catalog.link_blob(call.repository(), digest, size_bytes);
  if (!stored) {
    if (!*is_here) parts_.quotas.give_back(call.repository(), size_bytes);
    return failure(stored.error());
  }
  return succeeded(201, blob_location(call.repository(), digest), &digest);
}

}  // namespace kist::registry_server
