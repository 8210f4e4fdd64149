#include "tflite_kernels/core/binary.h"

namespace edgeax {
namespace {

bool IsFlag(int32_t value) { return value == 0 || value == 1; }

}  // namespace

Status CheckBinaryForm(const BinaryForm& form) {
  return IsFlag(form.input_packed) && IsFlag(form.output_packed) ? Status::kOk
                                                                 : Status::kBadArgument;
}

Status CheckBinaryTensors(const BinaryTensors& tensors, int64_t input_size, int64_t weight_bytes,
                          int64_t channels, int64_t output_size) {
  const bool sizes_fit =
      HasSize(tensors.input.size, input_size) && HasSize(tensors.weights.size, weight_bytes) &&
      HasSize(tensors.bias.size, channels) && HasSize(tensors.requantization.size, channels) &&
      HasSize(tensors.output.size, output_size);
  if (!sizes_fit) return Status::kBadShape;
  for (size_t c = 0; c < tensors.bias.size; ++c) {
    const int32_t bias = tensors.bias.data[c];
    if (bias < -kMaxBinaryBias || bias > kMaxBinaryBias) return Status::kBadArgument;
  }
  return CheckShifts(tensors.requantization);
}

}  // namespace edgeax
