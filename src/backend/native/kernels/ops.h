// The ops that this addon gives to TensorFlow. Their names are global in a process, hence the prefix.
#ifndef DELTA_DIT_OPS_H_
#define DELTA_DIT_OPS_H_

#include "tensorflow_c.h"

namespace delta_dit {

// Each returns false with the reason in `status`.
bool register_token_ops(const Status& status);
bool register_linear_ops(const Status& status);
bool register_convert_ops(const Status& status);
bool register_attention_ops(const Status& status);
bool register_group_norm_ops(const Status& status);
bool register_block_ops(const Status& status);

}  // namespace delta_dit

#endif  // DELTA_DIT_OPS_H_
