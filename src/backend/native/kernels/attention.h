// Attention of all heads of all samples, on all threads.
#ifndef DELTA_DIT_ATTENTION_H_
#define DELTA_DIT_ATTENTION_H_

#include <cstddef>

namespace delta_dit {

// Queries, keys and values [N,T,D] and [N,S,D] as they lie in their projections, features split head-major. Strides are in
// floats, from token to token.
struct Projections {
  const float* q;
  const float* k;
  const float* v;
  const float* key_bias;    // [N,S]; may be null
  const float* score_bias;  // [heads,T,S]; may be null
  float* out;               // [N,T,D]
  size_t q_stride, k_stride, v_stride;
  size_t samples, heads, queries, keys, head_size;
  float scale;
};

// Of the fused projection qkv [N,T,3D] at the usual scale.
Projections self_projections(const float* qkv, size_t samples, size_t tokens, size_t width, size_t heads, float* out);
// Of q [N,T,D] and kv [N,S,2D]; the bias [N,S] may be null.
Projections cross_projections(const float* q, const float* kv, const float* key_bias, size_t samples, size_t tokens,
                              size_t keys, size_t width, size_t heads, float* out);

void attend(const Projections& projections);

}  // namespace delta_dit

#endif  // DELTA_DIT_ATTENTION_H_
