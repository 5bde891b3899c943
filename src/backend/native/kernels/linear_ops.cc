// Linears with what stands around them in a block: x kernel + bias of any rank; before it LayerNorm and modulation, after it
// GELU, or gate and residual.
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels.h"
#include "linear.h"
#include "ops.h"
#include "scratch.h"
#include "threads.h"

namespace delta_dit {

namespace {

// Packed rows at a time: what is read of a kernel serves as many.
constexpr size_t kPackedFloats = 4 << 20;
// Floats that a task of packing goes through.
constexpr size_t kTaskFloats = 16384;
// A task's columns, packed a cut of the depth at a time, share L2 with the rows that they meet.
constexpr size_t kTaskColumns = 128;
constexpr size_t kTaskRows = 48;
// Enough tasks for each thread that one that comes late costs little.
constexpr size_t kTasksEach = 4;
// Columns of a product of few rows: a piece of each row of the kernel that is worth beginning.
constexpr size_t kLeastColumns = 64, kMostColumns = 1024;

size_t parts_of(size_t whole, size_t part) { return (whole + part - 1) / part; }
size_t bounded(size_t x, size_t least, size_t most) { return x < least ? least : x > most ? most : x; }

// Tiles of a grid, all of one size but for the last panel.
void multiply_tiles(const Product& p) {
  const size_t panel = kernels().panel, panels = parts_of(p.width, panel), wanted = kTasksEach * thread_count();
  const size_t height = kernels().height, strips = parts_of(p.count, height);
  const size_t across = bounded(wanted, parts_of(p.width, kTaskColumns), panels);
  const size_t down = bounded(parts_of(wanted, across > 0 ? across : 1), 1, parts_of(p.count, kTaskRows));
  parallel(across * down, [&](size_t task) {
    const size_t column = task / down, row = task % down;
    const size_t end_row = (row + 1) * strips / down * height, end_column = (column + 1) * panels / across * panel;
    kernels().product(p, {row * strips / down * height, end_row < p.count ? end_row : p.count,
                          column * panels / across * panel, end_column < p.width ? end_column : p.width});
  });
}

void multiply_few(const Product& p) {
  const size_t columns = bounded(p.width / (kTasksEach * thread_count()), kLeastColumns, kMostColumns) / 16 * 16;
  parallel(parts_of(p.width, columns), [&](size_t task) {
    const size_t first = task * columns;
    kernels().few_rows(p, {0, p.count, first, first + columns < p.width ? first + columns : p.width});
  });
}

}  // namespace

// Some rows at a time. `p` describes the whole.
void multiply(Product p, RowNorm norm, const float* x) {
  const size_t rows = p.count, passes = parts_of(rows * p.depth, kPackedFloats);
  const size_t step = parts_of(rows, passes > 0 ? passes : 1);
  float* packed = shared_scratch(step * p.depth);
  const size_t each = bounded(kTaskFloats / p.depth, 1, kTaskFloats);
  for (size_t first = 0; first < rows; first += step) {
    p.count = first + step < rows ? step : rows - first;
    p.first_row = norm.first_row = first;
    p.rows = packed;
    parallel(parts_of(p.count, each), [&](size_t task) {
      const size_t row = task * each, end = row + each < p.count ? row + each : p.count;
      kernels().pack_rows({row, end, p.depth}, x + first * p.depth, norm, p, packed);
    });
    if (p.count <= kFewRows) {
      multiply_few(p);
    } else {
      multiply_tiles(p);
    }
    p.out += p.count * p.width;
    if (p.residual) p.residual += p.count * p.width;
  }
}

void modulation_vectors(Product p, const float* c, size_t samples, size_t parts, float* out) {
  std::vector<float> activated(samples * p.depth), vectors(samples * p.width);
  kernels().silu({0, samples, p.depth}, c, activated.data());
  p.out = vectors.data();
  p.count = samples;
  p.tokens = 1;
  multiply(p, {}, activated.data());
  const size_t each = p.width / parts;
  for (size_t part = 0; part < parts; part++) {
    for (size_t n = 0; n < samples; n++, out += each) {
      std::memcpy(out, vectors.data() + n * p.width + part * each, each * sizeof(float));
    }
  }
}

namespace {

struct Settings {
  bool bias, norm, residual, gate, gelu, bfloat16;
  float eps;
};

void* create_linear(TF_OpKernelConstruction* construction) {
  const auto is = [&](const char* name) { return bool_attribute(construction, name); };
  return new Settings{is("bias"), is("norm"),     is("residual"),
                      is("gate"), is("gelu"), is("is_bfloat16"), float_attribute(construction, "eps")};
}
void destroy_linear(void* settings) { delete static_cast<Settings*>(settings); }

void linear(void* attributes, TF_OpKernelContext* context) {
  const Settings& has = *static_cast<Settings*>(attributes);
  Call call(context);
  int next = 0;
  const auto take = [&](bool is_given) { return is_given ? call.input(next++) : nullptr; };
  const Tensor x(take(true)), kernel(take(true)), bias(take(has.bias)), shift(take(has.norm)), scale(take(has.norm)),
      residual(take(has.residual)), gate(take(has.gate));
  const size_t depth = x.dim(-1), samples = x.dim(0), tokens = x.rank() == 3 ? x.dim(1) : 1;
  const size_t width = has.bfloat16 ? 2 * kernel.dim(1) : kernel.dim(1);
  if (!call.require(x.rank() > 0 && depth > 0 && kernel.rank() == 2 && kernel.dim(0) == depth,
                    "linear: expected x [...,in] and a kernel [in,out], or [in,out/2] that holds bfloat16") ||
      !call.require(!has.bias || bias.has_shape({width}), "linear: expected a bias of as many columns as the kernel") ||
      !call.require(!has.norm || (x.rank() == 3 && shift.has_shape({samples, depth}) && scale.has_shape({samples, depth})),
                    "normLinear: expected x [N,T,D], shift [N,D] and scale [N,D]") ||
      !call.require(!has.residual || (x.rank() == 3 && residual.has_shape({samples, tokens, width}) &&
                                      (!has.gate || gate.has_shape({samples, width}))),
                    "linearResidual: expected y [N,T,in], x [N,T,D] and gate [N,D]")) {
    return;
  }
  const Tensor out(call.output_like(0, x, width));
  if (!out.data()) return;
  Product p = {};
  p.kernel = kernel.data();
  p.bias = bias.data();
  p.residual = residual.data();
  p.gate = gate.data();
  p.out = out.data();
  p.count = x.size() / depth;
  p.depth = depth;
  p.width = width;
  p.tokens = tokens;
  p.bfloat16 = has.bfloat16;
  p.gelu = has.gelu;
  multiply(p, {shift.data(), scale.data(), tokens, 0, has.eps}, x.data());
}

struct AdaLN {
  size_t parts;
  bool bfloat16;
};

void* create_ada_ln(TF_OpKernelConstruction* construction) {
  return new AdaLN{static_cast<size_t>(int_attribute(construction, "parts")),
                   bool_attribute(construction, "is_bfloat16")};
}
void destroy_ada_ln(void* settings) { delete static_cast<AdaLN*>(settings); }

void ada_ln(void* settings, TF_OpKernelContext* context) {
  const auto [parts, is_bfloat16] = *static_cast<AdaLN*>(settings);
  Call call(context);
  const Tensor c(call.input(0)), kernel(call.input(1)), bias(call.input(2));
  const size_t samples = c.dim(0), depth = c.dim(1), width = (is_bfloat16 ? 2 : 1) * kernel.dim(1);
  if (!call.require(c.rank() == 2 && depth > 0 && kernel.rank() == 2 && kernel.dim(0) == depth &&
                        bias.has_shape({width}) && width % parts == 0,
                    "adaLNVectors: expected c [N,in], a kernel [in,out] and a bias [out], out a multiple of the parts")) {
    return;
  }
  Product p = {};
  p.kernel = kernel.data();
  p.bias = bias.data();
  p.depth = depth;
  p.width = width;
  p.bfloat16 = is_bfloat16;
  std::vector<float> vectors(samples * width);
  modulation_vectors(p, c.data(), samples, parts, vectors.data());
  const size_t each = width / parts, floats = samples * each;
  for (size_t part = 0; part < parts; part++) {
    const Tensor out(call.output(static_cast<int>(part), {samples, each}));
    if (!out.data()) return;
    std::memcpy(out.data(), vectors.data() + part * floats, floats * sizeof(float));
  }
}

}  // namespace

bool register_linear_ops(const Status& status) {
  // The inputs: x, kernel, then those of bias, shift and scale, residual, gate that the attributes name.
  return register_op({"DeltaDitLinear",
                      {"inputs: N * float"},
                      {"out: float"},
                      {"N: int", "bias: bool = false", "norm: bool = false", "residual: bool = false",
                       "gate: bool = false", "gelu: bool = false", "is_bfloat16: bool = false", "eps: float = 0.0"},
                      create_linear,
                      linear,
                      destroy_linear},
                     status) &&
         register_op({"DeltaDitAdaLN",
                      {"c: float", "kernel: float", "bias: float"},
                      {"vectors: parts * float"},
                      {"parts: int", "is_bfloat16: bool = false"},
                      create_ada_ln,
                      ada_ln,
                      destroy_ada_ln},
                     status);
}

}  // namespace delta_dit
