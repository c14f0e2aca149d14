// The OCI distribution specification 1.1, seen from a client: one repository of one registry.
//
//   registry::Repository repository(session);
//   const registry::Document manifest = TRY(repository.manifest("latest", registry::kAnyManifest));
//   const auto source = TRY(repository.blob(digest, size));
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/image.h"
#include "registry/download.h"
#include "registry/rate_limit.h"
#include "registry/session.h"

namespace kist::registry {

/// The specification asks registries for at least 4 MiB.
inline constexpr uint64_t kMaxManifestBytes = 4u << 20;

struct Document {
  std::string bytes;
  std::string media_type;  // As announced.
  oci::Digest digest;      // Of the bytes, and checked against what was asked for and announced.
};

/// Where a blob stands that is to be pushed.
struct Upload {
  oci::Digest digest;
  uint64_t size_bytes = 0;
  /// From that byte on, each time it is called.
  std::function<Result<Source>(uint64_t from)> open;
  std::vector<std::string> mount_from;  // Repositories of the same registry that may have it.
  std::function<void(uint64_t)> sent;   // Bytes that were sent since the last call.
};

/// How much of a machine the blobs of one repository may take.
struct TransferOptions {
  size_t connections = 8;  // That fetch or send blobs at once.
  RangeOptions ranges = {};
  std::string notes_folder = {};  // Of uploads that another process may take up; empty: nowhere.
  std::shared_ptr<RateLimit> rate = {};  // Of all blobs together; null: none.
};

class UploadNote;

class Repository {
 public:
  /// `session` must outlive this.
  explicit Repository(Session& session, TransferOptions options = {})
      : session_(session), options_(std::move(options)), connections_(std::make_shared<Connections>(options_.connections)) {}

  /// `reference`: a tag or a digest. Errors: not_found, denied, unavailable, corrupt (another digest
  /// than asked for or announced), invalid (longer than the limit).
  Result<Document> manifest(std::string_view reference);
  /// What the registry says of it; empty when it is not there.
  Result<std::optional<oci::Digest>> head_manifest(std::string_view reference);
  /// One that refers to another is put on that one's list too, where the registry does not see to it.
  Result<void> put_manifest(std::string_view reference, const std::string& bytes, std::string_view media_type);
  /// `reference`: a tag goes alone, a digest with all tags. Errors: unsupported (registries need not do it).
  Result<void> delete_manifest(std::string_view reference);

  /// The blob's bytes, from `from` on, as download() brings them; this must outlive what it gives.
  Result<Source> blob(const oci::Digest& digest, uint64_t size_bytes, uint64_t from = 0);
  Result<bool> has_blob(const oci::Digest& digest);
  enum class Pushed { there, mounted, sent };
  /// Nothing is sent that is there. Interrupted, also by the death of the process before this one, it goes on
  /// where the registry says that it is.
  Result<Pushed> push_blob(const Upload& upload);

  /// All tags, in the registry's order. Errors: invalid (pages without end).
  Result<std::vector<std::string>> tags();
  /// What refers to a manifest: an index, by the API, else by the tag that stands for it. `artifact_type`
  /// empty: of any. Errors: invalid (pages without end).
  Result<oci::Index> referrers(const oci::Digest& digest, std::string_view artifact_type);
  /// Takes what was deleted off the list that a tag stands for, if there is one.
  Result<void> unlist_referrer(const Document& document);

 private:
  Result<oci::Index> all_referrers(const oci::Digest& digest, std::string_view artifact_type);
  Result<oci::Index> referrers_by_tag(const oci::Digest& digest);
  Result<void> list_referrer(const std::string& bytes, std::string_view media_type);
  std::vector<std::string> pull_scope() const;
  std::vector<std::string> push_scope() const;
  Result<http::Stream> open_range(const oci::Digest& digest, uint64_t from, std::optional<uint64_t> end,
                                  const std::atomic<bool>* stop);
  Result<std::string> begin_upload(const Upload& upload, bool& mounted);
  Result<std::string> send(const Upload& upload, const std::string& location, uint64_t from);
  Result<uint64_t> uploaded(std::string& location);
  Result<Pushed> push_small(const Upload& upload);
  Result<Pushed> push_large(const Upload& upload, UploadNote* note, bool& is_taken_up);
  uint64_t taken_up(const Upload& upload, const std::string& noted, std::string& location);
  Result<uint64_t> place_of(const Upload& upload, std::string& location, bool& mounted);
  Result<Pushed> end_upload(const Upload& upload, const std::string& location, std::string body);

  Session& session_;
  const TransferOptions options_;
  const std::shared_ptr<Connections> connections_;
};

/// "GET /v2/" with credentials. Errors: denied.
Result<void> check_login(Session& session);

}  // namespace kist::registry
