// Attention straight from the projections [N,T,D], whose features are split head-major.
#include <cmath>

#include "attention.h"
#include "kernels.h"
#include "ops.h"
#include "scratch.h"
#include "threads.h"

namespace delta_dit {

namespace {

// Queries of a tile, which goes through all keys of its head: a multiple of what registers hold, where there are enough.
constexpr size_t kTileQueries = 132;
constexpr size_t kTileStep = 12;
// Enough tiles for each thread that one that comes late costs little.
constexpr size_t kTilesEach = 4;
// Keys and values that are packed at a time, where a head has not more.
constexpr size_t kPackedFloats = 4 << 20;

size_t parts_of(size_t whole, size_t part) { return (whole + part - 1) / part; }
float usual_scale(size_t head_size) { return 1.0f / std::sqrt(static_cast<float>(head_size)); }

HeadKeys keys_of(const Projections& p, size_t head) {
  const size_t token = head / p.heads * p.keys, column = head % p.heads * p.head_size;
  return {p.k + token * p.k_stride + column, p.v + token * p.v_stride + column, p.k_stride, p.v_stride, p.keys,
          p.head_size};
}

AttentionTile tile_of(const Projections& p, size_t head, size_t first, size_t end) {
  const size_t sample = head / p.heads, of_sample = head % p.heads, width = p.heads * p.head_size;
  const size_t token = sample * p.queries + first, column = of_sample * p.head_size;
  AttentionTile tile = {};
  tile.q = p.q + token * p.q_stride + column;
  tile.score_bias = p.score_bias ? p.score_bias + (of_sample * p.queries + first) * p.keys : nullptr;
  tile.key_bias = p.key_bias ? p.key_bias + sample * p.keys : nullptr;
  tile.out = p.out + token * width + column;
  tile.q_stride = p.q_stride;
  tile.bias_stride = p.keys;
  tile.out_stride = width;
  tile.queries = end - first;
  tile.keys = p.keys;
  tile.head_size = p.head_size;
  tile.scale = p.scale;
  return tile;
}

size_t tile_queries(const Projections& p, size_t heads) {
  const size_t wanted = parts_of(kTilesEach * thread_count(), heads), least = parts_of(p.queries, kTileQueries);
  return parts_of(parts_of(p.queries, wanted > least ? wanted : least), kTileStep) * kTileStep;
}

}  // namespace

// Some heads at a time: their keys and values are packed once, for all of their tiles.
void attend(const Projections& p) {
  const size_t heads = p.samples * p.heads;
  if (heads == 0 || p.queries == 0) return;
  const size_t rows = tile_queries(p, heads), tiles = parts_of(p.queries, rows);
  const KeyBlocks size = kernels().key_blocks(p.keys, p.head_size);
  const size_t blocks = parts_of(p.keys, size.keys), head_floats = blocks * size.floats;
  const size_t fitting = kPackedFloats / head_floats, step = fitting < 1 ? 1 : fitting < heads ? fitting : heads;
  float* packed = shared_scratch(step * head_floats);
  for (size_t first = 0; first < heads; first += step) {
    const size_t some = first + step < heads ? step : heads - first;
    parallel(some * blocks, [&](size_t task) {
      const size_t head = task / blocks;
      kernels().pack_keys(keys_of(p, first + head), task % blocks, packed + head * head_floats);
    });
    parallel(some * tiles, [&](size_t task) {
      const size_t head = task / tiles, row = task % tiles * rows, end = row + rows < p.queries ? row + rows : p.queries;
      AttentionTile tile = tile_of(p, first + head, row, end);
      tile.packed = packed + head * head_floats;
      kernels().attention(tile);
    });
  }
}

Projections self_projections(const float* qkv, size_t samples, size_t tokens, size_t width, size_t heads, float* out) {
  Projections p = {};
  p.q = qkv;
  p.k = p.q + width;
  p.v = p.k + width;
  p.out = out;
  p.q_stride = p.k_stride = p.v_stride = 3 * width;
  p.samples = samples;
  p.heads = heads;
  p.queries = p.keys = tokens;
  p.head_size = width / heads;
  p.scale = usual_scale(p.head_size);
  return p;
}

Projections cross_projections(const float* q, const float* kv, const float* key_bias, size_t samples, size_t tokens,
                              size_t keys, size_t width, size_t heads, float* out) {
  Projections p = {};
  p.q = q;
  p.k = kv;
  p.v = p.k + width;
  p.key_bias = key_bias;
  p.out = out;
  p.q_stride = width;
  p.k_stride = p.v_stride = 2 * width;
  p.samples = samples;
  p.heads = heads;
  p.queries = tokens;
  p.keys = keys;
  p.head_size = width / heads;
  p.scale = usual_scale(p.head_size);
  return p;
}

namespace {

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
  attend(self_projections(qkv.data(), samples, tokens, width, heads, out.data()));
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
  attend(cross_projections(q.data(), kv.data(), bias.data(), samples, queries, keys, width, heads, out.data()));
}

struct Settings {
  size_t heads;
  float scale;
  bool score_bias, key_bias;
};

void* create_attention(TF_OpKernelConstruction* construction) {
  return new Settings{static_cast<size_t>(int_attribute(construction, "num_heads")),
                      float_attribute(construction, "scale"), bool_attribute(construction, "score_bias"),
                      bool_attribute(construction, "key_bias")};
}
void destroy_attention(void* settings) { delete static_cast<Settings*>(settings); }

// Of projections apart, with any scale and biases.
void attention(void* settings, TF_OpKernelContext* context) {
  const Settings& has = *static_cast<Settings*>(settings);
  Call call(context);
  int next = 3;
  const auto take = [&](bool is_given) { return is_given ? call.input(next++) : nullptr; };
  const Tensor q(call.input(0)), k(call.input(1)), v(call.input(2)), score_bias(take(has.score_bias)),
      key_bias(take(has.key_bias));
  const size_t samples = q.dim(0), queries = q.dim(1), width = q.dim(2), keys = k.dim(1), heads = has.heads;
  if (!call.require(q.rank() == 3 && heads > 0 && width > 0 && width % heads == 0 && keys > 0 &&
                        k.has_shape({samples, keys, width}) && v.has_shape({samples, keys, width}),
                    "attention: expected q [N,T,D], k [N,S,D] and v [N,S,D] with D a multiple of the number of heads") ||
      !call.require(!has.score_bias || score_bias.has_shape({1, heads, queries, keys}),
                    "attention: expected a bias [1,heads,T,S]") ||
      !call.require(!has.key_bias || key_bias.has_shape({samples, 1, 1, keys}),
                    "attention: expected a mask [N,1,1,S]")) {
    return;
  }
  const Tensor out(call.output_like(0, q));
  if (!out.data()) return;
  Projections p = {};
  p.q = q.data();
  p.k = k.data();
  p.v = v.data();
  p.score_bias = score_bias.data();
  p.key_bias = key_bias.data();
  p.out = out.data();
  p.q_stride = p.k_stride = p.v_stride = width;
  p.samples = samples;
  p.heads = heads;
  p.queries = queries;
  p.keys = keys;
  p.head_size = width / heads;
  p.scale = has.scale;
  attend(p);
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
                     status) &&
         // The inputs: q, k, v, then those that the attributes name.
         register_op({"DeltaDitAttention",
                      {"inputs: N * float"},
                      {"out: float"},
                      {"N: int", "num_heads: int", "scale: float", "score_bias: bool = false", "key_bias: bool = false"},
                      create_attention,
                      attention,
                      destroy_attention},
                     status);
}

}  // namespace delta_dit
