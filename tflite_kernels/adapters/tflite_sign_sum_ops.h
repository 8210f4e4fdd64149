#pragma once  // adapters/tflite_sign_sum_ops.h: operators on sums of signs.

#include "tflite_kernels/adapters/tflite_arguments.h"
#include "tflite_kernels/adapters/tflite_storage.h"

namespace edgeax {
namespace {

// Rows of bits for each base, the gains of all, and the thresholds of the inputs' signs.
struct SignSumStorage : ChannelTensors {
  static constexpr char kRowsText[] = "numbers of tensor bias";

  NodeBuffer<int32_t> gains, thresholds;

  static TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckChannels(site, operands));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.weights, kTfLiteUInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.weights, 2, 2));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.weights, sizeof(uint8_t)));
    EDGEAX_RETURN_IF_ERROR(CheckNumbers(site, operands.key));
    return CheckNumbers(site, operands.steps);
  }

  static int32_t RowsOf(const Operands& operands) { return operands.bias.tensor->dims->data[0]; }

  // Of a plane.
  static int32_t ThresholdsOf(const Operands& operands) {
    return operands.steps.tensor->dims->data[1];
  }

  template <typename Options>
  TfLiteStatus Prepare(const Site& site, const Operands& operands, const Options& options,
                       const Wanted& wanted) {
    const int32_t parts = options.planes * options.bases;
    EDGEAX_RETURN_IF_ERROR(CheckMatrix(site, operands.weights, options.bases * wanted.channels,
                                       wanted.weight_columns));
    EDGEAX_RETURN_IF_ERROR(CheckMatrix(site, operands.key, parts, wanted.channels));
    EDGEAX_RETURN_IF_ERROR(
        CheckMatrix(site, operands.steps, options.planes, ThresholdsOf(operands)));
    EDGEAX_RETURN_IF_ERROR(Copy(site, operands.key, &gains));
    EDGEAX_RETURN_IF_ERROR(Copy(site, operands.steps, &thresholds));
    return CheckGains(site, parts, wanted);
  }

  static TfLiteStatus CopyChannels(const Site& site, const Operands& operands, Span<int32_t> bias,
                                   Span<float> scale) {
    return BinaryStorage::CopyChannels(site, operands, bias, scale);
  }

  SignSumTensors TensorsOf(const Constants& constants, const CommonTensors& common) const {
    return {common.input,
            constants.weights,
            common.bias,
            common.requantization,
            {gains.data(), gains.size()},
            {thresholds.data(), thresholds.size()},
            {},
            common.output};
  }

 private:
  static TfLiteStatus CheckNumbers(const Site& site, const Operand& operand) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteInt32));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operand, 2, 2));
    return CheckConstant(site, operand, sizeof(int32_t));
  }

  static TfLiteStatus Copy(const Site& site, const Operand& from, NodeBuffer<int32_t>* to) {
    const size_t count = from.tensor->bytes / sizeof(int32_t);
    if (!to->Allocate(site.context, count)) {
      return Fail(site, "there is no memory for the %llu numbers of tensor %s.",
                  static_cast<unsigned long long>(count), from.name);
    }
    memcpy(to->data(), DataOf(*from.tensor), count * sizeof(int32_t));
    return kTfLiteOk;
  }

  TfLiteStatus CheckGains(const Site& site, int32_t parts, const Wanted& wanted) const {
    const Span<const int32_t> all = {gains.data(), gains.size()};
    const Status status = CheckSignGains(all, static_cast<int32_t>(wanted.channels), parts,
                                         static_cast<int32_t>(wanted.depth));
    if (status == Status::kOk) return kTfLiteOk;
    return Fail(site,
                "the magnitudes of each column of tensor gains must add up to %lld at most, for "
                "rows of %lld weights.",
                static_cast<long long>(kMaxSignSum / wanted.depth),
                static_cast<long long>(wanted.depth));
  }
};

// Thresholds beyond what a code can tell apart are no use.
TfLiteStatus FailThresholds(const Site& site, const Operands& operands) {
  return Fail(site, "tensor thresholds must have at most %d in a row. Received: %d.",
              static_cast<int>(kMostThresholds),
              static_cast<int>(SignSumStorage::ThresholdsOf(operands)));
}

struct SignSumConv2DOp {
  using Storage = SignSumStorage;
  using Args = SignSumArgs;
  using Options = SignSumConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[11];
  static_assert(kSpec.name == kSignSumConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  template <typename Kernels>
  static const Kernel<Args, SignSumTensors>& KernelIn(const Kernels& set) {
    return set.sign_sum;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    BinaryConv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->conv2d, &geometry.conv2d));
    args->planes = options.planes;
    args->bases = options.bases;
    args->thresholds = Storage::ThresholdsOf(operands);
    args->pad_value = options.pad_value;
    if (GeometryOf(*args, &geometry) != Status::kOk) return FailThresholds(site, operands);
    *wanted = WantedOf(args->conv2d, geometry.conv2d, geometry.row_bytes);
    return kTfLiteOk;
  }
};

// A 1x1 convolution of images of one pixel.
struct SignSumFullyConnectedOp {
  using Storage = SignSumStorage;
  using Args = SignSumArgs;
  using Options = SignSumFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[12];
  static_assert(kSpec.name == kSignSumFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  template <typename Kernels>
  static const Kernel<Args, SignSumTensors>& KernelIn(const Kernels& set) {
    return set.sign_sum;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    FullyConnectedArgs product;
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, LastOf(operands),
                                                   storage.RowsOf(operands), quantization, &product,
                                                   wanted));
    *args =
        SignSumProductArgs(product, options.planes, options.bases, Storage::ThresholdsOf(operands));
    BinaryConv2DGeometry geometry;
    if (GeometryOf(*args, &geometry) != Status::kOk) return FailThresholds(site, operands);
    wanted->weight_columns = geometry.row_bytes;
    return kTfLiteOk;
  }
};

}  // namespace
}  // namespace edgeax
