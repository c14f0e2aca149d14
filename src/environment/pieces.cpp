#include "environment/pieces.h"

#include <algorithm>
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

Error missing_offline(const std::vector<Piece*>& missing) {
  return Error(Code::unavailable, "{} of the locked packages are not on this machine, first {}",
               missing.size(), missing.front()->label)
      .hint("run it once without `--offline`");
}

// The person's way out, where nobody knew a better one.
Error with_remedy(Error error, const Piece* piece) {
  if (!error.hint_text().empty()) return error;
  switch (error.code()) {
    case Code::not_found:
    case Code::corrupt:
    case Code::invalid:
    case Code::exists:
    case Code::unsupported:
      return piece == nullptr ? std::move(error) : std::move(error).hint(piece->remedy);
    case Code::unavailable:
      return std::move(error).hint("try it again: what has arrived is kept");
    default: return error;
  }
}

// Fetches and installs what the store does not have.
class Fetching {
 public:
  Fetching(const Context& context, store::Transaction& tx, std::vector<Piece*> missing,
           os::TempDir claims)
      : context_(context), tx_(tx), missing_(std::move(missing)), claims_(std::move(claims)) {
    trees_.resize(missing_.size());
  }

  Result<void> run(std::string_view phase) {
    std::vector<size_t> wanted(missing_.size());
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = i;
    // Another process that installs the same package may take the file from under us; then it is
    // fetched once more. Each round at least one process gets on, so this ends.
    while (!wanted.empty()) {
      lost_.clear();
      TRY(fetch(wanted, phase));
      wanted = std::move(lost_);
    }
    return {};
  }

  std::vector<store::Tree> take(size_t i) { return std::move(trees_[i]); }
  uint64_t unknown_bytes() const { return unknown_bytes_; }

 private:
  Result<void> fetch(const std::vector<size_t>& wanted, std::string_view phase) {
    std::vector<http::Download> downloads;
    for (const size_t i : wanted) downloads.push_back(*missing_[i]->download);
    const auto on_file = [&](size_t k) { return install(wanted[k], downloads[k]); };
    auto done = context_.client.download_all(downloads, on_file, os::core_count(),
                                             context_.progress, phase);
    if (done) return {};
    const Piece* piece = failed_piece(done.error().message());
    return with_remedy(std::move(done).error(), piece);
  }

  // The client names the file by its label.
  const Piece* failed_piece(std::string_view message) const {
    const auto found = std::find_if(missing_.begin(), missing_.end(), [&](const Piece* piece) {
      return message.ends_with(printable(piece->label));
    });
    return found == missing_.end() ? nullptr : *found;
  }

  Result<void> install(size_t i, const http::Download& download) {
    Piece& piece = *missing_[i];
    const std::string claimed = os::join(claims_.path(), fmt::format("{}", i));
    if (::rename(download.path.c_str(), claimed.c_str()) != 0) {
      const std::lock_guard lock(mutex_);
      lost_.push_back(i);
      return {};
    }
    if (!download.size_bytes)
      if (const auto stamp = os::stamp(claimed)) unknown_bytes_ += stamp->size_bytes;
    auto trees = TRY(piece.install(claimed, tx_), "installing {}", piece.label);
    KIST_ASSERT(trees.size() == piece.store_names.size());
    for (size_t t = 0; t < trees.size(); ++t) {
      const oci::Digest digest = TRY(tx_.put_tree(trees[t]));
      tx_.name(piece.store_names[t], digest);
    }
    (void)os::remove_tree(claimed).has_value();
    trees_[i] = std::move(trees);
    return {};
  }

  const Context& context_;
  store::Transaction& tx_;
  const std::vector<Piece*> missing_;
  const os::TempDir claims_;
  std::vector<std::vector<store::Tree>> trees_;
  std::mutex mutex_;
  std::vector<size_t> lost_;                // Guarded.
  std::atomic<uint64_t> unknown_bytes_ = 0;  // Of files whose size the lock does not say.
};

// Local files need no network.
bool is_local(const http::Download& download) {
  return !download.urls.empty() && download.urls.front().starts_with("file:");
}

std::string summary(std::string_view phase, const Gathered& got, double seconds) {
  const auto rate = static_cast<uint64_t>(static_cast<double>(got.fetched_bytes) / seconds);
  return fmt::format("{} {} package{} ({}, {}/s), {} were in the store", phase, got.assembled,
                     got.assembled == 1 ? "" : "s", human_bytes(got.fetched_bytes), human_bytes(rate),
                     got.from_store);
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
  std::vector<Piece*> missing_pieces;
  bool all_local = true;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (found[i]) {
      got.trees[i] = std::move(*found[i]);
      ++got.from_store;
      continue;
    }
    KIST_ASSERT(pieces[i].download.has_value());
    missing.push_back(i);
    missing_pieces.push_back(&pieces[i]);
    got.fetched_bytes += pieces[i].download->size_bytes.value_or(0);
    all_local = all_local && is_local(*pieces[i].download);
  }
  if (missing.empty()) return got;
  if (context.offline && !all_local) return missing_offline(missing_pieces);
  TRY(os::make_folders(context.cache("partial")));
  os::TempDir claims = TRY(os::TempDir::make(context.cache("partial"), "claims."));
  context.progress.begin(phase, missing.size(), got.fetched_bytes);
  const auto start = std::chrono::steady_clock::now();
  Fetching fetching(context, tx, std::move(missing_pieces), std::move(claims));
  TRY(fetching.run(phase));
  for (size_t k = 0; k < missing.size(); ++k) got.trees[missing[k]] = fetching.take(k);
  got.assembled = missing.size();
  got.fetched_bytes += fetching.unknown_bytes();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  context.progress.end(phase, summary(phase, got, took.count()));
  return got;
}

}  // namespace kist::environment
