// Weights from how a file holds them to how memory does: float32, or bfloat16 in pairs, each pair in the place of a float.
#include <cstring>

#include "ops.h"
#include "threads.h"

namespace delta_dit {

namespace {

// As src/checkpoint/hold.ts numbers them.
enum Element : int64_t { kFloat32 = 0, kFloat16 = 1, kBfloat16 = 2 };

// Elements that a task converts.
constexpr size_t kTaskElements = 1 << 18;

struct Conversion {
  Element from, to;
};

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

uint32_t widen_bfloat16(uint16_t half) { return static_cast<uint32_t>(half) << 16; }

// Without a branch, so that loops of it become vector code; without subnormal floats, which TensorFlow's threads take
// for 0.
uint32_t widen_float16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  const uint32_t moved = magnitude << 13;
  const uint32_t normal = moved + (112u << 23);   // the exponent's bias is 127 instead of 15
  const uint32_t special = moved + (224u << 23);  // infinity and NaN, whose exponent is all ones
  const uint32_t subnormal = bits_of(float_of(moved + (113u << 23)) - float_of(113u << 23));
  const uint32_t finite = magnitude < 0x0400 ? subnormal : normal;
  return sign | (magnitude >= 0x7c00 ? special : finite);
}

// The nearest, ties to even; NaN stays NaN.
uint16_t narrow_to_bfloat16(uint32_t bits) {
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x40;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

uint16_t float16_to_bfloat16(uint16_t half) { return narrow_to_bfloat16(widen_float16(half)); }

template <typename From, typename To, To (*convert)(From)>
void convert_all(const void* from, void* to, size_t count) {
  const From* source = static_cast<const From*>(from);
  To* target = static_cast<To*>(to);
  parallel((count + kTaskElements - 1) / kTaskElements, [&](size_t task) {
    const size_t first = task * kTaskElements, left = count - first;
    const size_t end = first + (left < kTaskElements ? left : kTaskElements);
    for (size_t i = first; i < end; i++) target[i] = convert(source[i]);
  });
}

uint32_t same(uint32_t bits) { return bits; }

void convert_elements(Conversion conversion, const float* from, float* to, size_t words) {
  switch (conversion.from) {
    case kFloat32:
      return conversion.to == kFloat32 ? convert_all<uint32_t, uint32_t, same>(from, to, words)
                                       : convert_all<uint32_t, uint16_t, narrow_to_bfloat16>(from, to, words);
    case kFloat16:
      return conversion.to == kFloat32 ? convert_all<uint16_t, uint32_t, widen_float16>(from, to, 2 * words)
                                       : convert_all<uint16_t, uint16_t, float16_to_bfloat16>(from, to, 2 * words);
    case kBfloat16:
      return conversion.to == kFloat32 ? convert_all<uint16_t, uint32_t, widen_bfloat16>(from, to, 2 * words)
                                       : convert_all<uint32_t, uint32_t, same>(from, to, words);
  }
}

void* create(TF_OpKernelConstruction* construction) {
  return new Conversion{static_cast<Element>(int_attribute(construction, "from")),
                        static_cast<Element>(int_attribute(construction, "to"))};
}
void destroy(void* conversion) { delete static_cast<Conversion*>(conversion); }

// Always into memory of its own: the input's may be read into again.
void convert(void* attributes, TF_OpKernelContext* context) {
  const Conversion conversion = *static_cast<Conversion*>(attributes);
  Call call(context);
  const Tensor x(call.input(0));
  const bool from_halves = conversion.from != kFloat32, to_halves = conversion.to != kFloat32;
  const bool known = conversion.from >= kFloat32 && conversion.from <= kBfloat16 &&
                     (conversion.to == kFloat32 || conversion.to == kBfloat16);
  if (!call.require(known && x.rank() == 2 && (from_halves || !to_halves || x.dim(1) % 2 == 0),
                    "convert: expected a matrix, with an even number of columns where they become bfloat16")) {
    return;
  }
  const size_t columns = from_halves == to_halves ? x.dim(1) : from_halves ? 2 * x.dim(1) : x.dim(1) / 2;
  const Tensor out(call.output(0, {x.dim(0), columns}));
  if (!out.data()) return;
  convert_elements(conversion, x.data(), out.data(), x.size());
}

}  // namespace

bool register_convert_ops(const Status& status) {
  return register_op(
      {"DeltaDitConvert", {"x: float"}, {"out: float"}, {"from: int", "to: int"}, create, convert, destroy}, status);
}

}  // namespace delta_dit
