// A whole transformer block in one op: of a DiT, and of a PixArt-α with its cross-attention. The same kernels in the same
// order as the ops of its parts, hence the same numbers; a call of an op costs as much as the arithmetic of a small part.
#include <cstring>
#include <initializer_list>

#include "attention.h"
#include "kernels.h"
#include "linear.h"
#include "ops.h"
#include "scratch.h"

namespace delta_dit {

namespace {

// Of adaLN, in the order of DiT's models.py.
enum Vector { kShiftMsa, kScaleMsa, kGateMsa, kShiftMlp, kScaleMlp, kGateMlp, kVectors };

struct Settings {
  size_t heads;
  bool single, cross, caption_bias, bfloat16;
  float self_eps, mlp_eps;
};

void* create_block(TF_OpKernelConstruction* construction) {
  const auto is = [&](const char* name) { return bool_attribute(construction, name); };
  return new Settings{static_cast<size_t>(int_attribute(construction, "num_heads")),
                      is("single"),
                      is("cross"),
                      is("caption_bias"),
                      is("is_bfloat16"),
                      float_attribute(construction, "self_eps"),
                      float_attribute(construction, "mlp_eps")};
}
void destroy_block(void* settings) { delete static_cast<Settings*>(settings); }

// A linear as it lies among an op's inputs: kernel, then bias.
struct Weights {
  Weights(Call& call, int& next, bool is_given, bool bfloat16)
      : kernel(is_given ? call.input(next++) : nullptr),
        bias(is_given ? call.input(next++) : nullptr),
        bfloat16(bfloat16) {}

  size_t width() const { return (bfloat16 ? 2 : 1) * kernel.dim(1); }
  bool are(size_t depth, size_t out) const {
    return kernel.rank() == 2 && kernel.dim(0) == depth && width() == out && bias.has_shape({out});
  }
  // Of `count` rows, `tokens` a sample.
  Product product(size_t count, size_t tokens, float* out) const {
    Product p = {};
    p.kernel = kernel.data();
    p.bias = bias.data();
    p.out = out;
    p.count = count;
    p.depth = kernel.dim(0);
    p.width = width();
    p.tokens = tokens;
    p.bfloat16 = bfloat16;
    return p;
  }

  const Tensor kernel, bias;
  const bool bfloat16;
};

// What passes between the parts of a block.
struct Between {
  Between(size_t samples, size_t rows, size_t width, size_t wide, size_t caption_rows)
      : vectors(block_scratch(kVectors * samples * width + rows * (wide + 3 * width) + caption_rows * 2 * width)),
        inner(vectors + kVectors * samples * width),
        heads(inner + rows * wide),
        after_self(heads + rows * width),
        after_cross(after_self + rows * width),
        caption(after_cross + rows * width) {}

