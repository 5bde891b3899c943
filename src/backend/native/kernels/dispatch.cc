#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace delta_dit {

namespace {

bool runs_here(const Kernels& candidate) {
#if defined(__x86_64__)
  if (&candidate == &kAvx512Kernels) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  }
  if (&candidate == &kAvx2Kernels) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &candidate == &kPlainKernels;
}

// Fastest first.
#if defined(__x86_64__)
const Kernels* const kAll[] = {&kAvx512Kernels, &kAvx2Kernels, &kPlainKernels};
#else
const Kernels* const kAll[] = {&kPlainKernels};
#endif

const Kernels* find(const char* name) {
  for (const Kernels* candidate : kAll) {
    if (runs_here(*candidate) && (!name || std::strcmp(candidate->name, name) == 0)) return candidate;
  }
  return nullptr;
}

const Kernels* at_start() {
  const Kernels* asked = find(std::getenv("DELTA_DIT_CPU"));
  return asked ? asked : find(nullptr);
}

std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> chosen{at_start()};
  return chosen;
}

}  // namespace

const Kernels& kernels() { return *current().load(std::memory_order_relaxed); }

bool choose_kernels(const char* name) {
  const Kernels* found = find(name);
  if (found) current().store(found);
  return found != nullptr;
}

}  // namespace delta_dit
