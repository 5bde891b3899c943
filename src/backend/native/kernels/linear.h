// Products of whole matrices, on all threads.
#ifndef DELTA_DIT_LINEAR_H_
#define DELTA_DIT_LINEAR_H_

#include "kernels.h"

namespace delta_dit {

// What `product` says, of all rows of x [count, depth], normalised first where norm has a scale; `product.rows` is set here.
void multiply(Product product, RowNorm norm, const float* x);

// The vectors of adaLN: the linear of silu(c) [samples, depth], cut into `parts` of [samples, width / parts] at `out`, one
// after the other. `product` gives kernel, bias, depth, width and the kernel's type.
void modulation_vectors(Product product, const float* c, size_t samples, size_t parts, float* out);

}  // namespace delta_dit

#endif  // DELTA_DIT_LINEAR_H_
