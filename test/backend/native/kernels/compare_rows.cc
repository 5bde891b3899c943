// The kernels that go through a matrix row by row.
#include "compare.h"

using delta_dit::ChannelNorm;
using delta_dit::Kernels;
using delta_dit::kPlainKernels;
using delta_dit::Rows;

namespace {

constexpr double kTolerance = 1e-6;
constexpr size_t kWidths[] = {1,  2,  3,  4,  5,  7,  8,  9,   12,  15,  16,  17,  31,
                              32, 33, 47, 63, 64, 65, 72, 127, 128, 129, 300, 1152};
constexpr size_t kTokens = 3;

// Parts of a matrix: one row, some from the middle.
constexpr struct {
  size_t first, end;
} kParts[] = {{0, 1}, {2, 9}};

struct Matrices {
  explicit Matrices(Rows rows)
      : x(rows.end * rows.width),
        raw(rows.end * rows.width),
        per_sample((rows.end + kTokens - 1) / kTokens * rows.width),
        more((rows.end + kTokens - 1) / kTokens * rows.width),
        per_column(rows.width) {
    fill(x, 1, 2);
    fill(raw, 2);
    fill(per_sample, 3);
    fill(more, 4);
    fill(per_column, 5);
  }
  Floats x, raw, per_sample, more, per_column;
};

// Calls run(kernels, matrices, rows, out) by both kernels; rows that are not asked for must keep what they had.
template <typename Run>
void compare(Comparison& comparison, const char* name, const Run& run) {
  comparison.begin(name);
  for (const size_t width : kWidths) {
    for (const auto& part : kParts) {
      const Rows rows{part.first, part.end, width};
      const Matrices matrices(rows);
      const Floats got(rows.end * width), want(rows.end * width);
      fill(got, 6);
      fill(want, 6);
      run(comparison.kernels, matrices, rows, got.data());
      run(kPlainKernels, matrices, rows, want.data());
      comparison.expect(got, want, kTolerance,
                        "width " + std::to_string(width) + ", rows from " + std::to_string(rows.first));
    }
  }
}

// GELU and SiLU from where e^x is 0 to where it overflows; small results apart from large ones, which would hide them.
void compare_far_out(Comparison& comparison) {
  comparison.begin("activations far out");
  for (const float step : {-0.2f, 0.2f}) {
    const Floats x(1001), got(1001), want(1001);
    for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i) * step;
    const Rows row{0, 1, x.size()};
    comparison.kernels.gelu(row, x.data(), got.data());
    kPlainKernels.gelu(row, x.data(), want.data());
    comparison.expect(got, want, kTolerance, "GELU to " + std::to_string(1000 * step));
    comparison.kernels.silu(row, x.data(), got.data());
    kPlainKernels.silu(row, x.data(), want.data());
    comparison.expect(got, want, kTolerance, "SiLU to " + std::to_string(1000 * step));
  }
}

}  // namespace

void compare_row_kernels(Comparison& comparison) {
  compare(comparison, "layer_norm_modulate", [](const Kernels& k, const Matrices& m, Rows rows, float* out) {
    // A row of one has no variance: by 1 / sqrt(eps), only the rounding of its mean would be compared.
    const float eps = rows.width == 1 ? 1 : 1e-6f;
    k.layer_norm_modulate(rows, m.x.data(), {m.per_sample.data(), m.more.data(), kTokens, 0, eps}, out);
  });
  compare(comparison, "gelu",
          [](const Kernels& k, const Matrices& m, Rows rows, float* out) { k.gelu(rows, m.x.data(), out); });
  compare(comparison, "silu",
          [](const Kernels& k, const Matrices& m, Rows rows, float* out) { k.silu(rows, m.x.data(), out); });
  compare(comparison, "gate_residual", [](const Kernels& k, const Matrices& m, Rows rows, float* out) {
    k.gate_residual(rows, m.x.data(), m.raw.data(), m.per_sample.data(), kTokens, out);
  });
  compare(comparison, "gate_residual without a gate", [](const Kernels& k, const Matrices& m, Rows rows, float* out) {
    k.gate_residual(rows, m.x.data(), m.raw.data(), nullptr, kTokens, out);
  });
  compare(comparison, "weighted_sum", [](const Kernels& k, const Matrices& m, Rows rows, float* out) {
    const float* parts[] = {m.x.data(), m.raw.data(), m.x.data()};
    const float weights[] = {0.5f, -2, 0.25f};
    k.weighted_sum(parts, weights, 3, rows.first * rows.width, rows.end * rows.width, out);
  });
  compare(comparison, "column_moments: mean", [](const Kernels& k, const Matrices& m, Rows rows, float* out) {
    const Floats squares(rows.width);
    k.column_moments(rows, m.x.data(), out + rows.first * rows.width, squares.data());
  });
  compare(comparison, "column_moments: squares", [](const Kernels& k, const Matrices& m, Rows rows, float* out) {
    const Floats mean(rows.width);
    k.column_moments(rows, m.x.data(), mean.data(), out + rows.first * rows.width);
  });
  for (const bool silu : {false, true}) {
    const char* name = silu ? "normalise_columns with SiLU" : "normalise_columns";
    compare(comparison, name, [silu](const Kernels& k, const Matrices& m, Rows rows, float* out) {
      const ChannelNorm norm{m.per_column.data(), m.per_sample.data(), m.more.data()};
      k.normalise_columns(rows, m.x.data(), norm, silu, out);
    });
  }
  compare_far_out(comparison);
}
