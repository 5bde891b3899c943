#ifndef DELTA_DIT_SCRATCH_H_
#define DELTA_DIT_SCRATCH_H_

#include <cstddef>

namespace delta_dit {

// Memory of the calling thread for `floats` floats, aligned to a cache line, until it asks again.
float* scratch(size_t floats);
// The same once more, for what an op shares with the tasks that it gives out: they use `scratch`.
float* shared_scratch(size_t floats);
// And once more, for what passes from one part of an op to the next: the parts use `shared_scratch`.
float* block_scratch(size_t floats);

}  // namespace delta_dit

#endif  // DELTA_DIT_SCRATCH_H_
