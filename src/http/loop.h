// The one thread that moves bytes: a curl multi handle and the exchanges in it.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "http/exchange.h"

namespace kist::http {

/// Threads: submit(), resume() and wake() from any. Callbacks of exchanges must not block.
/// Lifetime: the destructor drops what still runs (with on_done()) and joins.
class Loop {
 public:
  explicit Loop(size_t connections);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Starts a prepared exchange. on_done() follows, always and once.
  void submit(std::shared_ptr<Exchange> exchange);
  /// Goes on with one whose on_body() said pause. Nothing happens when it has ended meanwhile.
  void resume(const Exchange* exchange);
  /// Makes the thread look at `cancelled` flags.
  void wake();

 private:
  void run();
  void take_orders();
  void collect_done();
  void drop_cancelled();
  void end(const Exchange* exchange, CURLcode code);

  CURLM* multi_;
  std::unordered_map<const Exchange*, std::shared_ptr<Exchange>> running_;  // Loop's thread only.

  std::mutex mutex_;  // Guards what follows.
  std::vector<std::shared_ptr<Exchange>> submitted_;
  std::vector<const Exchange*> resumed_;
  bool closing_ = false;

  std::thread thread_;
};

}  // namespace kist::http
