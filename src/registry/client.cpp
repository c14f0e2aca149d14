#include "registry/client.h"

#include "base/text.h"
#include "registry/challenge.h"

namespace kist::registry {
namespace {

const std::vector<std::string>& accepted() {
  static const std::vector<std::string> kAll = [] {
    std::vector<std::string> out;
    for (const std::string_view type : {oci::media::kIndex, oci::media::kManifest, oci::media::kDockerList,
                                        oci::media::kDockerManifest})
      out.push_back(fmt::format("Accept: {}", type));
    out.emplace_back("Accept: */*");
    return out;
  }();
  return kAll;
}

// Without parameters: "application/json; charset=utf-8".
std::string media_type_of(std::string_view field) { return std::string(trim(field.substr(0, field.find(';')))); }

std::optional<oci::Digest> announced(const http::Head& head) {
  const auto digest = oci::Digest::parse(head.field("docker-content-digest"));
  return digest ? std::optional(*digest) : std::nullopt;
}

}  // namespace

std::vector<std::string> Repository::pull_scope() const { return {scope_of(session_.address().repository, false)}; }
std::vector<std::string> Repository::push_scope() const { return {scope_of(session_.address().repository, true)}; }

Result<Document> Repository::manifest(std::string_view reference) {
  const std::string& repository = session_.address().repository;
  http::Call call{.method = "GET", .url = session_.url(fmt::format("{}/manifests/{}", repository, reference)),
                  .headers = accepted(), .body = {}, .source = {}, .source_bytes = {}};
  http::Stream answer = TRY(session_.call(call, pull_scope()));
  if (answer.head().status != 200)
    return refusal(answer, session_.address(), fmt::format("manifest {} of {}", printable(reference), printable(repository)));
  const std::string media_type = media_type_of(answer.head().field("content-type"));
  const auto said = announced(answer.head());
  std::string bytes = TRY(answer.read_all(kMaxManifestBytes));
  const oci::Digest digest = oci::Sha256::of(bytes);
  Document out{.bytes = std::move(bytes), .media_type = media_type, .digest = digest};
  const auto wanted = oci::Digest::parse(reference);
  if (wanted && *wanted != out.digest)
    return Error(Code::corrupt, "the manifest of {} has the digest {}, want {}", printable(repository), out.digest.string(),
                 wanted->string());
  if (said && *said != out.digest)
    return Error(Code::corrupt, "the manifest of {} has the digest {}, and the registry announced {}", printable(repository),
                 out.digest.string(), said->string());
  return out;
}

Result<std::optional<oci::Digest>> Repository::head_manifest(std::string_view reference) {
  const std::string& repository = session_.address().repository;
  http::Call call{.method = "HEAD", .url = session_.url(fmt::format("{}/manifests/{}", repository, reference)),
                  .headers = accepted(), .body = {}, .source = {}, .source_bytes = {}};
  http::Stream answer = TRY(session_.call(call, push_scope()));
  if (answer.head().status == 404) return std::optional<oci::Digest>();
  if (answer.head().status != 200) return refusal(answer, session_.address(), fmt::format("manifest of {}", printable(repository)));
  return announced(answer.head());
}

Result<void> Repository::put_manifest(std::string_view reference, const std::string& bytes, std::string_view media_type) {
  const std::string& repository = session_.address().repository;
  http::Call call{.method = "PUT", .url = session_.url(fmt::format("{}/manifests/{}", repository, reference)),
                  .headers = {fmt::format("Content-Type: {}", media_type)}, .body = bytes, .source = {}, .source_bytes = {}};
  http::Stream answer = TRY(session_.call(call, push_scope()));
  // A registry that knows referrers says so; for others the list is the client's to keep.
  if (answer.head().status / 100 == 2)
    return answer.head().field("oci-subject").empty() ? list_referrer(bytes, media_type) : Result<void>();
  return refusal(answer, session_.address(), fmt::format("push of the manifest to {}", printable(repository)));
}

Result<void> Repository::delete_manifest(std::string_view reference) {
  const std::string& repository = session_.address().repository;
  http::Call call;
  call.method = "DELETE";
  call.url = session_.url(fmt::format("{}/manifests/{}", repository, reference));
  http::Stream answer =
      TRY(session_.call(call, {fmt::format("repository:{}:delete", repository), scope_of(repository, true)}));
  if (answer.head().status / 100 == 2) return {};
  return refusal(answer, session_.address(), fmt::format("delete {} of {}", printable(reference), printable(repository)));
}

Result<http::Stream> Repository::open_range(const oci::Digest& digest, uint64_t from, std::optional<uint64_t> end,
                                            const std::atomic<bool>* stop) {
  const std::string& repository = session_.address().repository;
  http::Call call;
  call.url = session_.url(fmt::format("{}/blobs/{}", repository, digest.string()));
  call.stop = stop;
  const bool is_part = from > 0 || end;
  if (is_part) call.headers.push_back(fmt::format("Range: bytes={}-{}", from, end ? std::to_string(*end - 1) : ""));
  http::Stream answer = TRY(session_.call(call, pull_scope()));
  const int status = answer.head().status;
  if (status == 200 || (status == 206 && is_part)) return answer;
  return refusal(answer, session_.address(), fmt::format("blob {} of {}", digest.hex().substr(0, 12), printable(repository)));
}

Result<Source> Repository::blob(const oci::Digest& digest, uint64_t size_bytes, uint64_t from) {
  const auto open = [this, digest](uint64_t begin, std::optional<uint64_t> end, const std::atomic<bool>* stop) {
    return open_range(digest, begin, end, stop);
  };
  RangeOptions ranges = options_.ranges;
  if (options_.rate != nullptr) ranges.least_bytes = UINT64_MAX;  // Several at once would not be held back.
  return limited(download(open, {.size_bytes = size_bytes, .from = from, .title = digest.hex().substr(0, 12)}, ranges, connections_),
                 options_.rate);
}

Result<bool> Repository::has_blob(const oci::Digest& digest) {
  http::Call call;
  call.method = "HEAD";
  call.url = session_.url(fmt::format("{}/blobs/{}", session_.address().repository, digest.string()));
  http::Stream answer = TRY(session_.call(call, push_scope()));
  if (answer.head().status == 200) return true;
  if (answer.head().status == 404) return false;
  return refusal(answer, session_.address(), fmt::format("blob {}", digest.hex().substr(0, 12)));
}

Result<void> check_login(Session& session) {
  http::Call call;
  call.url = session.url("");
  http::Stream answer = TRY(session.call(call, {}));
  if (answer.head().status == 200) return {};
  return refusal(answer, session.address(), "login");
}

}  // namespace kist::registry
