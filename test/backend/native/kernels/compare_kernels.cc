// compare_kernels NAME [product | rows | attention]: compares the kernels of an instruction set, or one kind of them,
// with the plain ones. Exit code 0 where all agree, 1 where some do not, 2 where this processor lacks the instructions.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "compare.h"
#include "scratch.h"

namespace delta_dit {

// The kernels' scratch, fenced and full of NaN: nothing that was left there may be used.
float* scratch(size_t floats) {
  static std::unique_ptr<Floats> memory;
  const size_t line = 64 / sizeof(float);
  memory = std::make_unique<Floats>((floats + line - 1) / line * line);
  fill_with_nan(*memory);
  return memory->data();
}

}  // namespace delta_dit

double relative_l2(const Floats& got, const Floats& want) {
  double distance = 0, length = 0;
  for (size_t i = 0; i < want.size(); i++) {
    const double difference = static_cast<double>(got[i]) - want[i];
    distance += difference * difference;
    length += static_cast<double>(want[i]) * want[i];
  }
  return length == 0 ? std::sqrt(distance) : std::sqrt(distance / length);
}

void Comparison::begin(const char* name) {
  if (!kernel.empty()) {
    std::printf("%s %s: %zu cases, largest distance %.1e\n", kernels.name, kernel.c_str(), cases, largest);
  }
  kernel = name;
  cases = 0;
  largest = 0;
}

void Comparison::expect(const Floats& got, const Floats& want, double tolerance, const std::string& what) {
  const double distance = relative_l2(got, want);
  cases++;
  if (distance <= tolerance) {
    largest = std::fmax(largest, distance);
    return;
  }
  failures++;
  std::printf("%s %s differs by %.1e: %s\n", kernels.name, kernel.c_str(), distance, what.c_str());
}

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a fault leaves what was said before it
  const char* name = count > 1 ? arguments[1] : "";
  if (!delta_dit::choose_kernels(name)) {
    std::printf("this processor has no \"%s\"\n", name);
    return 2;
  }
  Comparison comparison{delta_dit::kernels(), ""};
  const auto is_wanted = [&](const char* kind) { return count < 3 || std::strcmp(arguments[2], kind) == 0; };
  if (is_wanted("product")) compare_product(comparison);
  if (is_wanted("rows")) compare_row_kernels(comparison);
  if (is_wanted("attention")) compare_attention(comparison);
  comparison.begin("");
  return comparison.failures == 0 ? 0 : 1;
}
