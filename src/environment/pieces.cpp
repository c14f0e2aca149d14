#include "environment/pieces.h"

#include <atomic>
#include <chrono>
#include <mutex>

#include "base/text.h"

namespace kist::environment {
namespace {

// The trees of a piece that the store has whole; empty when one of its names is missing.
Result<std::optional<std::vector<store::Tree>>> from_store(const store::Store& store,
                                                           const store::Transaction& tx,
                                                           const Piece& piece) {
  std::vector<store::Tree> trees;
  for (const std::string& name : piece.store_names) {
    const auto digest = TRY(find_name(store, tx, name));
    if (!digest) return std::optional<std::vector<store::Tree>>();
    auto tree = store.tree(*digest);
    // A name without its tree is damage; the package is simply made again.
    if (!tree) return std::optional<std::vector<store::Tree>>();
    trees.push_back(std::move(*tree));
  }
  return std::optional(std::move(trees));
}

Error missing_offline(const std::vector<const Piece*>& missing) {
  return Error(Code::unavailable, "{} of the locked packages are not on this machine, first {}",
               missing.size(), missing.front()->label)
      .hint("run it once without `--offline`");
}

}  // namespace

Result<std::optional<oci::Digest>> find_name(const store::Store& store, const store::Transaction& tx,
                                             std::string_view name) {
  if (auto pending = tx.find_pending(name)) return pending;
  return store.find(name);
}

Result<Gathered> gather(const Context& context, std::vector<Piece>& pieces, store::Transaction& tx,
                        std::string_view phase) {
  Gathered got;
  got.trees.resize(pieces.size());
  std::vector<std::optional<std::vector<store::Tree>>> found(pieces.size());
  const auto look = [&](size_t i) -> Result<void> {
    found[i] = TRY(from_store(context.store, tx, pieces[i]), "{}", pieces[i].label);
    return {};
  };
  TRY(context.workers.for_each(pieces.size(), look));
  std::vector<size_t> missing;
  std::vector<const Piece*> missing_pieces;
  std::vector<http::Download> downloads;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (found[i]) {
      got.trees[i] = std::move(*found[i]);
      ++got.from_store;
      continue;
    }
    missing.push_back(i);
    missing_pieces.push_back(&pieces[i]);
    KIST_ASSERT(pieces[i].download.has_value());
    downloads.push_back(*pieces[i].download);
    got.fetched_bytes += pieces[i].download->size_bytes.value_or(0);
  }
  if (missing.empty()) return got;
  if (context.offline) {
    // Local files need no network.
    for (const http::Download& download : downloads)
      if (download.urls.empty() || !download.urls.front().starts_with("file:"))
        return missing_offline(missing_pieces);
  }
  TRY(os::make_folders(context.cache("partial")));
  context.progress.begin(phase, missing.size(), got.fetched_bytes);
  const auto start = std::chrono::steady_clock::now();
  std::mutex names_mutex;
  std::atomic<uint64_t> unknown_bytes = 0;  // Of files whose size the lock does not say.
  const auto install = [&](size_t k) -> Result<void> {
    Piece& piece = pieces[missing[k]];
    auto trees = TRY(piece.install(downloads[k].path, tx), "installing {}", piece.label);
    KIST_ASSERT(trees.size() == piece.store_names.size());
    for (size_t t = 0; t < trees.size(); ++t) {
      const oci::Digest digest = TRY(tx.put_tree(trees[t]));
      const std::lock_guard lock(names_mutex);
      tx.name(piece.store_names[t], digest);
    }
    if (!downloads[k].size_bytes)
      if (const auto stamp = os::stamp(downloads[k].path)) unknown_bytes += stamp->size_bytes;
    (void)os::remove_tree(downloads[k].path).has_value();
    got.trees[missing[k]] = std::move(trees);
    return {};
  };
  TRY(context.client.download_all(downloads, install, os::core_count(), context.progress, phase));
  got.assembled = missing.size();
  got.fetched_bytes += unknown_bytes;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  context.progress.end(phase, fmt::format("{} {} packages ({}, {}/s), {} were in the store", phase,
                                          missing.size(), human_bytes(got.fetched_bytes),
                                          human_bytes(static_cast<uint64_t>(
                                              static_cast<double>(got.fetched_bytes) / took.count())),
                                          got.from_store));
  return got;
}

}  // namespace kist::environment
