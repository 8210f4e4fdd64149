#pragma once  // adapters/tflite_grouped_ops.h: operators with codes in groups.

#include "tflite_kernels/adapters/tflite_arguments.h"
#include "tflite_kernels/adapters/tflite_storage.h"

namespace edgeax {
namespace {

// Rows of codes with the numbers of their codebooks, and these.
struct GroupedStorage : RowStorage {
  int32_t bits;  // of a code

  TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckRows(site, operands));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.key, kTfLiteInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.key, 2, 2));
    const int count = operands.key.tensor->dims->data[0];
    const int entries = operands.key.tensor->dims->data[1];
    bits = CodeBits(static_cast<size_t>(entries));
    if (bits != 4 && bits != 2) {
      return Fail(site, "tensor codebook must have rows of 16 or 4 entries. Received: %d.",
                  entries);
    }
    if (count > kMaxCodebooks || (count & (count - 1)) != 0) {
      return Fail(site,
                  "tensor codebook must have 1, 2, 4 or another power of two of rows, up to %d. "
                  "Received: %d.",
                  static_cast<int>(kMaxCodebooks), count);
    }
    return CheckConstant(site, operands.key, sizeof(int8_t));
  }

  static Tensors TensorsOf(const Constants& constants, const CommonTensors& common) {
    return {common.input,          constants.weights,      common.bias,
            common.requantization, CodesOf(constants.key), {},
            common.output};
  }
};

struct GroupedConv2DOp {
  using Storage = GroupedStorage;
  using Args = GroupedConv2DArgs;
  using Options = GroupedConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[15];
  static_assert(kSpec.name == kGroupedConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static const Kernel<Args>& KernelIn(const Kernels& set) {
    return set.grouped_conv2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->format = {storage.bits, options.group_bits};
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->conv2d, &geometry));
    *wanted = WantedOf(args->conv2d, geometry, GroupedRowBytes(args->format, geometry.depth));
    return kTfLiteOk;
  }
};

struct GroupedFullyConnectedOp {
  using Storage = GroupedStorage;
  using Args = GroupedFullyConnectedArgs;
  using Options = GroupedFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[16];
  static_assert(kSpec.name == kGroupedFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static const Kernel<Args>& KernelIn(const Kernels& set) {
    return set.grouped_fully_connected;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->format = {storage.bits, options.group_bits};
    FullyConnectedArgs* sizes = &args->fully_connected;
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, LastOf(operands),
                                                   storage.RowsOf(operands), quantization, sizes,
                                                   wanted));
    wanted->weight_columns = GroupedRowBytes(args->format, sizes->depth);
    return kTfLiteOk;
  }
};

}  // namespace
}  // namespace edgeax
