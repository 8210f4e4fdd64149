#pragma once  // adapters/tflite_vector_ops.h: operators with weights of codewords.

#include "tflite_kernels/adapters/tflite_arguments.h"
#include "tflite_kernels/adapters/tflite_storage.h"

namespace edgeax {
namespace {

struct VectorConv2DOp {
  using Storage = VectorStorage;
  using Args = VectorConv2DArgs;
  using Options = VectorConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[13];
  static_assert(kSpec.name == kVectorConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static const Kernel<Args, VectorTensors>& KernelIn(const Kernels& set) {
    return set.vector_conv2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->format = storage.format;
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->conv2d, &geometry));
    *wanted = WantedOf(args->conv2d, geometry, geometry.depth);
    return kTfLiteOk;
  }
};

struct VectorFullyConnectedOp {
  using Storage = VectorStorage;
  using Args = VectorFullyConnectedArgs;
  using Options = VectorFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[14];
  static_assert(kSpec.name == kVectorFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static const Kernel<Args, VectorTensors>& KernelIn(const Kernels& set) {
    return set.vector_fully_connected;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->format = storage.format;
    return TranslateFullyConnected(site, options, operands, LastOf(operands),
                                   storage.RowsOf(operands), quantization, &args->fully_connected,
                                   wanted);
  }
};

}  // namespace
}  // namespace edgeax
