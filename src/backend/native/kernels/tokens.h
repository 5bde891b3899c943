// What ops on tokens share, on all threads.
#ifndef DELTA_DIT_TOKENS_H_
#define DELTA_DIT_TOKENS_H_

#include <cstddef>

namespace delta_dit {

// More tensors than any predictor looks back at.
constexpr int kMostParts = 32;

// x + gate * raw of `samples` of [tokens, width], the gate [samples, width]; x + raw where gate is null.
void join_residual(const float* x, const float* raw, const float* gate, size_t samples, size_t tokens, size_t width,
                   float* out);

// Of tensors of `size`: the sum of weights[i] * parts[i], in their order.
void weighted_sum(const float* const* parts, const float* weights, size_t count, size_t size, float* out);

}  // namespace delta_dit

#endif  // DELTA_DIT_TOKENS_H_
