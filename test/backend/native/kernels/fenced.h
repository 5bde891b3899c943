// Memory for floats that ends where the process' memory ends: a kernel that reads or writes one float too far stops
// here.
#ifndef DELTA_DIT_TEST_FENCED_H_
#define DELTA_DIT_TEST_FENCED_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

template <typename Element>
class Fenced {
 public:
  explicit Fenced(size_t count) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes = count * sizeof(Element);
    room_ = (bytes + page - 1) / page * page + page;
    start_ = static_cast<char*>(mmap(nullptr, room_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (start_ == MAP_FAILED || mprotect(start_ + room_ - page, page, PROT_NONE) != 0) std::abort();
    elements_ = reinterpret_cast<Element*>(start_ + room_ - page - bytes);
  }
  Fenced(const Fenced&) = delete;
  ~Fenced() { munmap(start_, room_); }

  Element* data() const { return elements_; }
  size_t size() const { return count_; }
  Element& operator[](size_t i) const { return elements_[i]; }

 private:
  size_t count_, room_;
  char* start_;
  Element* elements_;
};

using Floats = Fenced<float>;

// Numbers of about [-spread, spread], the same for the same seed.
inline void fill(const Floats& floats, uint32_t seed, float spread = 1) {
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < floats.size(); i++) {
    state = state * 1664525u + 1013904223u;
    floats[i] = (static_cast<float>(state >> 8) / 8388608.0f - 1) * spread;
  }
}

inline void fill_with_nan(const Floats& floats) {
  for (size_t i = 0; i < floats.size(); i++) floats[i] = NAN;
}

#endif  // DELTA_DIT_TEST_FENCED_H_
