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
/// Holds the store's shared lock, so gc waits for it. A child that is forked while a transaction is
/// open holds it too, until it executes another program. Threads: all methods from any thread,
/// commit from one. Writers from begin() must not outlive the transaction.
class Transaction final : public ObjectSink {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction() override;

  Result<Object> put(std::string_view bytes, uint32_t mode) override;
  Result<std::unique_ptr<ObjectWriter>> begin(uint32_t mode) override;
  /// Errors: unavailable (disk full).
  Result<oci::Digest> put_tree(const Tree& tree);
  /// Names: "wheel/<key>", "deb/<key>", "env/<key>" …: letters, digits, and . - _ + /
  /// A name that breaks these rules is an error of commit(). A later call for the same name wins.
  void name(std::string name, const oci::Digest& tree);
  /// What name() was told for this name in this transaction; empty when nothing.
  std::optional<oci::Digest> find_pending(std::string_view name) const;
  /// A small file of another module, at `path` below the store's folder, that appears (or replaces
  /// the one there) in commit() after the names, in the order of these calls, and durably. Its own
  /// rules apply to what is in it, except that gc takes files of digests for pins (inventory.h).
  void publish(std::string path, std::string bytes);
  /// Makes all durable with one syncfs, after which the names appear, one by one: each stands for
  /// something whole and durable. Blocks on the disk: a run calls it after the program was
  /// started. Errors: invalid (a name), unavailable (disk full).
  Result<void> commit() &&;

 private:
  friend class Store;
  friend class RootMaker;
  struct State;  // transaction_state.h
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
  /// Waits while gc works. After a power cut it first checks what unfinished transactions wrote.
  /// Errors: denied (read-only), unavailable (disk full).
  Result<Transaction> begin() const;

  /// The tree that a name stands for; empty when there is none. Marks the name as used (at most
  /// once a day, by its file's time), which is what gc goes by. Errors: invalid (no such name can
  /// be), unavailable.
  Result<std::optional<oci::Digest>> find(std::string_view name) const;
  /// All that begin so, sorted: names("wheel/").
  Result<std::vector<std::string>> names(std::string_view prefix) const;
  Result<void> remove_name(std::string_view name) const;
  /// Errors: not_found, corrupt.
  Result<Tree> tree(const oci::Digest& digest) const;
  /// Where the object lies; `mode` as it was put.
  std::string object_path(const oci::Digest& object, uint32_t mode) const;
  /// The whole content, checked against its digest. Errors: not_found, corrupt (hint: fsck).
  Result<std::string> read_object(const Entry& file) const;

 private:
  Store(std::string home, bool read_only) : home_(std::move(home)), read_only_(read_only) {}
  std::string home_;
  bool read_only_ = false;
};

}  // namespace kist::store
