#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernels.h"

#ifdef DELTA_DIT_AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace delta_dit {

namespace {

#ifdef DELTA_DIT_AMX
// Linux lends the tiles, its state component 18, to a process that asks; its threads have them, too. Linux before 5.16,
// and one that keeps them from it, say no.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

bool runs_here(const Kernels& candidate) {
#if defined(__x86_64__)
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#ifdef DELTA_DIT_AMX
  if (&candidate == &kAmxKernels) {
    return has_avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("amx-tile") &&
           __builtin_cpu_supports("amx-bf16") && may_use_tiles();
  }
#endif
  if (&candidate == &kAvx512Kernels) return has_avx512;
  if (&candidate == &kAvx2Kernels) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &candidate == &kPlainKernels;
}

// Fastest first.
const Kernels* const kAll[] = {
#ifdef DELTA_DIT_AMX
    &kAmxKernels,
#endif
#if defined(__x86_64__)
    &kAvx512Kernels, &kAvx2Kernels,
#endif
    &kPlainKernels,
};

const Kernels* find(const char* name) {
  for (const Kernels* candidate : kAll) {
    if ((!name || std::strcmp(candidate->name, name) == 0) && runs_here(*candidate)) return candidate;
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
