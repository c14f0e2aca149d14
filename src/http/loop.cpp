#include "http/loop.h"

#include <pthread.h>

#include <csignal>

namespace kist::http {
namespace {

constexpr int kPollMilliseconds = 1000;

// curl writes to sockets whose peer may be gone; with OpenSSL that raises SIGPIPE, which would end
// the process. Blocked in this thread only: the disposition belongs to the whole program.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

Loop::Loop(size_t connections) : multi_(curl_multi_init()) {
  KIST_ASSERT(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(connections));
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(connections * 2));
  thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  curl_multi_wakeup(multi_);
  thread_.join();
  curl_multi_cleanup(multi_);
}

void Loop::submit(std::shared_ptr<Exchange> exchange) {
  {
    const std::lock_guard lock(mutex_);
    submitted_.push_back(std::move(exchange));
  }
  curl_multi_wakeup(multi_);
}

void Loop::resume(const Exchange* exchange) {
  {
    const std::lock_guard lock(mutex_);
    resumed_.push_back(exchange);
  }
  curl_multi_wakeup(multi_);
}

void Loop::wake() { curl_multi_wakeup(multi_); }

void Loop::run() {
  block_signals();
  while (true) {
    take_orders();
    drop_cancelled();
    {
      const std::lock_guard lock(mutex_);
      if (closing_ && submitted_.empty()) break;
    }
    int still_running = 0;
    curl_multi_perform(multi_, &still_running);
    collect_done();
    curl_multi_poll(multi_, nullptr, 0, kPollMilliseconds, nullptr);
  }
  while (!running_.empty()) end(running_.begin()->first, CURLE_ABORTED_BY_CALLBACK);
}

void Loop::take_orders() {
  std::vector<std::shared_ptr<Exchange>> submitted;
  std::vector<const Exchange*> resumed;
  {
    const std::lock_guard lock(mutex_);
    submitted.swap(submitted_);
    resumed.swap(resumed_);
  }
  for (auto& exchange : submitted) {
    const Exchange* key = exchange.get();
    running_.emplace(key, exchange);
    if (curl_multi_add_handle(multi_, exchange->easy()) != CURLM_OK) end(key, CURLE_FAILED_INIT);
  }
  for (const Exchange* exchange : resumed)
    if (running_.contains(exchange)) curl_easy_pause(exchange->easy(), CURLPAUSE_CONT);
}

void Loop::drop_cancelled() {
  std::vector<const Exchange*> cancelled;
  for (const auto& [key, exchange] : running_)
    if (exchange->cancelled) cancelled.push_back(key);
  for (const Exchange* exchange : cancelled) end(exchange, CURLE_ABORTED_BY_CALLBACK);
}

void Loop::collect_done() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* user = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
    end(static_cast<const Exchange*>(user), message->data.result);
  }
}

void Loop::end(const Exchange* exchange, CURLcode code) {
  const auto found = running_.find(exchange);
  KIST_ASSERT(found != running_.end());
  const std::shared_ptr<Exchange> kept = std::move(found->second);
  running_.erase(found);
  curl_multi_remove_handle(multi_, kept->easy());
  kept->set_code(code);
  kept->on_done();
}

}  // namespace kist::http