  float* vectors;      // [6,N,D]
  float* inner;        // q, k, v of self-attention; q of cross-attention; the widest of the MLP
  float* heads;        // [N,T,D]
  float* after_self;   // [N,T,D]
  float* after_cross;  // [N,T,D]
  float* caption;      // [N,L,2D]
};

// adaLN-single: the modulation [N,6D] that blocks share, and a block's own table [6,D].
void add_table(const Tensor& shared, const Tensor& table, size_t samples, size_t width, float* vectors) {
  for (size_t part = 0; part < kVectors; part++) {
    for (size_t n = 0; n < samples; n++, vectors += width) {
      const float* row = shared.data() + (n * kVectors + part) * width;
      const float* own = table.data() + part * width;
      for (size_t i = 0; i < width; i++) vectors[i] = row[i] + own[i];
    }
  }
}

void block(void* settings, TF_OpKernelContext* context) {
  const Settings& has = *static_cast<Settings*>(settings);
  Call call(context);
  int next = 2;
  const Tensor x(call.input(0)), c(call.input(1));
  const Tensor table(has.single ? call.input(next++) : nullptr);
  const Weights modulation(call, next, !has.single, has.bfloat16), qkv(call, next, true, has.bfloat16),
      proj(call, next, true, has.bfloat16), fc1(call, next, true, has.bfloat16), fc2(call, next, true, has.bfloat16),
      q(call, next, has.cross, has.bfloat16), kv(call, next, has.cross, has.bfloat16),
      cross_proj(call, next, has.cross, has.bfloat16);
  const Tensor caption(has.cross ? call.input(next++) : nullptr);
  const Tensor caption_bias(has.caption_bias ? call.input(next++) : nullptr);

  const size_t samples = x.dim(0), tokens = x.dim(1), width = x.dim(2), rows = samples * tokens;
  if (!call.require(x.rank() == 3 && has.heads > 0 && width > 0 && width % has.heads == 0,
                    "block: expected x [N,T,D] with D a multiple of the number of heads") ||
      !call.require(has.single ? c.has_shape({samples, kVectors * width}) && table.has_shape({kVectors, width})
                               : c.has_shape({samples, width}) && modulation.are(width, kVectors * width),
                    "block: expected c [N,D] and a linear to [N,6D], or a modulation [N,6D] and a table [6,D]")) {
    return;
  }
  const size_t inner = fc1.width(), wide = inner > 3 * width ? inner : 3 * width;
  if (!call.require(qkv.are(width, 3 * width) && proj.are(width, width) && fc1.are(width, inner) && fc2.are(inner, width),
                    "block: expected linears [D,3D], [D,D], [D,inner] and [inner,D]")) {
    return;
  }
  const size_t words = has.cross ? caption.dim(1) : 0;
  if (!call.require(!has.cross || (caption.has_shape({samples, words, width}) && words > 0 && q.are(width, width) &&
                                   kv.are(width, 2 * width) && cross_proj.are(width, width)),
                    "block: expected a caption [N,L,D] and linears [D,D], [D,2D] and [D,D]") ||
      !call.require(!has.caption_bias || caption_bias.has_shape({samples, 1, 1, words}),
                    "block: expected a caption bias [N,1,1,L]")) {
    return;
  }
  const Tensor out(call.output_like(0, x));
  if (!out.data() || rows == 0) return;

  const Between at(samples, rows, width, wide, samples * words);
  const auto vector = [&](Vector which) { return at.vectors + which * samples * width; };
  if (has.single) {
    add_table(c, table, samples, width, at.vectors);
  } else {
    modulation_vectors(modulation.product(samples, 1, nullptr), c.data(), samples, kVectors, at.vectors);
  }
  const auto add_to = [&](const float* residual, const float* gate, Product p, const float* y) {
    p.residual = residual;
    p.gate = gate;
    multiply(p, {}, y);
  };

  multiply(qkv.product(rows, tokens, at.inner), {vector(kShiftMsa), vector(kScaleMsa), tokens, 0, has.self_eps}, x.data());
  attend(self_projections(at.inner, samples, tokens, width, has.heads, at.heads));
  add_to(x.data(), vector(kGateMsa), proj.product(rows, tokens, at.after_self), at.heads);

  const float* h = at.after_self;
  if (has.cross) {
    multiply(q.product(rows, tokens, at.inner), {}, h);
    multiply(kv.product(samples * words, words, at.caption), {}, caption.data());
    attend(cross_projections(at.inner, at.caption, caption_bias.data(), samples, tokens, words, width, has.heads, at.heads));
    add_to(h, nullptr, cross_proj.product(rows, tokens, at.after_cross), at.heads);
    h = at.after_cross;
  }

  Product widen = fc1.product(rows, tokens, at.inner);
  widen.gelu = true;
  multiply(widen, {vector(kShiftMlp), vector(kScaleMlp), tokens, 0, has.mlp_eps}, h);
  add_to(h, vector(kGateMlp), fc2.product(rows, tokens, out.data()), at.inner);
}

}  // namespace

bool register_block_ops(const Status& status) {
  // The inputs: x, c, then the table or the modulation's linear, qkv, proj, fc1, fc2, then q, kv, proj, the caption, its
  // bias, as the attributes say. A linear is its kernel and its bias.
  return register_op({"DeltaDitBlock",
                      {"inputs: N * float"},
                      {"out: float"},
                      {"N: int", "num_heads: int", "self_eps: float", "mlp_eps: float", "single: bool = false",
                       "cross: bool = false", "caption_bias: bool = false", "is_bfloat16: bool = false"},
                      create_block,
                      block,
                      destroy_block},
                     status);
}

}  // namespace delta_dit
