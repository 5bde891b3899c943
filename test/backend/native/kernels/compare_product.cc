// Matrix products, with all that may stand before and after them.
#include <cstring>
#include <iterator>

#include "compare.h"

using delta_dit::Kernels;
using delta_dit::kPlainKernels;
using delta_dit::Product;
using delta_dit::RowNorm;

namespace {

constexpr size_t kCounts[] = {1, 3, 4, 5, 6, 7, 12, 13, 16, 17, 33, 50};
constexpr size_t kDepths[] = {1, 2, 5, 31, 32, 33, 64, 289, 601, 1200};
constexpr size_t kWidths[] = {2, 14, 16, 18, 30, 32, 34, 64, 66, 130};
constexpr size_t kTokens = 3, kFirstRow = 2;  // the rows begin in the middle of a sample
constexpr double kTolerance = 2e-6, kRoundedTolerance = 1e-2;

struct Kind {
  const char* name;
  bool norm, bias, gelu, gate, residual;
};
constexpr Kind kKinds[] = {
    {"alone", false, false, false, false, false},
    {"bias", false, true, false, false, false},
    {"LayerNorm, bias, GELU", true, true, true, false, false},
    {"bias, residual", false, true, false, false, true},
    {"LayerNorm, bias, GELU, gate, residual", true, true, true, true, true},
};

// Kernels in float32; in bfloat16; in bfloat16, with rows that are all bfloat16.
enum class Storage { kFloat32, kBfloat16, kBfloat16Rows };
constexpr struct {
  Storage storage;
  const char* name;
} kStorages[] = {{Storage::kFloat32, "product"},
                 {Storage::kBfloat16, "product from bfloat16"},
                 {Storage::kBfloat16Rows, "product of bfloat16 rows from bfloat16"}};

// The upper half of a float32: the number itself where that is bfloat16.
uint16_t bfloat16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float widened(uint16_t upper) {
  const uint32_t bits = static_cast<uint32_t>(upper) << 16;
  float x;
  __builtin_memcpy(&x, &bits, sizeof(x));
  return x;
}

struct Matrices {
  Matrices(size_t count, size_t depth, size_t width)
      : x(count * depth),
        kernel(depth * width),
        residual(count * width),
        shift((kFirstRow + count + kTokens - 1) / kTokens * depth),
        scale(shift.size()),
        bias(width),
        gate((kFirstRow + count + kTokens - 1) / kTokens * width),
        stored(depth * width),
        count(count) {
    fill(x, 1, 2);
    fill(kernel, 2);
    fill(residual, 3);
    fill(shift, 4);
    fill(scale, 5);
    fill(bias, 6);
    fill(gate, 7);
    for (size_t i = 0; i < stored.size(); i++) stored[i] = bfloat16(kernel[i]);
  }
  Floats x, kernel, residual, shift, scale, bias, gate;
  Fenced<uint16_t> stored;
  size_t count;
};

void multiply_tiles(const Kernels& kernels, const Product& p, size_t parts) {
  const size_t height = kernels.height, strips = (p.count + height - 1) / height;
  const size_t panels = (p.width + kernels.panel - 1) / kernels.panel;
  const auto compute = p.count <= delta_dit::kFewRows ? kernels.few_rows : kernels.product;
  for (size_t part = 0; part < parts * parts; part++) {
    const size_t down = part % parts, across = part / parts;
    const size_t end_row = (down + 1) * strips / parts * height, end = (across + 1) * panels / parts * kernels.panel;
    const delta_dit::ProductTile tile{down * strips / parts * height, end_row < p.count ? end_row : p.count,
                                      across * panels / parts * kernels.panel, end < p.width ? end : p.width};
    if (tile.first_row < tile.end_row && tile.first_column < tile.end_column) compute(p, tile);
  }
}

// Packs the rows in parts, and computes as many tiles down and across, as the op does with its tasks.
void multiply(const Kernels& kernels, const Matrices& m, const Kind& kind, bool stored, size_t parts,
              const Floats& out) {
  const size_t width = m.bias.size(), depth = m.x.size() / m.count;
  Product p = {};
  p.kernel = stored ? static_cast<const void*>(m.stored.data()) : m.kernel.data();
  p.bias = kind.bias ? m.bias.data() : nullptr;
  p.residual = kind.residual ? m.residual.data() : nullptr;
  p.gate = kind.gate ? m.gate.data() : nullptr;
  p.out = out.data();
  p.count = m.count;
  p.depth = depth;
  p.width = width;
  p.tokens = kTokens;
  p.first_row = kFirstRow;
  p.bfloat16 = stored;
  p.gelu = kind.gelu;
  const Floats packed(m.count * depth);
  fill_with_nan(packed);
  const RowNorm norm{m.shift.data(), kind.norm ? m.scale.data() : nullptr, kTokens, kFirstRow, 1e-2f};
  for (size_t part = 0; part < parts; part++) {
    const delta_dit::Rows rows{part * m.count / parts, (part + 1) * m.count / parts, depth};
    kernels.pack_rows(rows, m.x.data(), norm, p, packed.data());
  }
  p.rows = packed.data();
  multiply_tiles(kernels, p, parts);
}

void compare(Comparison& comparison, const Kind& kind, Storage storage, const Matrices& m) {
  const bool stored = storage != Storage::kFloat32, rounded = storage == Storage::kBfloat16Rows;
  if (rounded) {
    for (size_t i = 0; i < m.x.size(); i++) m.x[i] = widened(bfloat16(m.x[i]));
  }
  const Floats got(m.residual.size()), cut(m.residual.size()), want(m.residual.size());
  for (const Floats* floats : {&got, &cut, &want}) fill_with_nan(*floats);
  const std::string what =
      std::to_string(m.count) + " x " + std::to_string(m.x.size() / m.count) + " x " + std::to_string(m.bias.size());
  multiply(comparison.kernels, m, kind, stored, 1, got);
  multiply(comparison.kernels, m, kind, stored, 3, cut);
  comparison.expect(cut, got, 0, what + ", in tiles");
  // Where rows are rounded, too, all that bfloat16 costs is measured.
  const bool rounds = stored && (kind.norm || !rounded) && std::strcmp(comparison.kernels.name, "amx") == 0;
  multiply(kPlainKernels, m, kind, stored && !rounds, 1, want);
  comparison.expect(got, want, rounds ? kRoundedTolerance : kTolerance, what);
}

}  // namespace

void compare_product(Comparison& comparison) {
  for (const auto& [storage, name] : kStorages) {
    for (const Kind& kind : kKinds) {
      comparison.begin((std::string(name) + ", " + kind.name).c_str());
      size_t next = 0;
      for (const size_t count : kCounts) {
        for (const size_t depth : kDepths) {
          const size_t width = kWidths[next++ % std::size(kWidths)];
          compare(comparison, kind, storage, Matrices(count, depth, width));
        }
      }
    }
  }
}
