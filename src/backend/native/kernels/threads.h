// The threads that kernels share: TensorFlow's C API gives no access to its own.
#ifndef DELTA_DIT_THREADS_H_
#define DELTA_DIT_THREADS_H_

#include <cstddef>

namespace delta_dit {

// Calls task(argument, 0) … task(argument, count - 1) on the calling thread and on workers, in no order, and returns when
// all are done. Results must not depend on who runs which task. A call from another thread while one is going on runs
// alone on its thread.
void parallel(size_t count, void (*task)(const void* argument, size_t index), const void* argument);

// The same for a callable object that takes the index.
template <typename Task>
void parallel(size_t count, const Task& task) {
  parallel(
      count, [](const void* argument, size_t index) { (*static_cast<const Task*>(argument))(index); }, &task);
}

// Threads that compute at once, the caller's among them.
size_t thread_count();

}  // namespace delta_dit

#endif  // DELTA_DIT_THREADS_H_
