// Weights from how a file holds them to how memory does: float32, or bfloat16 in pairs, each pair in the place of a float.
#include <sys/mman.h>

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

bool is_known(Conversion conversion) {
  return conversion.from >= kFloat32 && conversion.from <= kBfloat16 &&
         (conversion.to == kFloat32 || conversion.to == kBfloat16);
}

// Words that `words` become; 0 where a word would be half filled.
size_t converted_words(Conversion conversion, size_t words) {
  const bool from_halves = conversion.from != kFloat32, to_halves = conversion.to != kFloat32;
  if (from_halves == to_halves) return words;
  return from_halves ? 2 * words : words % 2 == 0 ? words / 2 : 0;
}

// Always into memory of its own: the input's may be read into again.
void convert(void* attributes, TF_OpKernelContext* context) {
  const Conversion conversion = *static_cast<Conversion*>(attributes);
  Call call(context);
  const Tensor x(call.input(0));
  const size_t columns = converted_words(conversion, x.dim(1));
  if (!call.require(is_known(conversion) && x.rank() == 2 && (columns > 0 || x.size() == 0),
                    "convert: expected a matrix, with an even number of columns where they become bfloat16")) {
    return;
  }
  const Tensor out(call.output(0, {x.dim(0), columns}));
  if (!out.data()) return;
  convert_elements(conversion, x.data(), out.data(), x.size());
}

int32_t int_input(const Tensor& tensor) { return *reinterpret_cast<const int32_t*>(tensor.data()); }

void unmap(void* memory, size_t bytes, void*) { munmap(memory, bytes); }

// Memory for so many words, which nobody has written yet. In pages of its own: on the heap, what stays would lie between
// what goes while a checkpoint is read, and a third of it would stay unused.
void allocate(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Tensor count(call.input(0));
  if (!call.require(count.size() == 1 && int_input(count) > 0, "allocate: expected a number of words")) return;
  const int64_t words = int_input(count);
  const size_t bytes = static_cast<size_t>(words) * sizeof(float);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!call.require(memory != MAP_FAILED, "allocate: out of memory")) return;
  const Tensor out(TF_NewTensor(TF_FLOAT, &words, 1, memory, bytes, unmap, nullptr));
  call.output_in_place(0, out);
}

// A piece of a tensor, converted into its place in the whole, which nobody reads yet.
void convert_into(void* attributes, TF_OpKernelContext* context) {
  const Conversion conversion = *static_cast<Conversion*>(attributes);
  Call call(context);
  const Tensor whole(call.input(0)), x(call.input(1)), at(call.input(2));
  const size_t words = converted_words(conversion, x.size());
  const bool fits = at.size() == 1 && int_input(at) >= 0 && int_input(at) + words <= whole.size();
  if (!call.require(is_known(conversion) && words > 0 && fits, "convert: expected a piece that lies in the whole")) return;
  convert_elements(conversion, x.data(), whole.data() + int_input(at), x.size());
  call.output_in_place(0, whole);
}

}  // namespace

bool register_convert_ops(const Status& status) {
  return register_op(
             {"DeltaDitConvert", {"x: float"}, {"out: float"}, {"from: int", "to: int"}, create, convert, destroy},
             status) &&
         register_op({"DeltaDitAllocate", {"words: int32"}, {"out: float"}, {}, nullptr, allocate, nullptr}, status) &&
         register_op({"DeltaDitConvertInto",
                      {"whole: float", "x: float", "at: int32"},
                      {"out: float"},
                      {"from: int", "to: int"},
                      create,
                      convert_into,
                      destroy},
                     status);
}

}  // namespace delta_dit
