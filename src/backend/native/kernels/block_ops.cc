// A whole transformer block in one op: of a DiT, and of a PixArt-α with its cross-attention. The same kernels in the same
// order as the ops of its parts, hence the same numbers; a call of an op costs as much as the arithmetic of a small part.
#include <cstring>
#include <initializer_list>

#include "attention.h"
#include "block_operands.h"
#include "kernels.h"
#include "linear.h"
#include "ops.h"
#include "scratch.h"
#include "tokens.h"

namespace delta_dit {

namespace {

void* create_block(TF_OpKernelConstruction* construction) {
  const auto is = [&](const char* name) { return bool_attribute(construction, name); };
  const auto count = [&](const char* name) { return int_attribute(construction, name); };
  return new BlockSettings{static_cast<size_t>(count("num_heads")),
                      {count("self_parts"), count("cross_parts"), count("mlp_parts")},
                      {is("self_asked"), is("cross_asked"), is("mlp_asked")},
                      is("weighted"),
                      is("single"),
                      is("cross"),
                      is("caption_bias"),
                      is("is_bfloat16"),
                      float_attribute(construction, "self_eps"),
                      float_attribute(construction, "mlp_eps")};
}
void destroy_block(void* settings) { delete static_cast<BlockSettings*>(settings); }

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

// One run of a block: its branches, one after the other.
class Run {
 public:
  Run(const BlockSettings& has, const Operands& in)
      : has_(has),
        in_(in),
        rows_(in.samples * in.tokens),
        at_(in.samples, rows_, in.width, in.inner > 3 * in.width ? in.inner : 3 * in.width, in.samples * in.words) {
    if (has.single) {
      add_table(in.c, in.table, in.samples, in.width, at_.vectors);
    } else {
      modulation_vectors(in.modulation.product(in.samples, 1, nullptr), in.c.data(), in.samples, kVectors, at_.vectors);
    }
  }

  const float* self(const Raw& raw, const float* h) const {
    if (raw.is_given()) return join(raw, h, vector(kGateMsa), at_.after_self);
    multiply(in_.qkv.product(rows_, in_.tokens, at_.inner), norm(kShiftMsa, kScaleMsa, has_.self_eps), h);
    attend(self_projections(at_.inner, in_.samples, in_.tokens, in_.width, has_.heads, at_.heads));
    return end(raw, h, vector(kGateMsa), in_.proj, at_.heads, at_.after_self);
  }

  const float* cross(const Raw& raw, const float* h) const {
    if (raw.is_given()) return join(raw, h, nullptr, at_.after_cross);
    if (!has_.cross) return h;
    const size_t words = in_.words;
    multiply(in_.q.product(rows_, in_.tokens, at_.inner), {}, h);
    multiply(in_.kv.product(in_.samples * words, words, at_.caption), {}, in_.caption.data());
    attend(cross_projections(at_.inner, at_.caption, in_.caption_bias.data(), in_.samples, in_.tokens, words, in_.width,
                             has_.heads, at_.heads));
    return end(raw, h, nullptr, in_.cross_proj, at_.heads, at_.after_cross);
  }

  const float* mlp(const Raw& raw, const float* h, float* out) const {
    if (raw.is_given()) return join(raw, h, vector(kGateMlp), out);
    Product widen = in_.fc1.product(rows_, in_.tokens, at_.inner);
    widen.gelu = true;
    multiply(widen, norm(kShiftMlp, kScaleMlp, has_.mlp_eps), h);
    return end(raw, h, vector(kGateMlp), in_.fc2, at_.inner, out);
  }

 private:
  float* vector(Vector which) const { return at_.vectors + which * in_.samples * in_.width; }
  RowNorm norm(Vector shift, Vector scale, float eps) const { return {vector(shift), vector(scale), in_.tokens, 0, eps}; }

  // h + gate * what is given.
  const float* join(const Raw& raw, const float* h, const float* gate, float* to) const {
    join_residual(h, raw.sum(rows_ * in_.width, at_.heads), gate, in_.samples, in_.tokens, in_.width, to);
    return to;
  }

  // A branch's last linear, of y; then h + gate * that.
  const float* end(const Raw& raw, const float* h, const float* gate, const Weights& last, const float* y, float* to) const {
    float* asked = raw.asked.data();
    Product p = last.product(rows_, in_.tokens, asked ? asked : to);
    p.residual = asked ? nullptr : h;
    p.gate = asked ? nullptr : gate;
    multiply(p, {}, y);
    if (asked) join_residual(h, asked, gate, in_.samples, in_.tokens, in_.width, to);
    return to;
  }

  const BlockSettings& has_;
  const Operands& in_;
  const size_t rows_;
  const Between at_;
};

void block(void* settings, TF_OpKernelContext* context) {
  const BlockSettings& has = *static_cast<BlockSettings*>(settings);
  Call call(context);
  int input = 0, output = 0;
  const Operands in(call, has, input);
  if (!in.fit(call, has)) return;
  const Tensor out(call.output_like(output++, in.x));
  const float* weights = in.weights.data();
  const Raw self(call, has, kSelf, in.x, input, weights, output), cross(call, has, kCross, in.x, input, weights, output),
      mlp(call, has, kMlp, in.x, input, weights, output);
  if (!self.is_right || !cross.is_right || !mlp.is_right || !out.data() || in.x.size() == 0) return;
  const Run run(has, in);
  run.mlp(mlp, run.cross(cross, run.self(self, in.x.data())), out.data());
}

}  // namespace

bool register_block_ops(const Status& status) {
  // The inputs: x, c, then the table or the modulation's linear, qkv, proj, fc1, fc2, then q, kv, proj, the caption, its
  // bias, of the branches that are computed; the weights of all that is given of the others, and these tensors. A linear is
  // its kernel and its bias. The outputs: the tokens, then what is asked of branches.
  return register_op({"DeltaDitBlock",
                      {"inputs: N * float"},
                      {"outputs: M * float"},
                      {"N: int", "M: int", "num_heads: int", "self_eps: float", "mlp_eps: float", "self_parts: int = 0",
                       "cross_parts: int = 0", "mlp_parts: int = 0", "self_asked: bool = false",
                       "cross_asked: bool = false", "mlp_asked: bool = false", "weighted: bool = false",
                       "single: bool = false", "cross: bool = false", "caption_bias: bool = false",
                       "is_bfloat16: bool = false"},
                      create_block,
                      block,
                      destroy_block},
                     status);
}

}  // namespace delta_dit
