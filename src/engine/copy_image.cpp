// From one registry or layout to another, through this machine's memory and past its store: everything that a
// name stands for, of any kind, bit for bit.
#include <atomic>
#include <mutex>
#include <set>

#include "base/text.h"
#include "engine/copy_place.h"

namespace kist::engine {
namespace {

constexpr std::string_view kPhase = "copying";
constexpr int kMostIndexes = 4;
constexpr size_t kMostDocuments = 20'000;

class Copier {
 public:
  Copier(const Transfer& transfer, CopySource& from, CopyTarget& to, const CopyOptions& options)
      : transfer_(transfer), options_(options), from_(from), to_(to) {
    const registry::Address* source = from.address();
    const registry::Address* target = to.address();
    if (source != nullptr && target != nullptr && source->host == target->host && source->repository != target->repository)
      mount_from_.push_back(source->repository);
  }

  Result<Copied> run(const std::string& source, const std::string& target) {
    registry::Document document = TRY(from_.manifest(source));
    if (options_.platform) document = TRY(of_platform(std::move(document)));
    const auto there = TRY(to_.head_manifest(target));
    const uint64_t before = bytes_;
    if (there != document.digest) TRY(copy_document(document, target, 0));
    // They may have come to it later.
    if (options_.referrers) TRY(copy_all_referrers(document));
    return Copied{.digest = document.digest, .to = to_.name(), .tag = target, .sent_bytes = bytes_ - before};
  }

  void begin() { transfer_.intake.progress.begin(kPhase, 0, 0); }
  void end() {
    transfer_.intake.progress.end(kPhase, fmt::format("{} {} blobs, {}", options_.dry_run ? "would copy" : "copied",
                                                      blobs_.load(), human_bytes(bytes_)));
  }

 private:
  Result<registry::Document> of_platform(registry::Document document) {
    for (int depth = 0; depth < kMostIndexes && is_index(document); ++depth) {
      const oci::Index index = TRY(oci::parse_index(document.bytes, document.media_type));
      const oci::Descriptor* chosen = TRY(images::find_platform(index, *options_.platform));
      const oci::Digest wanted = chosen->digest;
      document = TRY(from_.manifest(wanted.string()));
    }
    return document;
  }

  static std::string type_of(const registry::Document& document) {
    const std::string own = oci::media_type_of(document.bytes);
    return own.empty() ? document.media_type : own;
  }
  static bool is_index(const registry::Document& document) { return oci::media::is_index(type_of(document)); }

  // What it names goes first, so that no registry refuses it.
  Result<void> copy_document(const registry::Document& document, const std::string& target, int depth) {
    if (depth > kMostIndexes) return Error(Code::invalid, "indexes within indexes, more than {} deep", kMostIndexes);
    if (!seen_.insert(document.digest.hex()).second && target == document.digest.string()) return {};
    if (seen_.size() > kMostDocuments) return Error(Code::invalid, "more than {} manifests under one name", kMostDocuments);
    if (is_index(document)) {
      const oci::Index index = TRY(oci::parse_index(document.bytes, document.media_type));
      for (const oci::Descriptor& entry : index.manifests) TRY(copy_entry(entry, depth + 1));
    } else {
      const oci::Manifest manifest = TRY(oci::parse_manifest(document.bytes, document.media_type));
      TRY(copy_blobs(manifest));
    }
    return options_.dry_run ? Result<void>() : to_.put_manifest(target, document.bytes, type_of(document));
  }

  Result<void> copy_entry(const oci::Descriptor& entry, int depth) {
    const std::string name = entry.digest.string();
    const auto there = TRY(to_.head_manifest(name));
    if (there) return {};
    auto document = from_.manifest(name);
    // An index may name platforms that its registry does not have.
    if (!document && document.error().code() == Code::not_found) return {};
    if (!document) return document.error();
    return copy_document(*document, name, depth);
  }

  Result<void> copy_blobs(const oci::Manifest& manifest) {
    std::vector<oci::Descriptor> all = manifest.layers;
    all.push_back(manifest.config);
    const auto copy_one = [&](size_t i) { return copy_blob(all[i]); };
    return transfer_.intake.workers.for_each(all.size(), copy_one);
  }

