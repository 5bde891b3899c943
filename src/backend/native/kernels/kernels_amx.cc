// AVX-512, with AMX for products from bfloat16.
#include "kernels.h"

#ifdef DELTA_DIT_AMX
#include <immintrin.h>

#include <cstdint>
#include <utility>

#include "scratch.h"

// For all functions from here on. The headers stay above it: what they define must run on every processor.
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma,prefer-vector-width=512,amx-tile,amx-bf16")

namespace delta_dit {
namespace amx {

#define DELTA_DIT_LANES 16
#define DELTA_DIT_ROWS 12
#include "vector_math.inc"
#include "row_kernels.inc"
#include "product_kernel.inc"
#include "product_amx.inc"
#include "attention_kernel.inc"

}  // namespace amx

const Kernels kAmxKernels = {
    "amx",
    amx::layer_norm_modulate,
    amx::gelu,
    amx::silu,
    amx::gate_residual,
    amx::weighted_sum,
    amx::kTileRows,
    amx::kTilePanel,
    amx::pack_tiles,
    amx::product_of_tiles,
    amx::few_rows,
    amx::key_blocks,
    amx::pack_keys,
    amx::attention,
    amx::column_moments,
    amx::normalise_columns,
};

}  // namespace delta_dit
#endif  // DELTA_DIT_AMX
