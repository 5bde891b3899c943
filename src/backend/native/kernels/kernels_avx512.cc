// AVX-512: 32 registers of 16 floats.
#if defined(__x86_64__)
#include <cstdint>
#include <utility>

#include "kernels.h"
#include "scratch.h"

// For all functions from here on. The headers stay above it: what they define must run on every processor.
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")

namespace delta_dit {
namespace avx512 {

#define DELTA_DIT_LANES 16
#define DELTA_DIT_ROWS 12
#include "vector_math.inc"
#include "row_kernels.inc"
#include "product_kernel.inc"
#include "attention_kernel.inc"

}  // namespace avx512

const Kernels kAvx512Kernels = {
    "avx512",
    avx512::layer_norm_modulate,
    avx512::gelu,
    avx512::silu,
    avx512::gate_residual,
    avx512::weighted_sum,
    avx512::kRows,
    avx512::kPanel,
    avx512::pack_rows,
    avx512::product,
    avx512::few_rows,
    avx512::key_blocks,
    avx512::pack_keys,
    avx512::attention,
    avx512::column_moments,
    avx512::normalise_columns,
};

}  // namespace delta_dit
#endif  // __x86_64__
