#include "tensorflow_c.h"

namespace delta_dit {

namespace {

constexpr int kMaxRank = 8;

void* create_nothing(TF_OpKernelConstruction*) { return nullptr; }
void destroy_nothing(void*) {}

// Eager execution asks the kernel for shapes; nobody builds graphs of these ops.
void unknown_shape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

}  // namespace

bool Tensor::has_shape(std::initializer_list<size_t> dims) const {
  if (static_cast<size_t>(rank()) != dims.size()) return false;
  int axis = 0;
  for (const size_t want : dims) {
    if (dim(axis++) != want) return false;
  }
  return true;
}

bool Call::check(const Status& status) {
  if (status.ok()) return true;
  TF_OpKernelContext_Failure(context_, status.get());
  return false;
}

bool Call::require(bool condition, const char* message) {
  if (condition) return true;
  Status status;
  TF_SetStatus(status.get(), TF_INVALID_ARGUMENT, message);
  return check(status);
}

TF_Tensor* Call::input(int index) {
  Status status;
  TF_Tensor* tensor = nullptr;
  TF_GetInput(context_, index, &tensor, status.get());
  check(status);
  return tensor;
}

TF_Tensor* Call::output(int index, std::initializer_list<size_t> dims) {
  int64_t shape[kMaxRank];
  int rank = 0;
  size_t bytes = sizeof(float);
  for (const size_t dim : dims) {
    shape[rank++] = static_cast<int64_t>(dim);
    bytes *= dim;
  }
  Status status;
  TF_Tensor* tensor = TF_AllocateOutput(context_, index, TF_FLOAT, shape, rank, bytes, status.get());
  return check(status) ? tensor : nullptr;
}

TF_Tensor* Call::output_like(int index, const Tensor& tensor, size_t last) {
  if (!require(tensor.rank() <= kMaxRank, "expected a tensor of at most 8 axes")) return nullptr;
  int64_t shape[kMaxRank];
  size_t bytes = sizeof(float);
  for (int axis = 0; axis < tensor.rank(); axis++) {
    shape[axis] = axis + 1 < tensor.rank() ? TF_Dim(tensor.get(), axis) : static_cast<int64_t>(last);
    bytes *= static_cast<size_t>(shape[axis]);
  }
  Status status;
  TF_Tensor* made = TF_AllocateOutput(context_, index, TF_FLOAT, shape, tensor.rank(), bytes, status.get());
  return check(status) ? made : nullptr;
}

void Call::output_in_place(int index, const Tensor& tensor) {
  Status status;
  TF_SetOutput(context_, index, tensor.get(), status.get());
  check(status);
}

bool register_op(const OpDefinition& op, const Status& status) {
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(op.name);
  for (const char* attribute : op.attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  for (const char* input : op.inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  for (const char* output : op.outputs) TF_OpDefinitionBuilderAddOutput(definition, output);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, unknown_shape);
  TF_RegisterOpDefinition(definition, status.get());
  if (!status.ok()) return false;
  TF_KernelBuilder* kernel =
      TF_NewKernelBuilder(op.name, "CPU", op.create ? op.create : create_nothing, op.compute,
                          op.destroy ? op.destroy : destroy_nothing);
  TF_RegisterKernelBuilder(op.name, kernel, status.get());
  return status.ok();
}

float float_attribute(TF_OpKernelConstruction* construction, const char* name) {
  Status status;
  float value = 0;
  TF_OpKernelConstruction_GetAttrFloat(construction, name, &value, status.get());
  return value;
}

int64_t int_attribute(TF_OpKernelConstruction* construction, const char* name) {
  Status status;
  int64_t value = 0;
  TF_OpKernelConstruction_GetAttrInt64(construction, name, &value, status.get());
  return value;
}

bool bool_attribute(TF_OpKernelConstruction* construction, const char* name) {
  Status status;
  unsigned char value = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, name, &value, status.get());
  return value != 0;
}

}  // namespace delta_dit
