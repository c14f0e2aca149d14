// The store: contents, trees and names on this machine, shared by any number of processes without
// a daemon. docs/formats/store.md describes the folder and the commit order.
//
//   store::Store store = TRY(store::Store::open(home));
//   store::Transaction tx = TRY(store.begin());
//   TreeBuilder builder(tx);
//   … builder.file("usr/bin/x", 0755, bytes) …
//   const store::Tree tree = TRY(std::move(builder).finish());
//   TRY(tx.put_tree(tree));
//   tx.name("wheel/" + key, tree.digest());
//   TRY(std::move(tx).commit());            // One syncfs, then the names appear.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "os/files.h"
#include "store/object_sink.h"
#include "store/tree.h"

namespace kist::store {

/// Writes into a store. Objects and trees are usable by this process at once; a name given with
/// name() becomes visible to others only in commit(), after everything it names is durable.
/// Dropping a transaction without commit() leaves garbage for gc and nothing else.
///
/// Holds the store's shared lock, so gc waits for it. Threads: all methods from any thread, commit
/// from one.
class Transaction final : public ObjectSink {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction() override;

  Result<Object> put(std::string_view bytes, uint32_t mode) override;
  Result<std::unique_ptr<ObjectWriter>> begin(uint32_t mode) override;
  /// Errors: unavailable (disk full).
  Result<oci::Digest> put_tree(const Tree& tree);
  /// Names: "wheel/<key>", "deb/<key>", "env/<key>" …: letters, digits, ".", "-", "_", "+" and '/'.
  void name(std::string name, const oci::Digest& tree);
  /// Names several trees at once, for a package that gives more than one.
  /// Makes all durable with one syncfs, then writes the names. Blocks on the disk: a run calls it
  /// after the program was started.
  Result<void> commit() &&;

 private:
  friend class Store;
  struct State;
  explicit Transaction(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Threads and processes: all const methods from any thread; any number of processes share a home.
class Store {
 public:
  /// Makes the layout when it is missing. Errors: denied (read-only: open again with
  /// `read_only`), unsupported (made by a later kist).
  static Result<Store> open(const std::string& home, bool read_only = false);

  const std::string& home() const { return home_; }
  Result<Transaction> begin() const;

  /// The tree that a name stands for; empty when there is none.
  Result<std::optional<oci::Digest>> find(std::string_view name) const;
  Result<std::vector<std::string>> names(std::string_view prefix) const;
  Result<void> remove_name(std::string_view name) const;
  /// Errors: not_found, corrupt.
  Result<Tree> tree(const oci::Digest& digest) const;
  /// Where the object lies; `mode` as it was put.
  std::string object_path(const oci::Digest& object, uint32_t mode) const;
  Result<std::string> read_object(const Entry& file) const;

 private:
  explicit Store(std::string home) : home_(std::move(home)) {}
  std::string home_;
  bool read_only_ = false;
};

}  // namespace kist::store
