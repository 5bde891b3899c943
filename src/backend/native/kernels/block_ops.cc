// A whole transformer block in one op: of a DiT, and of a PixArt-α with its cross-attention. The same kernels in the same
// order as the ops of its parts, hence the same numbers; a call of an op costs as much as the arithmetic of a small part.
#include <cstring>
#include <initializer_list>

#include "attention.h"
#include "kernels.h"
#include "linear.h"
#include "ops.h"
#include "scratch.h"
#include "tokens.h"

namespace delta_dit {

namespace {

// Of adaLN, in the order of DiT's models.py.
enum Vector { kShiftMsa, kScaleMsa, kGateMsa, kShiftMlp, kScaleMlp, kGateMlp, kVectors };

enum Branch { kSelf, kCross, kMlp, kBranches };

struct Settings {
  size_t heads;
  int64_t parts[kBranches];  // of what is given of a branch; 0 where it is computed
  bool asked[kBranches], weighted;
  bool single, cross, caption_bias, bfloat16;
  float self_eps, mlp_eps;
};

void* create_block(TF_OpKernelConstruction* construction) {
  const auto is = [&](const char* name) { return bool_attribute(construction, name); };
  const auto count = [&](const char* name) { return int_attribute(construction, name); };
  return new Settings{static_cast<size_t>(count("num_heads")),
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

// Of a branch before its gate, [N,T,D]: what is given of it instead of computing it, and where it goes if it is asked for.
struct Raw {
  // `weights` moves on behind those of this branch; null where tensors are given as they are.
  Raw(Call& call, const Settings& has, Branch branch, const Tensor& x, int& input, const float*& weights, int& output)
      : count(has.parts[branch]), weights(weights), asked(has.asked[branch] ? call.output_like(output++, x) : nullptr) {
    if (!call.require(count <= (weights ? kMostParts : 1) && (count == 0 || !has.asked[branch]),
                      "block: expected at most 32 tensors of a branch, or one without a weight, and nothing asked of it")) {
      return;
    }
    for (int64_t i = 0; i < count; i++) {
      const Tensor part(call.input(input++));
      if (!call.require(part.has_shape({x.dim(0), x.dim(1), x.dim(2)}), "block: expected what is given as [N,T,D]")) return;
      parts[i] = part.data();  // the call keeps its inputs
    }
    if (weights) weights += count;
    is_right = !has.asked[branch] || asked.data();
  }

  // In `room` where it must be summed up.
  const float* given(size_t size, float* room) const {
    if (!weights) return parts[0];
    weighted_sum(parts, weights, static_cast<size_t>(count), size, room);
    return room;
  }

  const int64_t count;
  const float* const weights;
  const Tensor asked;
  const float* parts[kMostParts];
  bool is_right = false;
};

void block(void* settings, TF_OpKernelContext* context) {
  const Settings& has = *static_cast<Settings*>(settings);
  Call call(context);
  int next = 2;
  const Tensor x(call.input(0)), c(call.input(1));
  const Tensor table(has.single ? call.input(next++) : nullptr);
  const bool self_runs = has.parts[kSelf] == 0, mlp_runs = has.parts[kMlp] == 0;
  const Weights modulation(call, next, !has.single, has.bfloat16), qkv(call, next, self_runs, has.bfloat16),
      proj(call, next, self_runs, has.bfloat16), fc1(call, next, mlp_runs, has.bfloat16),
      fc2(call, next, mlp_runs, has.bfloat16), q(call, next, has.cross, has.bfloat16),
      kv(call, next, has.cross, has.bfloat16), cross_proj(call, next, has.cross, has.bfloat16);
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
  const size_t inner = mlp_runs ? fc1.width() : 0, wide = inner > 3 * width ? inner : 3 * width;
  if (!call.require((!self_runs || (qkv.are(width, 3 * width) && proj.are(width, width))) &&
                        (!mlp_runs || (fc1.are(width, inner) && fc2.are(inner, width))),
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
  const size_t given = static_cast<size_t>(has.parts[kSelf] + has.parts[kCross] + has.parts[kMlp]);
  const Tensor weights(has.weighted ? call.input(next++) : nullptr);
  if (!call.require(!has.weighted || weights.has_shape({given}), "block: expected a weight for each tensor given")) return;
  int output = 0;
  const float* weight = weights.data();
  const Tensor out(call.output_like(output++, x));
  const Raw self(call, has, kSelf, x, next, weight, output), between(call, has, kCross, x, next, weight, output),
      mlp(call, has, kMlp, x, next, weight, output);
  if (!self.is_right || !between.is_right || !mlp.is_right || !out.data() || rows == 0) return;

  const Between at(samples, rows, width, wide, samples * words);
  const auto vector = [&](Vector which) { return at.vectors + which * samples * width; };
  if (has.single) {
    add_table(c, table, samples, width, at.vectors);
  } else {
    modulation_vectors(modulation.product(samples, 1, nullptr), c.data(), samples, kVectors, at.vectors);
  }
  // A branch's last linear, of y; then h + gate * that.
  const auto end = [&](const Raw& raw, const float* h, const float* gate, const Weights& last, const float* y, float* to) {
    Product p = last.product(rows, tokens, raw.asked.get() ? raw.asked.data() : to);
    if (!raw.asked.get()) p.residual = h, p.gate = gate;
    multiply(p, {}, y);
    if (raw.asked.get()) join_residual(h, raw.asked.data(), gate, samples, tokens, width, to);
  };

  const size_t size = rows * width;
  const float* h = x.data();
  if (!self_runs) {
    join_residual(h, self.given(size, at.heads), vector(kGateMsa), samples, tokens, width, at.after_self);
  } else {
    multiply(qkv.product(rows, tokens, at.inner), {vector(kShiftMsa), vector(kScaleMsa), tokens, 0, has.self_eps}, h);
    attend(self_projections(at.inner, samples, tokens, width, has.heads, at.heads));
    end(self, h, vector(kGateMsa), proj, at.heads, at.after_self);
  }
  h = at.after_self;

  if (between.count > 0) {
    join_residual(h, between.given(size, at.heads), nullptr, samples, tokens, width, at.after_cross);
    h = at.after_cross;
  } else if (has.cross) {
    multiply(q.product(rows, tokens, at.inner), {}, h);
    multiply(kv.product(samples * words, words, at.caption), {}, caption.data());
    attend(cross_projections(at.inner, at.caption, caption_bias.data(), samples, tokens, words, width, has.heads, at.heads));
    end(between, h, nullptr, cross_proj, at.heads, at.after_cross);
    h = at.after_cross;
  }

  if (!mlp_runs) {
    join_residual(h, mlp.given(size, at.heads), vector(kGateMlp), samples, tokens, width, out.data());
  } else {
    Product widen = fc1.product(rows, tokens, at.inner);
    widen.gelu = true;
    multiply(widen, {vector(kShiftMlp), vector(kScaleMlp), tokens, 0, has.mlp_eps}, h);
    end(mlp, h, vector(kGateMlp), fc2, at.inner, out.data());
  }
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
