// What Node loads. `tensorflow`: the version that this was compiled for. `register()`: gives the ops to the TensorFlow of
// this process, once. `instructions(name?)`: the instruction set in use, after choosing one where a name is given.
#include <node_api.h>

#include <mutex>

#include "kernels.h"
#include "ops.h"

namespace {

using delta_dit::Status;

napi_value text(napi_env env, const char* value) {
  napi_value result;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value register_ops(napi_env env, napi_callback_info) {
  // Node may load an addon once for each of its threads; TensorFlow is there once per process.
  static std::mutex turn;
  static bool is_registered = false;
  std::lock_guard<std::mutex> lock(turn);
  if (is_registered) return nullptr;
  is_registered = true;
  Status status;
  if (!delta_dit::register_token_ops(status) || !delta_dit::register_linear_ops(status) ||
      !delta_dit::register_attention_ops(status) || !delta_dit::register_group_norm_ops(status) ||
      !delta_dit::register_convert_ops(status) || !delta_dit::register_block_ops(status)) {
    napi_throw_error(env, nullptr, TF_Message(status.get()));
  }
  return nullptr;
}

napi_value instructions(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  char name[16];
  size_t length = 0;
  if (count > 0 && napi_get_value_string_utf8(env, argument, name, sizeof(name), &length) == napi_ok &&
      !delta_dit::choose_kernels(name)) {
    napi_throw_range_error(env, nullptr, "this processor has no such instructions");
    return nullptr;
  }
  return text(env, delta_dit::kernels().name);
}

void add_function(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
  napi_set_named_property(env, exports, name, value);
}

}  // namespace

extern "C" NAPI_MODULE_EXPORT int32_t node_api_module_get_api_version_v1() { return NAPI_VERSION; }

extern "C" NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_set_named_property(env, exports, "tensorflow", text(env, DELTA_DIT_TENSORFLOW));
  add_function(env, exports, "register", register_ops);
  add_function(env, exports, "instructions", instructions);
  return exports;
}
