#include "tflite_kernels/core/float_fully_connected.h"

#include "tflite_kernels/core/multiply_add.h"

namespace edgeax {
namespace {

bool IsFloatCodeWidth(int32_t bits) { return bits == 8 || bits == 4 || bits == 2 || bits == 1; }

// The sum of one output.
float RowSum(const FloatFullyConnectedArgs& args, const FloatTensors& tensors, const float* input,
             int32_t output) {
  const uint8_t* row = tensors.weights.data + size_t(output) * PackedBytes(args.depth, args.bits);
  const int32_t groups = GroupsOf(args);
  const float* scale = tensors.scale.data + size_t(output) * groups;
  float totals[kFloatLanes] = {};
  for (int32_t g = 0; g < groups; ++g) {
    const int32_t begin = g * args.group;
    const int32_t end = g + 1 < groups ? begin + args.group : args.depth;
    float sums[kFloatLanes] = {};
    for (int32_t k = begin; k < end; ++k) {
      float& sum = sums[(k - begin) * args.bits / 8 % kFloatLanes];
      sum = MultiplyAdd(input[k], tensors.codebook.data[Unpack(row, k, args.bits)], sum);
    }
    for (int32_t i = 0; i < kFloatLanes; ++i) {
      totals[i] = MultiplyAdd(scale[g], sums[i], totals[i]);
    }
  }
  for (int32_t half = kFloatLanes / 2; half > 0; half /= 2) {
    for (int32_t i = 0; i < half; ++i) totals[i] += totals[i + half];
  }
  return totals[0];
}

}  // namespace

Status CheckFloatFullyConnected(const FloatFullyConnectedArgs& args) {
  if (args.rows < 1 || args.depth < 1 || args.depth > kMaxRowDepth || args.outputs < 1) {
    return Status::kBadShape;
  }
  const bool group_fits = args.group >= 0 && args.group <= kMaxRowDepth && args.group % 8 == 0;
  const bool activation_known =
      args.activation >= Activation::kNone && args.activation <= Activation::kReluN1To1;
  if (!IsFloatCodeWidth(args.bits) || !group_fits || !activation_known) {
    return Status::kBadArgument;
  }
  return Status::kOk;
}

Status CheckFloatFullyConnected(const FloatFullyConnectedArgs& args, const FloatTensors& tensors) {
  const Status status = CheckFloatFullyConnected(args);
  if (status != Status::kOk) return status;
  const bool sizes_fit =
      FloatCodeBits(tensors.codebook.size) == args.bits &&
      HasSize(tensors.input.size, CheckedProduct(args.rows, args.depth)) &&
      HasSize(tensors.weights.size,
              CheckedProduct(args.outputs, PackedBytes(args.depth, args.bits))) &&
      HasSize(tensors.bias.size, args.outputs) &&
      HasSize(tensors.scale.size, CheckedProduct(args.outputs, GroupsOf(args))) &&
      HasSize(tensors.output.size, CheckedProduct(args.rows, args.outputs));
  return sizes_fit ? Status::kOk : Status::kBadShape;
}

Status FloatFullyConnected(const FloatFullyConnectedArgs& args, const FloatTensors& tensors) {
  const Status status = CheckFloatFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  const FloatLimits limits = LimitsOf(args.activation);
  float* output = tensors.output.data;
  for (int32_t r = 0; r < args.rows; ++r) {
    const float* input = tensors.input.data + size_t(r) * args.depth;
    for (int32_t c = 0; c < args.outputs; ++c) {
      *output++ = Clamped(tensors.bias.data[c] + RowSum(args, tensors, input, c), limits);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
