// The part of TensorFlow's C API that an op needs, and thin owners of what it hands out.
#ifndef DELTA_DIT_TENSORFLOW_C_H_
#define DELTA_DIT_TENSORFLOW_C_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_datatype.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

// tensorflow/c/kernels.h declares these, too, but includes headers of TensorFlow's C++ side, which no native part keeps.
// The C API is stable: signatures as of TensorFlow 2.21.
extern "C" {
typedef struct TF_KernelBuilder TF_KernelBuilder;
typedef struct TF_OpKernelConstruction TF_OpKernelConstruction;
typedef struct TF_OpKernelContext TF_OpKernelContext;
TF_KernelBuilder* TF_NewKernelBuilder(const char* op_name, const char* device_name,
                                      void* (*create)(TF_OpKernelConstruction*),
                                      void (*compute)(void*, TF_OpKernelContext*), void (*destroy)(void*));
void TF_RegisterKernelBuilder(const char* kernel_name, TF_KernelBuilder* builder, TF_Status* status);
int TF_NumInputs(TF_OpKernelContext* context);
void TF_GetInput(TF_OpKernelContext* context, int i, TF_Tensor** tensor, TF_Status* status);
void TF_SetOutput(TF_OpKernelContext* context, int i, const TF_Tensor* tensor, TF_Status* status);
TF_Tensor* TF_AllocateOutput(TF_OpKernelContext* context, int index, TF_DataType dtype, const int64_t* dims, int num_dims,
                             size_t len, TF_Status* status);
void TF_OpKernelContext_Failure(TF_OpKernelContext* context, TF_Status* status);
void TF_OpKernelConstruction_GetAttrFloat(TF_OpKernelConstruction*, const char* name, float* value, TF_Status*);
void TF_OpKernelConstruction_GetAttrInt64(TF_OpKernelConstruction*, const char* name, int64_t* value, TF_Status*);
void TF_OpKernelConstruction_GetAttrBool(TF_OpKernelConstruction*, const char* name, unsigned char* value, TF_Status*);
}

namespace delta_dit {

class Status {
 public:
  Status() : status_(TF_NewStatus()) {}
  ~Status() { TF_DeleteStatus(status_); }
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;
  TF_Status* get() const { return status_; }
  bool ok() const { return TF_GetCode(status_) == TF_OK; }

 private:
  TF_Status* status_;
};

// A tensor of float32 as a kernel sees it. Owns a reference, which TensorFlow wants back even for inputs.
class Tensor {
 public:
  explicit Tensor(TF_Tensor* tensor) : tensor_(tensor) {}
  ~Tensor() {
    if (tensor_) TF_DeleteTensor(tensor_);
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  TF_Tensor* get() const { return tensor_; }
  float* data() const { return tensor_ ? static_cast<float*>(TF_TensorData(tensor_)) : nullptr; }
  int rank() const { return TF_NumDims(tensor_); }
  // From the end where negative; 0 where there is no such axis.
  size_t dim(int axis) const {
    const int at = axis < 0 ? rank() + axis : axis;
    return at < 0 || at >= rank() ? 0 : static_cast<size_t>(TF_Dim(tensor_, at));
  }
  size_t size() const { return static_cast<size_t>(TF_TensorElementCount(tensor_)); }
  bool has_shape(std::initializer_list<size_t> dims) const;

 private:
  TF_Tensor* tensor_;
};

// One execution of an op: its inputs, its outputs, and the error that it ends with, if any.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context) {}
  int num_inputs() const { return TF_NumInputs(context_); }
  TF_Tensor* input(int index);
  // Null when there is no memory; the call has failed then.
  TF_Tensor* output(int index, std::initializer_list<size_t> dims);
  TF_Tensor* output_like(int index, const Tensor& tensor) { return output_like(index, tensor, tensor.dim(-1)); }
  // Of another last dimension.
  TF_Tensor* output_like(int index, const Tensor& tensor, size_t last);
  // The output is this very memory, an input's that the op has written into, for one.
  void output_in_place(int index, const Tensor& tensor);
  // Fails the call with "<op>: <what was wrong>" unless the condition holds.
  bool require(bool condition, const char* message);

 private:
  bool check(const Status& status);
  TF_OpKernelContext* context_;
};

// What an op looks like from outside; inputs and outputs are float32.
struct OpDefinition {
  const char* name;
  std::initializer_list<const char*> inputs;
  std::initializer_list<const char*> outputs;
  std::initializer_list<const char*> attributes;  // "eps: float"
  void* (*create)(TF_OpKernelConstruction*);      // may be null
  void (*compute)(void*, TF_OpKernelContext*);
  void (*destroy)(void*);  // may be null
};

// Makes an op known to TensorFlow, once per process. False with the reason in `status`.
bool register_op(const OpDefinition& op, const Status& status);

float float_attribute(TF_OpKernelConstruction* construction, const char* name);
int64_t int_attribute(TF_OpKernelConstruction* construction, const char* name);
bool bool_attribute(TF_OpKernelConstruction* construction, const char* name);

}  // namespace delta_dit

#endif  // DELTA_DIT_TENSORFLOW_C_H_
