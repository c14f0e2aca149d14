#include "engine/copy_place.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "images/bundle.h"
#include "images/layout.h"
#include "os/files.h"

namespace kist::engine {
namespace {

class Registry : public CopySource, public CopyTarget {
 public:
  Registry(const Transfer& transfer, registry::Host host, const registry::Address& address, bool for_push)
      : session_(address, std::move(host), transfer.network), repository_(session_, options_of(transfer, for_push)) {}

  std::string name() const override { return session_.address().registry + "/" + session_.address().repository; }
  const registry::Address* address() const override { return &session_.address(); }
  Result<registry::Document> manifest(std::string_view reference) override { return repository_.manifest(reference); }
  Result<registry::Source> blob(const oci::Descriptor& blob, uint64_t from) override {
    return repository_.blob(blob.digest, blob.size_bytes, from);
  }
  Result<oci::Index> referrers(const oci::Digest& digest) override { return repository_.referrers(digest, ""); }
  Result<std::vector<std::string>> tags() override { return repository_.tags(); }
  Result<std::optional<oci::Digest>> head_manifest(std::string_view reference) override {
    return repository_.head_manifest(reference);
  }
  Result<bool> has_blob(const oci::Descriptor& blob) override { return repository_.has_blob(blob.digest); }
  Result<registry::Repository::Pushed> put_blob(const registry::Upload& upload) override { return repository_.push_blob(upload); }
  Result<void> put_manifest(std::string_view reference, const std::string& bytes, std::string_view media_type) override {
    return repository_.put_manifest(reference, bytes, media_type);
  }

 private:
  registry::Session session_;
  registry::Repository repository_;
};

std::string blob_path(const oci::Digest& digest) { return "blobs/sha256/" + digest.hex(); }

std::string name_in(const oci::Descriptor& entry) {
  const auto found = entry.annotations.find(images::kRefName);
  return found == entry.annotations.end() ? "" : found->second;
}

std::optional<oci::Digest> subject_of(const std::string& bytes) {
  const auto manifest = oci::parse_manifest(bytes);
  return manifest && manifest->subject ? std::optional(manifest->subject->digest) : std::nullopt;
}

// Fails at the end if it was another's content: a registry would say so in words of its own, if at all.
registry::Source checked(archive::Source source, const oci::Digest& digest) {
  return [source = std::move(source), digest, hash = std::make_shared<oci::Sha256>()]() -> Result<std::string_view> {
    const std::string_view piece = TRY(source());
    hash->update(piece);
    if (!piece.empty()) return piece;
    const oci::Digest got = hash->finish();
    if (got != digest) return Error(Code::corrupt, "blob has the digest {}, want {}", got.string(), digest.string());
    return piece;
  };
}

// In a folder or a tar. Nothing of it is believed.
class LayoutSource : public CopySource {
 public:
  LayoutSource(images::Bundle bundle, oci::Index index, std::string shown)
      : bundle_(std::move(bundle)), index_(std::move(index)), shown_(std::move(shown)) {}

  Result<registry::Document> manifest(std::string_view reference) override {
    const auto digest = oci::Digest::parse(reference);
    if (digest) return read(*digest, "");
    const oci::Descriptor* found = TRY(find(reference));
    return read(found->digest, found->media_type);
  }

  Result<registry::Source> blob(const oci::Descriptor& blob, uint64_t from) override {
    archive::Source source = TRY(bundle_.open_member(blob_path(blob.digest)));
    return without_first(from, checked(std::move(source), blob.digest));
  }

  // Those that the index lists: as other tools, and LayoutTarget below, write them.
  Result<oci::Index> referrers(const oci::Digest& digest) override {
    if (!by_subject_) read_subjects();
    oci::Index out{.media_type = std::string(oci::media::kIndex), .manifests = {}, .annotations = {}};
    const auto [begin, end] = by_subject_->equal_range(digest.hex());
    for (auto one = begin; one != end; ++one) out.manifests.push_back(*one->second);
    return out;
  }

  Result<std::vector<std::string>> tags() override {
    std::vector<std::string> out;
    for (const oci::Descriptor& entry : index_.manifests)
      if (std::string name = name_in(entry); !name.empty()) out.push_back(std::move(name));
    return out;
  }

 private:
  Result<registry::Document> read(const oci::Digest& digest, const std::string& media_type) const {
    std::string bytes = TRY(bundle_.read_member(blob_path(digest), registry::kMaxManifestBytes), "manifest {}", digest.string());
    const oci::Digest got = oci::Sha256::of(bytes);
    if (got != digest) return Error(Code::corrupt, "the manifest in {} has the digest {}, want {}", shown_, got.string(), digest.string());
    return registry::Document{.bytes = std::move(bytes), .media_type = media_type, .digest = digest};
  }

  void read_subjects() {
    by_subject_.emplace();
    for (const oci::Descriptor& entry : index_.manifests) {
      const auto bytes = bundle_.read_member(blob_path(entry.digest), registry::kMaxManifestBytes);
      const auto subject = bytes ? subject_of(*bytes) : std::nullopt;
      if (subject) by_subject_->emplace(subject->hex(), &entry);
    }
  }

