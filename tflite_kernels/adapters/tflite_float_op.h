#pragma once  // adapters/tflite_float_op.h: floats times packed weights.

#include <string.h>

#include "tflite_kernels/adapters/tflite_arguments.h"

namespace edgeax {
namespace {

// Rows of codes that stand for floats. What the kernel reads as floats may lie unaligned in a file:
// then it is a copy.
struct FloatStorage {
  NodeBuffer<float> bias, scale, codebook;

  // `copy` stays empty where the tensor is aligned.
  static TfLiteStatus CopyUnaligned(const Site& site, const Operand& operand,
                                    NodeBuffer<float>* copy) {
    if (IsAligned(DataOf(*operand.tensor))) return kTfLiteOk;
    const size_t count = operand.tensor->bytes / sizeof(float);
    if (!copy->Allocate(site.context, count)) {
      return Fail(site, "there is no memory for %llu numbers of tensor %s.",
                  static_cast<unsigned long long>(count), operand.name);
    }
    memcpy(copy->data(), DataOf(*operand.tensor), count * sizeof(float));
    return kTfLiteOk;
  }

  static bool IsAligned(const void* data) {
    return reinterpret_cast<uintptr_t>(data) % alignof(float) == 0;
  }

  static Span<const float> FloatsOf(Span<const uint8_t> bytes, const NodeBuffer<float>& copy) {
    if (!IsAligned(bytes.data)) return {copy.data(), copy.size()};
    return {reinterpret_cast<const float*>(bytes.data), bytes.size / sizeof(float)};
  }

  // `input` and `output` are floats.
  FloatTensors TensorsOf(const Constants& constants, const CommonTensors& common) const {
    return {FloatsOf(common.input),
            constants.weights,
            FloatsOf(constants.bias, bias),
            FloatsOf(constants.scale, scale),
            FloatsOf(constants.key, codebook),
            {},
            {reinterpret_cast<float*>(common.output.data), common.output.size / sizeof(float)}};
  }

 private:
  static Span<const float> FloatsOf(Span<const int8_t> bytes) {
    return {reinterpret_cast<const float*>(bytes.data), bytes.size / sizeof(float)};
  }
};

struct FloatFullyConnectedOp {
  using Storage = FloatStorage;
  using Args = FloatFullyConnectedArgs;
  using Options = FloatFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[10];
  static_assert(kSpec.name == kFloatFullyConnectedName, "the order of the operator table");

  template <typename Kernels>
  static const Kernel<Args, FloatTensors>& KernelIn(const Kernels& set) {
    return set.float_fully_connected;
  }

  static TfLiteStatus CheckFloats(const Site& site, const Operand& operand, int rank) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteFloat32));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operand, rank, rank));
    return CheckConstant(site, operand, sizeof(float));
  }

  // Types, ranks, constants: all that does not depend on the other tensors.
  static TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.input, kTfLiteFloat32));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.input, 1, kMaxRank));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.weights, kTfLiteUInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.weights, 2, 2));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.weights, sizeof(uint8_t)));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, operands.bias, 1));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, operands.scale, 2));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, operands.key, 1));
    return CheckType(site, operands.output, kTfLiteFloat32);
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                Args* args, Wanted* wanted) {
    const int entries = operands.key.tensor->dims->data[0];
    const int32_t bits = FloatCodeBits(static_cast<size_t>(entries));
    if (bits == 0) {
      return Fail(site, "tensor codebook must have 256, 16, 4 or 2 entries. Received: %d.",
                  entries);
    }
    if (options.group % 8 != 0) {
      return Fail(site, "option group must be a multiple of 8. Received: %d.",
                  static_cast<int>(options.group));
    }
    const Quantization none = {0, 0, 0, 0, Rounding::kSingle};
    FullyConnectedArgs sizes;
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, LastOf(operands),
                                                   operands.weights.tensor->dims->data[0], none,
                                                   &sizes, wanted));
    *args = {sizes.rows, sizes.depth,   sizes.outputs,
             bits,       options.group, static_cast<Activation>(options.activation)};
    const int64_t outputs = sizes.outputs;
    EDGEAX_RETURN_IF_ERROR(
        CheckMatrix(site, operands.weights, outputs, PackedBytes(sizes.depth, bits)));
    EDGEAX_RETURN_IF_ERROR(CheckVector(site, operands.bias, outputs));
    return CheckMatrix(site, operands.scale, outputs, GroupsOf(*args));
  }
};

size_t AlignmentOf(const FloatFullyConnectedArgs&) { return alignof(float); }

}  // namespace
}  // namespace edgeax
