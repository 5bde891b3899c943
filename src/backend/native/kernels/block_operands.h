// What the op of a whole block is given.
#ifndef DELTA_DIT_BLOCK_OPERANDS_H_
#define DELTA_DIT_BLOCK_OPERANDS_H_

#include "kernels.h"
#include "tensorflow_c.h"
#include "tokens.h"

namespace delta_dit {

// Of adaLN, in the order of DiT's models.py.
enum Vector { kShiftMsa, kScaleMsa, kGateMsa, kShiftMlp, kScaleMlp, kGateMlp, kVectors };

enum Branch { kSelf, kCross, kMlp, kBranches };

// The attributes.
struct BlockSettings {
  size_t heads;
  int64_t parts[kBranches];  // of what is given of a branch; 0 where it is computed
  bool asked[kBranches], weighted;
  bool single, cross, caption_bias, bfloat16;
  float self_eps, mlp_eps;

  bool computes(Branch branch) const { return parts[branch] == 0; }
  size_t parts_given() const { return static_cast<size_t>(parts[kSelf] + parts[kCross] + parts[kMlp]); }
};

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

// Of a branch before its gate, [N,T,D]: what is given of it instead of computing it, and where it goes if it is asked for.
struct Raw {
  // `weights` moves on behind those of this branch; null where tensors are given as they are.
  Raw(Call& call, const BlockSettings& has, Branch branch, const Tensor& x, int& input, const float*& weights, int& output)
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

  bool is_given() const { return count > 0; }
  // In `room` where it must be summed up.
  const float* sum(size_t size, float* room) const {
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

// The inputs but for what is given of branches.
struct Operands {
  Operands(Call& call, const BlockSettings& has, int& next)
      : x(call.input(next++)),
        c(call.input(next++)),
        table(has.single ? call.input(next++) : nullptr),
        modulation(call, next, !has.single, has.bfloat16),
        qkv(call, next, has.computes(kSelf), has.bfloat16),
        proj(call, next, has.computes(kSelf), has.bfloat16),
        fc1(call, next, has.computes(kMlp), has.bfloat16),
        fc2(call, next, has.computes(kMlp), has.bfloat16),
        q(call, next, has.cross, has.bfloat16),
        kv(call, next, has.cross, has.bfloat16),
        cross_proj(call, next, has.cross, has.bfloat16),
        caption(has.cross ? call.input(next++) : nullptr),
        caption_bias(has.caption_bias ? call.input(next++) : nullptr),
        weights(has.weighted ? call.input(next++) : nullptr),
        samples(x.dim(0)),
        tokens(x.dim(1)),
        width(x.dim(2)),
        inner(has.computes(kMlp) ? fc1.width() : 0),
        words(has.cross ? caption.dim(1) : 0) {}

  bool fit(Call& call, const BlockSettings& has) const {
    return call.require(x.rank() == 3 && has.heads > 0 && width > 0 && width % has.heads == 0,
                        "block: expected x [N,T,D] with D a multiple of the number of heads") &&
           call.require(has.single ? c.has_shape({samples, kVectors * width}) && table.has_shape({kVectors, width})
                                   : c.has_shape({samples, width}) && modulation.are(width, kVectors * width),
                        "block: expected c [N,D] and a linear to [N,6D], or a modulation [N,6D] and a table [6,D]") &&
           call.require((!has.computes(kSelf) || (qkv.are(width, 3 * width) && proj.are(width, width))) &&
                            (!has.computes(kMlp) || (fc1.are(width, inner) && fc2.are(inner, width))),
                        "block: expected linears [D,3D], [D,D], [D,inner] and [inner,D]") &&
           call.require(!has.cross || (caption.has_shape({samples, words, width}) && words > 0 && q.are(width, width) &&
                                       kv.are(width, 2 * width) && cross_proj.are(width, width)),
                        "block: expected a caption [N,L,D] and linears [D,D], [D,2D] and [D,D]") &&
           call.require(!has.caption_bias || caption_bias.has_shape({samples, 1, 1, words}),
                        "block: expected a caption bias [N,1,1,L]") &&
           call.require(!has.weighted || weights.has_shape({has.parts_given()}),
                        "block: expected a weight for each tensor that is given");
  }

  const Tensor x, c, table;
  const Weights modulation, qkv, proj, fc1, fc2, q, kv, cross_proj;
  const Tensor caption, caption_bias, weights;
  const size_t samples, tokens, width, inner, words;
};

}  // namespace delta_dit

#endif  // DELTA_DIT_BLOCK_OPERANDS_H_
