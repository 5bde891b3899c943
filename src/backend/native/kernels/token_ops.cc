// Ops on tokens [N,T,D] between linears.
#include "tokens.h"

#include "kernels.h"
#include "ops.h"
#include "threads.h"

namespace delta_dit {

namespace {

// Floats that a task goes through: enough to be worth handing over, few enough to share work evenly.
constexpr size_t kTaskFloats = 16384;

// Calls work(rows) for parts of a matrix, in parallel.
template <typename Work>
void for_rows(size_t rows, size_t width, const Work& work) {
  const size_t step = width >= kTaskFloats ? 1 : kTaskFloats / (width > 0 ? width : 1);
  parallel((rows + step - 1) / step, [&](size_t task) {
    const size_t first = task * step;
    work(Rows{first, first + step < rows ? first + step : rows, width});
  });
}

void* create_with_eps(TF_OpKernelConstruction* construction) {
  return new float(float_attribute(construction, "eps"));
}
void destroy_eps(void* eps) { delete static_cast<float*>(eps); }

void layer_norm_modulate(void* eps, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor x(call.input(0)), shift(call.input(1)), scale(call.input(2));
  const size_t samples = x.dim(0), tokens = x.dim(1), width = x.dim(2);
  if (!call.require(x.rank() == 3 && shift.has_shape({samples, width}) && scale.has_shape({samples, width}),
                    "layerNormModulate: expected x [N,T,D], shift [N,D] and scale [N,D]")) {
    return;
  }
  const Tensor out(call.output_like(0, x));
  if (!out.data()) return;
  for_rows(samples * tokens, width, [&](Rows rows) {
    const RowNorm norm{shift.data(), scale.data(), tokens, 0, *static_cast<float*>(eps)};
    kernels().layer_norm_modulate(rows, x.data(), norm, out.data());
  });
}

void gate_residual(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor x(call.input(0)), raw(call.input(1)), gate(call.input(2));
  const size_t samples = x.dim(0), tokens = x.dim(1), width = x.dim(2);
  if (!call.require(x.rank() == 3 && raw.has_shape({samples, tokens, width}) && gate.has_shape({samples, width}),
                    "gateResidual: expected x [N,T,D], raw [N,T,D] and gate [N,D]")) {
    return;
  }
  const Tensor out(call.output_like(0, x));
  if (!out.data()) return;
  join_residual(x.data(), raw.data(), gate.data(), samples, tokens, width, out.data());
}

// Calls work(first, end) for parts of `size` elements, in parallel.
template <typename Work>
void for_elements(size_t size, const Work& work) {
  parallel((size + kTaskFloats - 1) / kTaskFloats, [&](size_t task) {
    const size_t first = task * kTaskFloats;
    work(first, first + kTaskFloats < size ? first + kTaskFloats : size);
  });
}

void gelu(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor x(call.input(0));
  const Tensor out(call.output_like(0, x));
  if (!out.data()) return;
  for_elements(x.size(), [&](size_t first, size_t end) {
    kernels().gelu(Rows{0, 1, end - first}, x.data() + first, out.data() + first);
  });
}

void weighted_sum_op(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int count = call.num_inputs() - 1;
  if (!call.require(count >= 1 && count <= kMostParts, "weightedSum: expected 1 to 32 tensors")) return;
  const Tensor weights(call.input(0)), first_part(call.input(1));
  if (!call.require(weights.has_shape({static_cast<size_t>(count)}), "weightedSum: expected a weight for each tensor")) {
    return;
  }
  const Tensor out(call.output_like(0, first_part));
  if (!out.data()) return;
  const float* parts[kMostParts];
  for (int i = 0; i < count; i++) {
    const Tensor part(call.input(1 + i));
    if (!call.require(part.size() == first_part.size(), "weightedSum: expected tensors of one shape")) return;
    parts[i] = part.data();  // the call keeps its inputs
  }
  weighted_sum(parts, weights.data(), static_cast<size_t>(count), first_part.size(), out.data());
}

}  // namespace

void weighted_sum(const float* const* parts, const float* weights, size_t count, size_t size, float* out) {
  for_elements(size, [&](size_t first, size_t end) { kernels().weighted_sum(parts, weights, count, first, end, out); });
}

void join_residual(const float* x, const float* raw, const float* gate, size_t samples, size_t tokens, size_t width,
                   float* out) {
  for_rows(samples * tokens, width,
           [&](Rows rows) { kernels().gate_residual(rows, x, raw, gate, tokens, out); });
}

bool register_token_ops(const Status& status) {
  return register_op({"DeltaDitLayerNormModulate",
                      {"x: float", "shift: float", "scale: float"},
                      {"out: float"},
                      {"eps: float"},
                      create_with_eps,
                      layer_norm_modulate,
                      destroy_eps},
                     status) &&
         register_op({"DeltaDitGateResidual",
                      {"x: float", "raw: float", "gate: float"},
                      {"out: float"},
                      {},
                      nullptr,
                      gate_residual,
                      nullptr},
                     status) &&
         register_op({"DeltaDitGelu", {"x: float"}, {"out: float"}, {}, nullptr, gelu, nullptr}, status) &&
         // The inputs: weights [N - 1], then as many tensors of one shape.
         register_op({"DeltaDitWeightedSum",
                      {"inputs: N * float"},
                      {"out: float"},
                      {"N: int"},
                      nullptr,
                      weighted_sum_op,
                      nullptr},
                     status);
}

}  // namespace delta_dit
