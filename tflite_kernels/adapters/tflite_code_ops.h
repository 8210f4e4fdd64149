#pragma once  // adapters/tflite_code_ops.h: operators with codes, without zeros, or both in one
              // buffer.

#include "tflite_kernels/adapters/tflite_arguments.h"
#include "tflite_kernels/adapters/tflite_coded.h"

namespace edgeax {
namespace {

struct Conv2DOp {
  using Storage = CodebookStorage;
  using Args = EitherArgs<Conv2DArgs>;
  using Options = Conv2DOptions;
  static constexpr Rounding kInt16Rounding = Rounding::kDouble;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[0];
  static_assert(kSpec.name == kConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static EitherKernel<Conv2DArgs, CodeTensors> KernelIn(const Kernels& set) {
    return {set.conv2d, set.int16_conv2d};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->is_int16 = IsInt16(operands.input);
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->args, &geometry));
    *wanted = WantedOf(args->args, geometry, PackedBytes(geometry.depth, storage.bits));
    return kTfLiteOk;
  }
};

struct DepthwiseConv2DOp {
  using Storage = CodebookStorage;
  using Args = EitherArgs<DepthwiseConv2DArgs>;
  using Options = DepthwiseConv2DOptions;
  static constexpr Rounding kInt16Rounding = Rounding::kDouble;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[1];
  static_assert(kSpec.name == kDepthwiseConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static EitherKernel<DepthwiseConv2DArgs, CodeTensors> KernelIn(const Kernels& set) {
    return {set.depthwise_conv2d, set.int16_depthwise_conv2d};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    const Shape4 input = Shape4Of(*operands.input.tensor->dims);
    *args = {IsInt16(operands.input),
             {input, options.depth_multiplier, WindowOf(options), quantization}};
    DepthwiseConv2DGeometry geometry;
    if (GeometryOf(args->args.window, input.height, input.width, &geometry.window) != Status::kOk) {
      return FailWindow(site, input);
    }
    if (GeometryFor(operands, args->args, &geometry) != Status::kOk) {
      return Fail(site,
                  "options kernel_height x kernel_width must give at most %d positions, and "
                  "depth_multiplier x %d channels of tensor input at most %lld channels.",
                  static_cast<int>(kMaxRowDepth), static_cast<int>(input.channels),
                  static_cast<long long>(kMaxElements));
    }
    *wanted = {geometry.taps,
               PackedBytes(geometry.output_channels, storage.bits),
               geometry.output_channels,
               4,
               {input.batch, geometry.window.height.output, geometry.window.width.output,
                geometry.output_channels},
               geometry.taps};
    return kTfLiteOk;
  }
};

struct FullyConnectedOp {
  using Storage = CodebookStorage;
  using Args = EitherArgs<FullyConnectedArgs>;
  using Options = FullyConnectedOptions;
  static constexpr Rounding kInt16Rounding = Rounding::kSingle;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[2];
  static_assert(kSpec.name == kFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static EitherKernel<FullyConnectedArgs, CodeTensors> KernelIn(const Kernels& set) {
    return {set.fully_connected, set.int16_fully_connected};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->is_int16 = IsInt16(operands.input);
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, LastOf(operands),
                                                   storage.RowsOf(operands), quantization,
                                                   &args->args, wanted));
    wanted->weight_columns = PackedBytes(args->args.depth, storage.bits);
    return kTfLiteOk;
  }
};

struct SparseConv2DOp {
  using Storage = SparseStorage;
  using Args = EitherArgs<SparseConv2DArgs>;
  using Options = SparseConv2DOptions;
  static constexpr Rounding kInt16Rounding = Rounding::kDouble;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[3];
  static_assert(kSpec.name == kSparseConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static EitherKernel<SparseConv2DArgs, SparseCodeTensors> KernelIn(const Kernels& set) {
    return {set.sparse_conv2d, set.int16_sparse_conv2d};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->is_int16 = IsInt16(operands.input);
    args->args.format = FormatOf(options);
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->args.conv2d, &geometry));
    *wanted = WantedOf(args->args.conv2d, geometry, geometry.depth);
    return kTfLiteOk;
  }
};

struct SparseFullyConnectedOp {
  using Storage = SparseStorage;
  using Args = EitherArgs<SparseFullyConnectedArgs>;
  using Options = SparseFullyConnectedOptions;
  static constexpr Rounding kInt16Rounding = Rounding::kSingle;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[4];
  static_assert(kSpec.name == kSparseFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static EitherKernel<SparseFullyConnectedArgs, SparseCodeTensors> KernelIn(const Kernels& set) {
    return {set.sparse_fully_connected, set.int16_sparse_fully_connected};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->is_int16 = IsInt16(operands.input);
    args->args.format = FormatOf(options);
    return TranslateFullyConnected(site, options, operands, LastOf(operands),
                                   storage.RowsOf(operands), quantization,
                                   &args->args.fully_connected, wanted);
  }
};

struct CodedConv2DOp {
  using Storage = CodedStorage;
  using Args = CodedArgs<SparseConv2DArgs>;
  using Options = CodedConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[5];
  static_assert(kSpec.name == kCodedConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static CodedKernel<Conv2DArgs, SparseConv2DArgs> KernelIn(const Kernels& set) {
    return {set.conv2d, set.sparse_conv2d};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->layout = storage.rows.layout;
    args->sparse.format = storage.rows.format;
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->sparse.conv2d, &geometry));
    *wanted = WantedOf(args->sparse.conv2d, geometry, geometry.depth);
    return kTfLiteOk;
  }
};

struct CodedFullyConnectedOp {
  using Storage = CodedStorage;
  using Args = CodedArgs<SparseFullyConnectedArgs>;
  using Options = CodedFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[6];
  static_assert(kSpec.name == kCodedFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static CodedKernel<FullyConnectedArgs, SparseFullyConnectedArgs> KernelIn(const Kernels& set) {
    return {set.fully_connected, set.sparse_fully_connected};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->layout = storage.rows.layout;
    args->sparse.format = storage.rows.format;
    return TranslateFullyConnected(site, options, operands, LastOf(operands),
                                   storage.RowsOf(operands), quantization,
                                   &args->sparse.fully_connected, wanted);
  }
};

}  // namespace
}  // namespace edgeax
