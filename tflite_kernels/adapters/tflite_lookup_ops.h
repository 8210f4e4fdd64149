#pragma once  // adapters/tflite_lookup_ops.h: operators on inputs that are put on points.

#include "tflite_kernels/adapters/tflite_grouped_ops.h"

namespace edgeax {
namespace {

// Rows of codes with the number of their codebook, these, and the points of the input.
struct LookupStorage : GroupedStorage {
  TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(GroupedStorage::CheckOperands(site, operands));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.steps, kTfLiteInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.steps, 1, 1));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.steps, sizeof(int8_t)));
    return CheckVector(site, operands.steps, kLookupPoints);
  }

  static LookupTensors TensorsOf(const Constants& constants, const CommonTensors& common) {
    return {common.input,           constants.weights,        common.bias, common.requantization,
            CodesOf(constants.key), CodesOf(constants.steps), {},          common.output};
  }
};

struct LookupConv2DOp {
  using Storage = LookupStorage;
  using Args = LookupConv2DArgs;
  using Options = LookupConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[17];
  static_assert(kSpec.name == kLookupConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static const Kernel<Args, LookupTensors>& KernelIn(const Kernels& set) {
    return set.lookup_conv2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->bits = storage.bits;
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->conv2d, &geometry));
    *wanted = WantedOf(args->conv2d, geometry, LookupRowBytes(args->bits, geometry.depth));
    return kTfLiteOk;
  }
};

struct LookupFullyConnectedOp {
  using Storage = LookupStorage;
  using Args = LookupFullyConnectedArgs;
  using Options = LookupFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[18];
  static_assert(kSpec.name == kLookupFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static const Kernel<Args, LookupTensors>& KernelIn(const Kernels& set) {
    return set.lookup_fully_connected;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->bits = storage.bits;
    FullyConnectedArgs* sizes = &args->fully_connected;
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, LastOf(operands),
                                                   storage.RowsOf(operands), quantization, sizes,
                                                   wanted));
    wanted->weight_columns = LookupRowBytes(args->bits, sizes->depth);
    return kTfLiteOk;
  }
};

}  // namespace
}  // namespace edgeax