  Result<const oci::Descriptor*> find(std::string_view name) const {
    std::vector<std::string> names;
    std::vector<const oci::Descriptor*> images;
    for (const oci::Descriptor& entry : index_.manifests) {
      const std::string own = name_in(entry);
      if (!name.empty() && own == name) return &entry;
      if (!own.empty()) names.push_back(own);
      const bool is_new = std::none_of(images.begin(), images.end(), [&](const auto* one) { return one->digest == entry.digest; });
      if (is_new) images.push_back(&entry);
    }
    if (name.empty() && images.size() == 1) return images.front();
    const std::string has = names.empty() ? "no name" : fmt::format("{}", fmt::join(names, ", "));
    if (!name.empty()) return Error(Code::not_found, "{} has no '{}', it has {}", shown_, printable(name), printable(has));
    return Error(Code::invalid, "{} has {} images, and none is named; it has {}", shown_, images.size(), printable(has))
        .hint(fmt::format("write {}:NAME, or `--all-tags`", shown_));
  }

  images::Bundle bundle_;
  oci::Index index_;
  std::string shown_;
  std::optional<std::multimap<std::string, const oci::Descriptor*>> by_subject_;  // Once somebody asked.
};

class LayoutTarget : public CopyTarget {
 public:
  LayoutTarget(images::LayoutFolder folder, std::string shown) : folder_(std::move(folder)), shown_(std::move(shown)) {}

  std::string name() const override { return shown_; }

  Result<std::optional<oci::Digest>> head_manifest(std::string_view reference) override {
    if (const auto digest = oci::Digest::parse(reference))
      return folder_.has_any(*digest) ? std::optional(*digest) : std::optional<oci::Digest>();
    const oci::Index index = TRY(folder_.index());
    for (const oci::Descriptor& entry : index.manifests)
      if (!reference.empty() && name_in(entry) == reference) return std::optional(entry.digest);
    return std::optional<oci::Digest>();
  }

  Result<bool> has_blob(const oci::Descriptor& blob) override { return folder_.has(blob.digest, blob.size_bytes); }

  Result<registry::Repository::Pushed> put_blob(const registry::Upload& upload) override {
    if (folder_.has(upload.digest, upload.size_bytes)) return registry::Repository::Pushed::there;
    const registry::Source source = TRY(upload.open(0));
    TRY(folder_.put(upload.digest, [&](const store::Output& output) {
      return archive::each_piece(source, [&](std::string_view piece) {
        if (upload.sent) upload.sent(piece.size());
        return output(piece);
      });
    }));
    return registry::Repository::Pushed::sent;
  }

  Result<void> put_manifest(std::string_view reference, const std::string& bytes, std::string_view media_type) override {
    const oci::Descriptor document{.media_type = std::string(media_type), .digest = oci::Sha256::of(bytes),
                                   .size_bytes = bytes.size(), .annotations = {}, .platform = {}};
    TRY(folder_.put(document.digest, bytes));
    // What an index lists is found through it; what refers to something has to be listed itself.
    if (oci::Digest::parse(reference) && !subject_of(bytes)) return {};
    std::vector<std::string> names;
    if (!reference.empty() && !oci::Digest::parse(reference)) names.emplace_back(reference);
    return folder_.name(document, names);
  }

 private:
  images::LayoutFolder folder_;
  std::string shown_;
};

registry::Host host_of(const Transfer& transfer, const CopyEnd& end) {
  registry::Host out = transfer.host;
  if (end.user.empty()) return out;
  out.given_user = end.user;
  out.given_password = end.password;
  return out;
}

}  // namespace

Result<std::unique_ptr<CopySource>> open_source(const Transfer& transfer, const CopyEnd& end) {
  if (end.reference) {
    const auto conf = TRY(registry::read_registries_conf(transfer.host));
    const auto addresses = TRY(registry::addresses_of(*end.reference, transfer.host, conf, true));
    return std::unique_ptr<CopySource>(std::make_unique<Registry>(transfer, host_of(transfer, end), addresses.front(), false));
  }
  images::Bundle bundle = TRY(images::Bundle::open(end.layout, os::join(transfer.intake.store.home(), "staging")));
  if (!bundle.has("index.json"))
    return Error(Code::not_found, "{} is no OCI layout: it has no index.json", end.shown)
        .hint("`kist load` takes what `docker save` writes, and `kist push` sends it on");
  const std::string text = TRY(bundle.read_member("index.json", oci::kMaxDocumentBytes));
  oci::Index index = TRY(oci::parse_index(text), "index.json");
  return std::unique_ptr<CopySource>(std::make_unique<LayoutSource>(std::move(bundle), std::move(index), end.shown));
}

Result<std::unique_ptr<CopyTarget>> open_target(const Transfer& transfer, const CopyEnd& end, bool dry_run) {
  if (end.reference) {
    const auto conf = TRY(registry::read_registries_conf(transfer.host));
    const auto addresses = TRY(registry::addresses_of(*end.reference, transfer.host, conf, true));
    return std::unique_ptr<CopyTarget>(std::make_unique<Registry>(transfer, host_of(transfer, end), addresses.front(), true));
  }
  images::LayoutFolder folder(end.layout);
  if (!dry_run) folder = TRY(images::LayoutFolder::make(end.layout));
  return std::unique_ptr<CopyTarget>(std::make_unique<LayoutTarget>(std::move(folder), end.shown));
}

}  // namespace kist::engine
