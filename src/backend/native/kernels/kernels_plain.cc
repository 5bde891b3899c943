// Plain C++: whatever every processor of the architecture has (SSE2, NEON).
#include <cstdint>
#include <utility>

#include "kernels.h"
#include "scratch.h"

namespace delta_dit {
namespace plain {

#define DELTA_DIT_LANES 4
#define DELTA_DIT_ROWS 6
#include "vector_math.inc"
#include "row_kernels.inc"
#include "product_kernel.inc"
#include "attention_kernel.inc"

}  // namespace plain

const Kernels kPlainKernels = {
    "plain",
    plain::layer_norm_modulate,
    plain::gelu,
    plain::silu,
    plain::gate_residual,
    plain::weighted_sum,
    plain::kRows,
    plain::kPanel,
    plain::pack_rows,
    plain::product,
    plain::few_rows,
    plain::key_blocks,
    plain::pack_keys,
    plain::attention,
    plain::column_moments,
    plain::normalise_columns,
};

}  // namespace delta_dit
