#pragma once  // adapters/tflite_arguments.h: options and shapes to the arguments of a kernel.

#include "tflite_kernels/adapters/tflite_int16.h"

namespace edgeax {
namespace {

template <typename Options>
Window WindowOf(const Options& o) {
  return {o.kernel_height,
          o.kernel_width,
          o.stride_height,
          o.stride_width,
          o.dilation_height,
          o.dilation_width,
          static_cast<Padding>(o.padding)};
}

Shape4 Shape4Of(const TfLiteIntArray& dims) {
  return {dims.data[0], dims.data[1], dims.data[2], dims.data[3]};
}

int32_t LastOf(const Operands& operands) {
  const TfLiteIntArray& dims = *operands.input.tensor->dims;
  return dims.data[dims.size - 1];
}

TfLiteStatus FailWindow(const Site& site, const Shape4& input) {
  return Fail(site,
              "tensor input of height %d and width %d must hold the dilated kernel "
              "(kernel_height, kernel_width, dilation_height, dilation_width).",
              static_cast<int>(input.height), static_cast<int>(input.width));
}

// As many channels as the storage has rows.
template <typename Options, typename Storage>
TfLiteStatus TranslateConv2D(const Site& site, const Options& options, const Operands& operands,
                             const Shape4& input, const Storage& storage,
                             const Quantization& quantization, Conv2DArgs* args,
                             Conv2DGeometry* geometry) {
  const int32_t channels = storage.RowsOf(operands);
  if (input.channels % options.groups != 0 || channels % options.groups != 0) {
    return Fail(site,
                "option groups must divide the %d channels of tensor input and the %d %s. "
                "Received: %d.",
                static_cast<int>(input.channels), static_cast<int>(channels), Storage::kRowsText,
                static_cast<int>(options.groups));
  }
  *args = {input, channels, options.groups, WindowOf(options), quantization};
  if (GeometryOf(args->window, input.height, input.width, &geometry->window) != Status::kOk) {
    return FailWindow(site, input);
  }
  if (GeometryFor(operands, *args, geometry) == Status::kOk) return kTfLiteOk;
  return Fail(site,
              "a row of tensor %s (kernel_height x kernel_width x channels of a group) "
              "must have at most %d weights.",
              operands.weights.name, static_cast<int>(kMaxRowDepth));
}

Wanted WantedOf(const Conv2DArgs& args, const Conv2DGeometry& geometry, int32_t weight_columns) {
  const int32_t channels = args.output_channels;
  return {channels,
          weight_columns,
          channels,
          4,
          {args.input.batch, geometry.window.height.output, geometry.window.width.output, channels},
          geometry.depth};
}

template <typename Options>
TfLiteStatus TranslateFullyConnected(const Site& site, const Options& options,
                                     const Operands& operands, int32_t depth, int32_t outputs,
                                     const Quantization& quantization, FullyConnectedArgs* args,
                                     Wanted* wanted) {
  const TfLiteIntArray& dims = *operands.input.tensor->dims;
  int32_t rows = 1;
  for (int i = 0; i + 1 < dims.size; ++i) rows *= dims.data[i];  // CheckShape: no overflow
  *args = {rows, depth, outputs, quantization};
  const Status status = IsInt16(operands.input)
                            ? CheckFullyConnected(Int16Args<FullyConnectedArgs>{*args})
                            : CheckFullyConnected(*args);
  if (status != Status::kOk) {
    return Fail(site, "the last dimension of tensor input must be at most %d. Received: %d.",
                static_cast<int>(kMaxRowDepth), static_cast<int>(depth));
  }
  *wanted = {outputs, depth, outputs, 2, {rows, outputs}, depth};
  if (options.keep_num_dims != 0) {
    wanted->output_rank = dims.size;
    for (int i = 0; i + 1 < dims.size; ++i) wanted->output_shape[i] = dims.data[i];
    wanted->output_shape[dims.size - 1] = outputs;
  }
  return kTfLiteOk;
}

// Which of input and output hold bits.
template <typename Options>
BinaryForm FormOf(const Options&) {
  return {0, 0};
}
BinaryForm FormOf(const BinaryConv2DOptions& options) {
  return {options.input_packed, options.output_packed};
}
BinaryForm FormOf(const BinaryFullyConnectedOptions& options) {
  return {options.input_packed, options.output_packed};
}

BinaryForm FormOf(const BinaryMaxPool2DOptions&) { return {1, 1}; }

// Whether the last dimension of the input holds option input_channels.
template <typename Options>
TfLiteStatus CheckBinaryInput(const Site& site, const Options& options, const Operands& operands) {
  const int32_t is_packed = FormOf(options).input_packed;
  const int32_t wanted = BinaryBytes(is_packed, options.input_channels);
  if (LastOf(operands) == wanted) return kTfLiteOk;
  return Fail(site,
              "the last dimension of tensor input must be %d for the options input_packed %d and "
              "input_channels %d. Received: %d.",
              static_cast<int>(wanted), static_cast<int>(is_packed),
              static_cast<int>(options.input_channels), static_cast<int>(LastOf(operands)));
}

// The output codes of an operator that has a fused activation.
struct Clamp {
  int32_t low, high;
};
template <typename Options>
Clamp ClampOf(const Options& options) {
  return {options.output_min, options.output_max};
}
Clamp ClampOf(const BinaryMaxPool2DOptions&) { return {-128, 127}; }

template <typename Options>
SparseFormat FormatOf(const Options& options) {
  return {options.block, static_cast<Places>(options.places)};
}

}  // namespace
}  // namespace edgeax
