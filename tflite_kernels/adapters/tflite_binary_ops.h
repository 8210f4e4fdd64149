#pragma once  // adapters/tflite_binary_ops.h: operators on bits.

#include "tflite_kernels/adapters/tflite_arguments.h"
#include "tflite_kernels/adapters/tflite_storage.h"

namespace edgeax {
namespace {

struct BinaryConv2DOp {
  using Storage = BinaryStorage;
  using Args = BinaryConv2DArgs;
  using Options = BinaryConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[7];
  static_assert(kSpec.name == kBinaryConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static const Kernel<Args, BinaryTensors>& KernelIn(const Kernels& set) {
    return set.binary_conv2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckBinaryInput(site, options, operands));
    args->form = FormOf(options);
    args->pad_value = options.pad_value;
    Shape4 input = Shape4Of(*operands.input.tensor->dims);
    input.channels = options.input_channels;
    BinaryConv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands, input, storage, quantization,
                                           &args->conv2d, &geometry.conv2d));
    if (GeometryOf(*args, &geometry) != Status::kOk) {
      return Fail(site, "the options do not fit the tensors.");
    }
    *wanted = WantedOf(args->conv2d, geometry.conv2d, geometry.row_bytes);
    wanted->output_shape[3] = BinaryBytes(options.output_packed, args->conv2d.output_channels);
    return kTfLiteOk;
  }
};

struct BinaryFullyConnectedOp {
  using Storage = BinaryStorage;
  using Args = BinaryFullyConnectedArgs;
  using Options = BinaryFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[8];
  static_assert(kSpec.name == kBinaryFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static const Kernel<Args, BinaryTensors>& KernelIn(const Kernels& set) {
    return set.binary_fully_connected;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckBinaryInput(site, options, operands));
    args->form = FormOf(options);
    const int32_t outputs = storage.RowsOf(operands);
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, options.input_channels,
                                                   outputs, quantization, &args->fully_connected,
                                                   wanted));
    wanted->weight_columns = PackedBytes(options.input_channels, 1);
    wanted->output_shape[wanted->output_rank - 1] = BinaryBytes(options.output_packed, outputs);
    return kTfLiteOk;
  }
};

struct BinaryMaxPool2DOp {
  using Storage = NoStorage;
  using Args = BinaryMaxPool2DArgs;
  using Options = BinaryMaxPool2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[9];
  static_assert(kSpec.name == kBinaryMaxPool2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static const Kernel<Args, BinaryPoolTensors>& KernelIn(const Kernels& set) {
    return set.binary_max_pool2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& o, const Operands& operands,
                                const Storage&, const Quantization&, Args* args, Wanted* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckBinaryInput(site, o, operands));
    Shape4 input = Shape4Of(*operands.input.tensor->dims);
    const int32_t bytes = input.channels;
    input.channels = o.input_channels;
    *args = {input,
             {o.kernel_height, o.kernel_width, o.stride_height, o.stride_width, 1, 1,
              static_cast<Padding>(o.padding)}};
    WindowGeometry window;
    if (GeometryOf(*args, &window) != Status::kOk) {
      return Fail(site,
                  "tensor input of height %d and width %d must hold the window (kernel_height, "
                  "kernel_width) and at most %lld numbers.",
                  static_cast<int>(input.height), static_cast<int>(input.width),
                  static_cast<long long>(kMaxElements));
    }
    wanted->output_rank = 4;
    const int64_t shape[] = {input.batch, window.height.output, window.width.output, bytes};
    for (int i = 0; i < 4; ++i) wanted->output_shape[i] = shape[i];
    wanted->depth = int64_t{o.kernel_height} * o.kernel_width;
    return kTfLiteOk;
  }
};

}  // namespace
}  // namespace edgeax
