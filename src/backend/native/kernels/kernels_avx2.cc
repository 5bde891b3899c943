// AVX2 with FMA: 16 registers of 8 floats.
#if defined(__x86_64__)
#include <cstdint>
#include <utility>

#include "kernels.h"
#include "scratch.h"

// For all functions from here on. The headers stay above it: what they define must run on every processor.
#pragma GCC target("avx2,fma")

namespace delta_dit {
namespace avx2 {

#define DELTA_DIT_LANES 8
#define DELTA_DIT_ROWS 6
#include "vector_math.inc"
#include "row_kernels.inc"
#include "product_kernel.inc"
#include "attention_kernel.inc"

}  // namespace avx2

const Kernels kAvx2Kernels = {
    "avx2",
    avx2::layer_norm_modulate,
    avx2::gelu,
    avx2::silu,
    avx2::gate_residual,
    avx2::weighted_sum,
    avx2::kRows,
    avx2::kPanel,
    avx2::pack_rows,
    avx2::product,
    avx2::few_rows,
    avx2::key_blocks,
    avx2::pack_keys,
    avx2::attention,
    avx2::column_moments,
    avx2::normalise_columns,
};

}  // namespace delta_dit
#endif  // __x86_64__
