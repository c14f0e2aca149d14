// A registry in a folder. docs/formats/registry.md has the layout.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "registry_server/storage.h"

namespace kist::registry_server {

/// Any number of processes may use one folder. Durability: a blob is on the disk before it has a
/// name; a put() that is durable syncs the folders of everything before it. Without `syncs` nothing
/// waits for the disk, and a power cut may take the last minute: for caches.
class FolderStorage final : public Storage {
 public:
  /// Makes what is missing. Errors: denied, invalid (another program's folder, a newer format).
  static Result<std::unique_ptr<FolderStorage>> open(const std::string& root, bool syncs = true);

  Result<std::optional<std::string>> get(const std::string& key) override;
  Result<bool> has(const std::string& key) override;
  Result<std::optional<int64_t>> modified(const std::string& key) override;
  Result<void> put(const std::string& key, std::string_view text, bool is_durable) override;
  Result<void> touch(const std::string& key) override;
  Result<bool> remove(const std::string& key) override;
  Result<Listing> list(const std::string& prefix) override;

  Result<std::optional<BlobSource>> open_blob(const ContentDigest& digest) override;
  Result<bool> touch_blob(const ContentDigest& digest) override;
  Result<void> put_blob(const ContentDigest& digest, StagedFile file) override;
  Result<bool> remove_blob(const ContentDigest& digest) override;
  Result<std::vector<StoredBlob>> blobs() override;
  Result<os::Fd> lock(bool is_alone) override;
  bool is_quick() const override { return true; }

 private:
  FolderStorage(os::Fd root, std::string path, bool syncs) : root_(std::move(root)), path_(std::move(path)), syncs_(syncs) {}
  Result<void> make_parents(const std::string& key);
  void is_unsynced(const std::string& folder);
  Result<void> sync_folders();
  Result<void> sync_folder(const std::string& folder);
  Result<void> write_text(const std::string& key, std::string_view text, bool is_durable);
  std::string new_temporary();

  os::Fd root_;
  std::string path_;
  bool syncs_;
  std::mutex syncing_;  // Held while folders are synced.
  std::mutex mutex_;  // Guards what follows.
  uint64_t next_temporary_ = 0;
  std::vector<std::string> unsynced_;  // Folders with names that are not known to be durable, once each.
};

/// "blobs/sha256/ab/<hex>"
std::string blob_key(const ContentDigest& digest);

}  // namespace kist::registry_server
