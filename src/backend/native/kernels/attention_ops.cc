// Attention straight from the projections [N,T,D], whose features are split head-major.
#include "kernels.h"
#include "ops.h"
#include "threads.h"

namespace delta_dit {

namespace {

// Queries of a tile: each packs the keys and values of its head anew.
constexpr size_t kTileQueries = 128;
constexpr size_t kTileFloats = 16384;

struct Projections {
  const float* q;
  const float* k;
  const float* v;
  const float* bias;  // [N,S]; may be null
  float* out;         // [N,T,D]
  size_t q_stride, kv_stride;
  size_t samples, heads, queries, keys, head_size;
};

void attend(const Projections& p) {
  const size_t most = p.head_size <= kTileFloats / kTileQueries ? kTileQueries : kTileFloats / p.head_size + 1;
  const size_t tiles = (p.queries + most - 1) / most;
  const size_t rows = tiles == 0 ? 0 : (p.queries + tiles - 1) / tiles;
  const size_t width = p.heads * p.head_size;
  parallel(p.samples * p.heads * tiles, [&](size_t task) {
    const size_t first = task % tiles * rows;
    if (first >= p.queries) return;
    const size_t sample = task / tiles / p.heads, column = task / tiles % p.heads * p.head_size;
    const size_t token = sample * p.queries + first;
    AttentionTile tile;
    tile.q = p.q + token * p.q_stride + column;
    tile.k = p.k + sample * p.keys * p.kv_stride + column;
    tile.v = p.v + sample * p.keys * p.kv_stride + column;
    tile.bias = p.bias ? p.bias + sample * p.keys : nullptr;
    tile.out = p.out + token * width + column;
    tile.q_stride = p.q_stride;
    tile.kv_stride = p.kv_stride;
    tile.out_stride = width;
    tile.queries = first + rows < p.queries ? rows : p.queries - first;
    tile.keys = p.keys;
    tile.head_size = p.head_size;
    kernels().attention(tile);
  });
}

void* create_with_heads(TF_OpKernelConstruction* construction) {
  return new int64_t(int_attribute(construction, "num_heads"));
}
void destroy_heads(void* heads) { delete static_cast<int64_t*>(heads); }

void self_attention(void* num_heads, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor qkv(call.input(0));
  const size_t heads = static_cast<size_t>(*static_cast<int64_t*>(num_heads));
  const size_t samples = qkv.dim(0), tokens = qkv.dim(1), width = qkv.dim(2) / 3;
  if (!call.require(qkv.rank() == 3 && heads > 0 && width > 0 && qkv.dim(2) % (3 * heads) == 0,
                    "selfAttention: expected qkv [N,T,3D] with D a multiple of the number of heads")) {
    return;
  }
  const Tensor out(call.output(0, {samples, tokens, width}));
  if (!out.data()) return;
  const float* q = qkv.data();
  attend({q, q + width, q + 2 * width, nullptr, out.data(), 3 * width, 3 * width, samples, heads, tokens, tokens,
          width / heads});
}

// With or without the bias: the masked op has one input more.
void cross_attention(void* num_heads, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor q(call.input(0)), kv(call.input(1)), bias(call.num_inputs() > 2 ? call.input(2) : nullptr);
  const size_t heads = static_cast<size_t>(*static_cast<int64_t*>(num_heads));
  const size_t samples = q.dim(0), queries = q.dim(1), width = q.dim(2), keys = kv.dim(1);
  if (!call.require(q.rank() == 3 && heads > 0 && width > 0 && width % heads == 0 &&
                        kv.has_shape({samples, keys, 2 * width}) && keys > 0,
                    "crossAttention: expected q [N,T,D] and kv [N,S,2D] with D a multiple of the number of heads") ||
      !call.require(!bias.get() || bias.has_shape({samples, 1, 1, keys}),
                    "crossAttention: expected a bias [N,1,1,S]")) {
    return;
  }
  const Tensor out(call.output_like(0, q));
  if (!out.data()) return;
  attend({q.data(), kv.data(), kv.data() + width, bias.data(), out.data(), width, 2 * width, samples, heads, queries,
          keys, width / heads});
}

}  // namespace

bool register_attention_ops(const Status& status) {
  return register_op({"DeltaDitSelfAttention",
                      {"qkv: float"},
                      {"out: float"},
                      {"num_heads: int"},
                      create_with_heads,
                      self_attention,
                      destroy_heads},
                     status) &&
         register_op({"DeltaDitCrossAttention",
                      {"q: float", "kv: float"},
                      {"out: float"},
                      {"num_heads: int"},
                      create_with_heads,
                      cross_attention,
                      destroy_heads},
                     status) &&
         register_op({"DeltaDitMaskedCrossAttention",
                      {"q: float", "kv: float", "bias: float"},
                      {"out: float"},
                      {"num_heads: int"},
                      create_with_heads,
                      cross_attention,
                      destroy_heads},
                     status);
}

}  // namespace delta_dit
