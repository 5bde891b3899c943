// What the comparisons of kernels share.
#ifndef DELTA_DIT_TEST_COMPARE_H_
#define DELTA_DIT_TEST_COMPARE_H_

#include <cstddef>
#include <string>

#include "fenced.h"
#include "kernels.h"

// Kernels of an instruction set beside the plain ones, and what came of it.
struct Comparison {
  const delta_dit::Kernels& kernels;
  std::string kernel;
  size_t cases = 0, failures = 0;
  double largest = 0;

  // Prints the summary of the kernel so far, and starts with another.
  void begin(const char* name);
  // Takes the relative L2 distance as an error of the case `what` if it is above `tolerance`; NaN always is.
  void expect(const Floats& got, const Floats& want, double tolerance, const std::string& what);
};

double relative_l2(const Floats& got, const Floats& want);

void compare_row_kernels(Comparison& comparison);
void compare_product(Comparison& comparison);
void compare_attention(Comparison& comparison);

#endif  // DELTA_DIT_TEST_COMPARE_H_
