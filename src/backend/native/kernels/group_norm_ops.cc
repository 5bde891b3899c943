// GroupNorm of pictures [N,H,W,C], channels last, in its two halves: statistics of a part may be merged in between.
#include <cmath>
#include <vector>

#include "kernels.h"
#include "ops.h"
#include "threads.h"

namespace delta_dit {

namespace {

// Positions whose statistics are taken together: float32 adds few enough of them up, and the rest is done in double.
constexpr size_t kBlockFloats = 32768;

size_t block_rows(size_t positions, size_t channels) {
  const size_t fitting = kBlockFloats / (channels > 0 ? channels : 1);
  const size_t rows = fitting < 1 ? 1 : fitting > 256 ? 256 : fitting;
  return positions < rows ? positions : rows;
}

void* create_with_groups(TF_OpKernelConstruction* construction) {
  return new int64_t(int_attribute(construction, "num_groups"));
}
void destroy_groups(void* groups) { delete static_cast<int64_t*>(groups); }

// The moments of each block and channel, of one sample.
struct BlockMoments {
  size_t positions, channels, rows, blocks;
  const float* mean;
  const float* squares;
};

// Merges blocks and channels: the spread of the whole is that of the parts and that of their means.
void merge(const BlockMoments& of, size_t first, size_t end, float* mean, float* variance) {
  double total = 0, spread = 0;
  for (size_t block = 0; block < of.blocks; block++) {
    const size_t left = of.positions - block * of.rows;
    const double count = static_cast<double>(left < of.rows ? left : of.rows);
    for (size_t c = first; c < end; c++) total += count * of.mean[block * of.channels + c];
  }
  const double values = static_cast<double>(of.positions) * static_cast<double>(end - first);
  const double average = total / values;
  for (size_t block = 0; block < of.blocks; block++) {
    const size_t left = of.positions - block * of.rows;
    const double count = static_cast<double>(left < of.rows ? left : of.rows);
    for (size_t c = first; c < end; c++) {
      const double deviation = of.mean[block * of.channels + c] - average;
      spread += of.squares[block * of.channels + c] + count * deviation * deviation;
    }
  }
  *mean = static_cast<float>(average);
  *variance = static_cast<float>(spread / values);
}

void group_moments(void* num_groups, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor x(call.input(0));
  const size_t groups = static_cast<size_t>(*static_cast<int64_t*>(num_groups));
  const size_t samples = x.dim(0), positions = x.dim(1) * x.dim(2), channels = x.dim(3);
  if (!call.require(x.rank() == 4 && positions > 0 && groups > 0 && channels > 0 && channels % groups == 0,
                    "groupMoments: expected x [N,H,W,C] with C a multiple of the number of groups")) {
    return;
  }
  const Tensor mean(call.output(0, {samples, 1, groups, 1})), variance(call.output(1, {samples, 1, groups, 1}));
  if (!mean.data() || !variance.data()) return;
  const size_t rows = block_rows(positions, channels), blocks = (positions + rows - 1) / rows;
  std::vector<float> means(samples * blocks * channels), squares(samples * blocks * channels);
  parallel(samples * blocks, [&](size_t task) {
    const size_t first = task % blocks * rows;
    const size_t end = first + rows < positions ? first + rows : positions;
    kernels().column_moments({first, end, channels}, x.data() + task / blocks * positions * channels,
                             means.data() + task * channels, squares.data() + task * channels);
  });
  const size_t width = channels / groups;
  for (size_t task = 0; task < samples * groups; task++) {
    const size_t at = task / groups * blocks * channels, first = task % groups * width;
    merge({positions, channels, rows, blocks, means.data() + at, squares.data() + at}, first, first + width,
          mean.data() + task, variance.data() + task);
  }
}

struct Normalisation {
  float eps;
  bool silu;
};

void* create_normalisation(TF_OpKernelConstruction* construction) {
  return new Normalisation{float_attribute(construction, "eps"), bool_attribute(construction, "silu")};
}
void destroy_normalisation(void* settings) { delete static_cast<Normalisation*>(settings); }

void normalise_groups(void* settings, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor x(call.input(0)), mean(call.input(1)), variance(call.input(2)), weight(call.input(3)),
      bias(call.input(4));
  const size_t samples = x.dim(0), positions = x.dim(1) * x.dim(2), channels = x.dim(3), groups = mean.dim(2);
  if (!call.require(x.rank() == 4 && groups > 0 && channels % groups == 0 &&
                        mean.has_shape({samples, 1, groups, 1}) && variance.has_shape({samples, 1, groups, 1}) &&
                        weight.has_shape({channels}) && bias.has_shape({channels}),
                    "normaliseGroups: expected x [N,H,W,C], mean and variance [N,1,G,1], weight and bias [C]")) {
    return;
  }
  const Tensor out(call.output_like(0, x));
  if (!out.data()) return;
  const auto [eps, silu] = *static_cast<Normalisation*>(settings);
  std::vector<float> means(samples * channels), scales(samples * channels);
  for (size_t i = 0; i < samples * channels; i++) {
    const size_t channel = i % channels, group = i / channels * groups + channel / (channels / groups);
    means[i] = mean.data()[group];
    scales[i] = weight.data()[channel] / std::sqrt(variance.data()[group] + eps);
  }
  const size_t rows = block_rows(positions, channels), blocks = rows == 0 ? 0 : (positions + rows - 1) / rows;
  parallel(samples * blocks, [&](size_t task) {
    const size_t sample = task / blocks, at = sample * positions * channels, first = task % blocks * rows;
    const Rows part{first, first + rows < positions ? first + rows : positions, channels};
    const ChannelNorm norm{means.data() + sample * channels, scales.data() + sample * channels, bias.data()};
    kernels().normalise_columns(part, x.data() + at, norm, silu, out.data() + at);
  });
}

}  // namespace

bool register_group_norm_ops(const Status& status) {
  return register_op({"DeltaDitGroupMoments",
                      {"x: float"},
                      {"mean: float", "variance: float"},
                      {"num_groups: int"},
                      create_with_groups,
                      group_moments,
                      destroy_groups},
                     status) &&
         register_op({"DeltaDitNormaliseGroups",
                      {"x: float", "mean: float", "variance: float", "weight: float", "bias: float"},
                      {"out: float"},
                      {"eps: float", "silu: bool"},
                      create_normalisation,
                      normalise_groups,
                      destroy_normalisation},
                     status);
}

}  // namespace delta_dit
