#include "scratch.h"

#include <cstdlib>
#include <new>

namespace delta_dit {

namespace {

struct Buffer {
  float* floats = nullptr;
  size_t size = 0;
  ~Buffer() { std::free(floats); }
};

float* room(Buffer& buffer, size_t floats) {
  if (floats > buffer.size) {
    std::free(buffer.floats);
    buffer.floats = nullptr;
    buffer.size = 0;
    const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    buffer.floats = static_cast<float*>(std::aligned_alloc(64, bytes));
    if (!buffer.floats) throw std::bad_alloc();
    buffer.size = floats;
  }
  return buffer.floats;
}

thread_local Buffer own, shared, block;

}  // namespace

float* scratch(size_t floats) { return room(own, floats); }
float* shared_scratch(size_t floats) { return room(shared, floats); }
float* block_scratch(size_t floats) { return room(block, floats); }

}  // namespace delta_dit