  Result<void> copy_blob(const oci::Descriptor& blob) {
    if (options_.dry_run) return count_blob(blob);
    const registry::Upload upload{.digest = blob.digest,
                                  .size_bytes = blob.size_bytes,
                                  .open = [this, &blob](uint64_t begin) { return from_.blob(blob, begin); },
                                  .mount_from = mount_from_,
                                  .sent = [this](uint64_t bytes) {
                                    bytes_ += bytes;
                                    transfer_.intake.progress.advance(kPhase, 0, bytes);
                                  }};
    const auto pushed = TRY(to_.put_blob(upload), "blob {}", blob.digest.hex().substr(0, 12));
    if (pushed != registry::Repository::Pushed::there) ++blobs_;
    return {};
  }

  // Blobs that would be mounted are counted too: only the registry knows whether it does.
  Result<void> count_blob(const oci::Descriptor& blob) {
    const bool there = TRY(to_.has_blob(blob), "blob {}", blob.digest.hex().substr(0, 12));
    const std::lock_guard lock(mutex_);
    if (there || !counted_.insert(blob.digest.hex()).second) return {};
    bytes_ += blob.size_bytes;
    ++blobs_;
    return {};
  }

  // Signatures, bills of materials and the like: of the whole, of each platform's image, and of themselves.
  Result<void> copy_all_referrers(const registry::Document& document) {
    TRY(copy_referrers(document.digest, 0));
    if (!is_index(document)) return {};
    const oci::Index index = TRY(oci::parse_index(document.bytes, document.media_type));
    for (const oci::Descriptor& entry : index.manifests) TRY(copy_referrers(entry.digest, 0));
    return {};
  }

  Result<void> copy_referrers(const oci::Digest& digest, int depth) {
    if (depth > kMostIndexes || !referred_.insert(digest.hex()).second) return {};
    const oci::Index index = TRY(from_.referrers(digest));
    for (const oci::Descriptor& entry : index.manifests) {
      TRY(copy_entry(entry, 1));
      TRY(copy_referrers(entry.digest, depth + 1));
    }
    return {};
  }

  const Transfer& transfer_;
  const CopyOptions& options_;
  CopySource& from_;
  CopyTarget& to_;
  std::vector<std::string> mount_from_;
  std::set<std::string> seen_;
  std::set<std::string> referred_;  // Whose referrers were copied.
  std::mutex mutex_;  // Guards counted_.
  std::set<std::string> counted_;
  std::atomic<uint64_t> bytes_{0};
  std::atomic<size_t> blobs_{0};
};

// What stands for an image at one end: a digest, a tag, or the name in a layout.
std::string word_of(const CopyEnd& end) {
  if (!end.reference) return end.name;
  if (end.reference->digest) return end.reference->digest->string();
  return end.reference->tag.empty() ? std::string(oci::kDefaultTag) : end.reference->tag;
}

// A layout lists an image under the name that it had, if it is given none.
std::string target_word(const CopyEnd& from, const CopyEnd& to, const std::string& source) {
  if (to.reference) return word_of(to);
  if (!to.name.empty() || oci::Digest::parse(source)) return to.name;
  return from.reference ? from.reference->repository_name() + ":" + source : source;
}

// One of many: "registry.example/team/tool:1" of a layout is the tag 1 of a registry, and the other way round.
std::string tag_of_many(const CopyEnd& from, const CopyEnd& to, const std::string& tag) {
  if (!to.reference) return from.reference ? from.reference->repository_name() + ":" + tag : tag;
  const size_t colon = tag.rfind(':');
  return colon == std::string::npos ? tag : tag.substr(colon + 1);
}

Result<std::vector<Copied>> copy_between(const Transfer& transfer, const CopyEnd& from, const CopyEnd& to,
                                         const CopyOptions& options) {
  const auto source = TRY(open_source(transfer, from));
  const auto target = TRY(open_target(transfer, to, options.dry_run));
  // One for all tags: what several of them share is copied, and counted, once.
  Copier copier(transfer, *source, *target, options);
  std::vector<Copied> out;
  copier.begin();
  if (options.all_tags) {
    const auto tags = TRY(source->tags());
    for (const std::string& tag : tags) {
      Copied copied = TRY(copier.run(tag, tag_of_many(from, to, tag)), "'{}'", printable(tag));
      out.push_back(std::move(copied));
    }
  } else {
    const std::string word = word_of(from);
    Copied copied = TRY(copier.run(word, target_word(from, to, word)));
    out.push_back(std::move(copied));
  }
  copier.end();
  return out;
}

}  // namespace

Result<std::vector<Copied>> copy_images(const Transfer& transfer, const CopyEnd& from, const CopyEnd& to,
                                        const CopyOptions& options) {
  auto copied = TRY(copy_between(transfer, from, to, options), "cannot copy '{}' to '{}'", printable(from.shown), printable(to.shown));
  return copied;
}

}  // namespace kist::engine
