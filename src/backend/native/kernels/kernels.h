// The arithmetic of the ops, once per instruction set. A kernel works on one thread, on a part of a tensor.
#ifndef DELTA_DIT_KERNELS_H_
#define DELTA_DIT_KERNELS_H_

#include <cstddef>

namespace delta_dit {

// Rows `first` … `end` - 1 of a matrix of `width` columns.
struct Rows {
  size_t first;
  size_t end;
  size_t width;
};

// Attention of the queries of one head, as they lie in the projections. Strides are in floats, from token to token.
struct AttentionTile {
  const float* q;
  const float* k;
  const float* v;
  const float* bias;  // added to the scores of each key, [keys]; may be null
  float* out;
  size_t q_stride, kv_stride, out_stride;
  size_t queries, keys, head_size;
};

// What GroupNorm does to a channel after its statistics: (x - mean) * scale + offset.
struct ChannelNorm {
  const float* mean;
  const float* scale;
  const float* offset;
};

struct Kernels {
  const char* name;

  // LayerNorm without affine parameters, then x * (1 + scale) + shift; shift and scale are per sample of `tokens` rows.
  void (*layer_norm_modulate)(Rows rows, const float* x, const float* shift, const float* scale, size_t tokens,
                              float eps, float* out);
  // x + bias. `out` may be x, here and below.
  void (*add_bias)(Rows rows, const float* x, const float* bias, float* out);
  // gelu(x + bias), tanh approximation; bias may be null.
  void (*bias_gelu)(Rows rows, const float* x, const float* bias, float* out);
  // x + gate * raw, the gate per sample.
  void (*gate_residual)(Rows rows, const float* x, const float* raw, const float* gate, size_t tokens, float* out);

  // softmax(q k^T / sqrt(head_size) + bias) v, key block by key block with a running maximum and sum (Milakov &
  // Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention").
  void (*attention)(const AttentionTile& tile);

  // Of each column: the mean, and the sum of squared deviations from it.
  void (*column_moments)(Rows rows, const float* x, float* mean, float* squares);
  // Normalises each column, then SiLU where asked for.
  void (*normalise_columns)(Rows rows, const float* x, const ChannelNorm& norm, bool silu, float* out);
};

extern const Kernels kPlainKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

// The best that this processor has, or what DELTA_DIT_CPU or `choose_kernels` names below it.
const Kernels& kernels();
// "plain", "avx2" or "avx512"; false, and nothing changes, where the processor lacks it or there is none of that name.
bool choose_kernels(const char* name);

}  // namespace delta_dit

#endif  // DELTA_DIT_KERNELS_H_
