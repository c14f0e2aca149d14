// What the connections of one thread share. Module-private; the only header that shows Asio.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "http_server/server.h"

namespace kist::http_server {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

class Connection;

/// What all connections of a server share. Threads: any.
struct Shared {
  Shared(Options given, Handler& by)
      : options(std::move(given)), handler(by), waiting(options.waiting_threads), producing(options.waiting_threads) {}
  Options options;
  Handler& handler;
  asio::thread_pool waiting;    // Later, finish().
  asio::thread_pool producing;  // ProducedBody, which may take as long as its client.
  std::atomic<size_t> connections{0};
  std::atomic<bool> is_stopping{false};
  std::atomic<bool> has_ended{false};  // The time to finish is over, and that was told.
  std::mutex mutex;  // Guards what follows.
  std::shared_ptr<const TlsContext> tls;
};

/// One thread's. Only that thread touches it, but for `context`.
struct Loop {
  explicit Loop(Shared& all) : shared(all), context(1), sweeper(context), scratch(256 << 10) {}
  Shared& shared;
  asio::io_context context;
  asio::steady_timer sweeper;
  std::vector<char> scratch;  // For bytes that are used up before the thread waits again.
  std::list<Connection*> connections;
  std::string date;  // As a header line; renewed each second.
  Clock::time_point must_end = Clock::time_point::max();
};

/// Serves one client until it leaves. Owns everything about it.
asio::awaitable<void> serve(asio::ip::tcp::socket socket, Loop& loop, std::shared_ptr<const TlsContext> tls);

/// Ends connections whose time is over, those that wait for nobody, and idle ones once the server stops.
void sweep(Loop& loop);

}  // namespace kist::http_server
