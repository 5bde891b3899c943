#include "threads.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace delta_dit {

namespace {

// How often a thread without work looks again before it sleeps, some 20 µs: about the time between two ops of a block.
// Much longer would take the core away from TensorFlow's own threads.
constexpr int kSpins = 400;

// The index of no task.
constexpr uint32_t kClosed = UINT32_MAX;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

size_t decide_thread_count() {
  if (const char* asked = std::getenv("TF_NUM_INTRAOP_THREADS")) {  // TensorFlow's own setting
    const int threads = std::atoi(asked);
    if (threads > 0) return static_cast<size_t>(threads);
  }
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    const int cores = CPU_COUNT(&allowed);
    if (cores > 0) return static_cast<size_t>(cores);
  }
  const unsigned cores = std::thread::hardware_concurrency();
  return cores > 0 ? cores : 1;
}

// One job at a time. `ticket_` holds the job's number in its upper and the next task's index in its lower half, so that a
// worker that read a job's fields takes a task of it only if that job is still the current one: the exchange fails else.
// Nobody waits for a worker that has not begun a task, be it asleep or, after a fork, gone.
class Pool {
 public:
  void run(size_t count, void (*task)(const void*, size_t), const void* argument) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (count < 2 || thread_count() < 2 || !turn.owns_lock()) {
      for (size_t i = 0; i < count; i++) task(argument, i);
      return;
    }
    start_workers();
    const uint64_t job = (ticket_.load() >> 32) + 1;
    // Closed while the fields change: a worker that pairs the last job's ticket with this job's fields fails to exchange.
    ticket_.store((job << 32) | kClosed);
    done_.store(0);
    count_.store(static_cast<uint32_t>(count));
    task_.store(task);
    argument_.store(argument);
    ticket_.store(job << 32);
    wake_workers();
    while (take_task()) {
    }
    // Beyond the spins somebody else has a worker's core: sleeping through a slice of it beats burning one's own.
    for (int i = 0; done_.load() < count; i++) {
      if (i < kSpins) {
        relax();
      } else {
        sched_yield();
      }
    }
  }

 private:
  // False where the current job has no task left.
  bool take_task() {
    uint64_t ticket = ticket_.load();
    for (;;) {
      const auto task = task_.load();
      const void* argument = argument_.load();
      const uint32_t count = count_.load();
      const uint32_t index = static_cast<uint32_t>(ticket);
      if (index >= count) return false;
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1)) continue;
      task(argument, index);
      done_.fetch_add(1);
      return true;
    }
  }

  bool has_task() const { return static_cast<uint32_t>(ticket_.load()) < count_.load(); }

  void start_workers() {
    if (started_) return;
    started_ = true;
    // Detached: at the end of the process they sleep, and are ended with it.
    for (size_t i = 1; i < thread_count(); i++) std::thread(&Pool::work, this).detach();
  }

  void wake_workers() {
    if (sleepers_.load() == 0) return;
    std::lock_guard<std::mutex> lock(sleep_);
    wake_.notify_all();
  }

  void work() {
    pthread_setname_np(pthread_self(), "delta-dit");
    for (;;) {
      while (take_task()) {
      }
      for (int i = 0; i < kSpins && !has_task(); i++) relax();
      if (has_task()) continue;
      std::unique_lock<std::mutex> lock(sleep_);
      sleepers_.fetch_add(1);
      // Who posts a job after this sees the sleeper; who posted one before is seen here.
      wake_.wait(lock, [this] { return has_task(); });
      sleepers_.fetch_sub(1);
    }
  }

  std::mutex turn_;
  bool started_ = false;
  std::atomic<uint64_t> ticket_{0};
  std::atomic<uint32_t> count_{0};
  std::atomic<void (*)(const void*, size_t)> task_{nullptr};
  std::atomic<const void*> argument_{nullptr};
  std::atomic<size_t> done_{0};
  std::mutex sleep_;
  std::condition_variable wake_;
  std::atomic<int> sleepers_{0};
};

}  // namespace

size_t thread_count() {
  static const size_t threads = decide_thread_count();
  return threads;
}

void parallel(size_t count, void (*task)(const void*, size_t), const void* argument) {
  static Pool& pool = *new Pool;  // never destroyed: its workers outlive every static object
  pool.run(count, task, argument);
}

}  // namespace delta_dit
