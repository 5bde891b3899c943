#include "compare.h"

#include <cmath>

using delta_dit::AttentionTile;
using delta_dit::HeadKeys;
using delta_dit::Kernels;
using delta_dit::KeyBlocks;
using delta_dit::kPlainKernels;

namespace {

// A vector, a tile and a block of keys, one less and one more.
constexpr size_t kQueries[] = {1, 2, 6, 11, 12, 13, 25};
constexpr size_t kKeys[] = {1, 5, 15, 16, 17, 31, 32, 33, 127, 128, 129, 300};
constexpr size_t kHeadSizes[] = {1, 5, 8, 16, 17, 31, 32, 33, 64, 72, 129, 512};
constexpr size_t kBetween = 3;  // floats between the tokens

enum class Bias { kNone, kSome, kMasked, kAllMasked };
struct Kind {
  Bias bias;
  const char* name;
  float spread;  // of queries and keys
  double tolerance;
};
constexpr Kind kKinds[] = {
    {Bias::kNone, "no bias", 2, 2e-6},
    {Bias::kSome, "a bias", 2, 2e-6},
    {Bias::kMasked, "all but the first key masked", 2, 2e-6},
    {Bias::kAllMasked, "all keys masked", 2, 2e-3},       // -10,000 leaves scores three digits
    {Bias::kNone, "scores that overflow e^x", 30, 1e-4},  // of thousands, with three digits behind the point
};

void fill_bias(const Floats& floats, Bias bias) {
  fill(floats, 4);
  if (bias == Bias::kSome) return;
  for (size_t key = 0; key < floats.size(); key++) {
    floats[key] = key == 0 && bias == Bias::kMasked ? 0.0f : -10000.0f;
  }
}

// Packs the head as its kernels read it, in memory that ends where the last block does.
void attend(const Kernels& kernels, const HeadKeys& head, AttentionTile tile) {
  const KeyBlocks size = kernels.key_blocks(head.keys, head.head_size);
  const size_t blocks = (head.keys + size.keys - 1) / size.keys;
  const Floats packed(blocks * size.floats);
  for (size_t block = 0; block < blocks; block++) kernels.pack_keys(head, block, packed.data());
  tile.packed = packed.data();
  kernels.attention(tile);
}

void compare(Comparison& comparison, const Kind& kind, size_t queries, size_t keys, size_t size) {
  const size_t stride = size + kBetween;
  // The last token ends the memory: nothing may be read behind it.
  const size_t query_floats = (queries - 1) * stride + size, key_floats = (keys - 1) * stride + size;
  const Floats q(query_floats), k(key_floats), v(key_floats), bias(keys);
  const Floats scores(queries * keys), got(query_floats), want(query_floats);
  fill(q, 1, kind.spread);
  fill(k, 2, kind.spread);
  fill(v, 3);
  fill_bias(bias, kind.bias);
  fill(scores, 6);
  fill(got, 5);
  fill(want, 5);
  AttentionTile tile{};
  tile.q = q.data();
  tile.key_bias = kind.bias == Bias::kNone ? nullptr : bias.data();
  tile.score_bias = kind.bias == Bias::kSome ? scores.data() : nullptr;
  tile.bias_stride = keys;
  tile.q_stride = tile.out_stride = stride;
  tile.queries = queries;
  tile.keys = keys;
  tile.head_size = size;
  tile.scale = 1.0f / std::sqrt(static_cast<float>(size));
  const HeadKeys head{k.data(), v.data(), stride, stride, keys, size};
  tile.out = got.data();
  attend(comparison.kernels, head, tile);
  tile.out = want.data();
  attend(kPlainKernels, head, tile);
  comparison.expect(
      got, want, kind.tolerance,
      std::to_string(queries) + " queries, " + std::to_string(keys) + " keys, heads of " + std::to_string(size));
}

}  // namespace

void compare_attention(Comparison& comparison) {
  for (const Kind& kind : kKinds) {
    comparison.begin((std::string("attention, ") + kind.name).c_str());
    for (const size_t queries : kQueries) {
      for (const size_t keys : kKeys) {
        for (const size_t size : kHeadSizes) compare(comparison, kind, queries, keys, size);
      }
    }
  }
}
