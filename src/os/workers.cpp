#include "os/workers.h"

#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "os/thread_signals.h"

namespace kist::os {
namespace {

// One for_each() call. All fields are guarded by the pool's mutex but `work`: taking an item costs
// one lock, which is nothing beside the file that it stands for.
struct Batch {
  const std::function<Result<void>(size_t)>* work;
  size_t count;
  size_t next = 0;
  size_t running = 0;
  std::optional<Error> error = std::nullopt;
  size_t error_index = 0;

  bool exhausted() const { return next >= count; }
};

}  // namespace

struct Workers::State {
  std::mutex mutex;
  std::condition_variable work_ready;
  std::condition_variable item_done;
  std::vector<Batch*> batches;  // Those with items left, oldest first.
  bool stopping = false;
  std::vector<std::thread> threads;

  // Runs one item. The lock is held on entry and on return, and not while the item runs.
  void run_one(Batch& batch, std::unique_lock<std::mutex>& lock) {
    const size_t index = batch.next++;
    if (batch.exhausted()) std::erase(batches, &batch);
    ++batch.running;
    lock.unlock();
    Result<void> done = (*batch.work)(index);
    lock.lock();
    --batch.running;
    if (!done && (!batch.error || index < batch.error_index)) {
      batch.error = std::move(done).error();
      batch.error_index = index;
      batch.next = batch.count;
      std::erase(batches, &batch);
    }
    if (batch.running == 0 && batch.exhausted()) item_done.notify_all();
  }

  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      work_ready.wait(lock, [&] { return stopping || !batches.empty(); });
      if (stopping) return;
      run_one(*batches.front(), lock);
    }
  }
};

unsigned core_count() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

Workers::Workers(unsigned threads) : state_(std::make_unique<State>()) {
  for (unsigned i = 0; i < threads; ++i)
    state_->threads.emplace_back([state = state_.get()] {
      leave_signals_to_others();
      state->serve();
    });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work_ready.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

Result<void> Workers::for_each(size_t count, const std::function<Result<void>(size_t)>& work) {
  if (count == 0) return {};
  Batch batch{.work = &work, .count = count};
  std::unique_lock lock(state_->mutex);
  if (count > 1 && !state_->threads.empty()) {
    state_->batches.push_back(&batch);
    state_->work_ready.notify_all();
  }
  while (!batch.exhausted()) state_->run_one(batch, lock);
  state_->item_done.wait(lock, [&] { return batch.running == 0; });
  if (batch.error) return std::move(*batch.error);
  return {};
}

}  // namespace kist::os
