// The arithmetic of the ops, once per instruction set. A kernel works on one thread, on a part of a tensor.
#ifndef DELTA_DIT_KERNELS_H_
#define DELTA_DIT_KERNELS_H_

#include <cstddef>

// AMX needs a compiler that knows it, and a system that lends its registers.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11
#define DELTA_DIT_AMX
#endif

namespace delta_dit {

// Rows `first` … `end` - 1 of a matrix of `width` columns.
struct Rows {
  size_t first;
  size_t end;
  size_t width;
};

// LayerNorm without affine parameters, then x * (1 + scale) + shift: scale and shift [samples, width] of `tokens` rows each.
struct RowNorm {
  const float* shift;
  const float* scale;
  size_t tokens;
  size_t first_row;  // of the rows that are given, among those of all samples
  float eps;
};

// x kernel + bias, then GELU, then residual + gate * that; what is null or false is left out.
struct Product {
  const float* rows;      // [count, depth], laid out by `pack_rows`
  const void* kernel;     // [depth, width], float32 or bfloat16
  const float* bias;      // [width]
  const float* residual;  // [count, width]
  const float* gate;      // [samples, width], of `tokens` rows each
  float* out;             // [count, width]
  size_t count, depth, width;
  size_t tokens;
  size_t first_row;  // of `count` rows, among those of all samples
  bool bfloat16;
  bool gelu;
};

struct ProductTile {
  size_t first_row, end_row, first_column, end_column;
};

// Up to so many rows a product waits for memory, and is computed by `few_rows`.
constexpr size_t kFewRows = 4;

// Keys and values of one head, as they lie in the projections. Strides are in floats, from token to token.
struct HeadKeys {
  const float* k;
  const float* v;
  size_t k_stride, v_stride;
  size_t keys, head_size;
};

// How `pack_keys` cuts them: keys of a block, the last of which may have fewer, and the floats that it takes.
struct KeyBlocks {
  size_t keys, floats;
};

// Attention of some queries of one head.
struct AttentionTile {
  const float* q;       // as they lie in the projection
  const float* packed;  // all blocks of the head's keys and values
  const float* score_bias;  // added to the scores, [queries, keys], rows `bias_stride` apart; may be null
  const float* key_bias;    // added to the scores of each key, [keys]; may be null
  float* out;
  size_t q_stride, bias_stride, out_stride;
  size_t queries, keys, head_size;
  float scale;  // of the products of queries and keys
};

// What GroupNorm does to a channel after its statistics: (x - mean) * scale + offset.
struct ChannelNorm {
  const float* mean;
  const float* scale;
  const float* offset;
};

struct Kernels {
  const char* name;

  void (*layer_norm_modulate)(Rows rows, const float* x, const RowNorm& norm, float* out);
  // Tanh approximation.
  void (*gelu)(Rows rows, const float* x, float* out);
  void (*silu)(Rows rows, const float* x, float* out);
  // x + gate * raw, the gate per sample; x + raw where gate is null.
  void (*gate_residual)(Rows rows, const float* x, const float* raw, const float* gate, size_t tokens, float* out);
  // Of elements `first` … `end` - 1: the sum of weights[i] * parts[i], in their order.
  void (*weighted_sum)(const float* const* parts, const float* weights, size_t count, size_t first, size_t end, float* out);

  // Rows and columns that a product takes at a time; where tiles are cut.
  size_t height, panel;
  // Lays rows of x [count, depth] out as `product` and `few_rows` read them, normalised first where norm has a scale;
  // there is room for as many floats.
  void (*pack_rows)(Rows rows, const float* x, const RowNorm& norm, const Product& product, float* packed);
  // Computes a tile of a product. A number depends on its row and column, but not on the tile that they are in.
  void (*product)(const Product& product, const ProductTile& tile);
  // The same for at most kFewRows rows, at the speed at which the kernel can be read.
  void (*few_rows)(const Product& product, const ProductTile& tile);

  // A head of so many keys, as `attention` reads it.
  KeyBlocks (*key_blocks)(size_t keys, size_t head_size);
  // Lays one block of a head out in its place of `packed`, which has room for all of them.
  void (*pack_keys)(const HeadKeys& head, size_t block, float* packed);
  // softmax(scale q k^T + biases) v, key block by key block with a running maximum and sum (Milakov & Gimelshein 2018,
  // "Online normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention").
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
#ifdef DELTA_DIT_AMX
// Those of AVX-512, but for the products of kernels in bfloat16, whose rows they round to bfloat16, too.
extern const Kernels kAmxKernels;
#endif

// The best that this processor has, or what DELTA_DIT_CPU or `choose_kernels` names below it.
const Kernels& kernels();
// "plain", "avx2", "avx512" or "amx"; false, and nothing changes, where the processor lacks it or there is none of that name.
bool choose_kernels(const char* name);

}  // namespace delta_dit

#endif  // DELTA_DIT_KERNELS_H_
