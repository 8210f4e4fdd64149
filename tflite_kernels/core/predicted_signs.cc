#include "tflite_kernels/core/predicted_signs.h"

namespace edgeax {
namespace {

bool IsIn(int32_t value, int32_t low, int32_t high) { return value >= low && value <= high; }

// The sum of a weight, of tap (ky, kx) and the channels `input` and `output`, over the positions.
// product(code, gradient) is that of the bits that count.
template <typename Product>
int64_t SumOf(const Conv2DGradientArgs& layer, const SignTensors& tensors, int32_t ky, int32_t kx,
              int32_t input, int32_t output, const Product& product) {
  const Axis &height = layer.window.height, &width = layer.window.width;
  const Shape4& shape = layer.input;
  const int16_t* gradient = tensors.gradients.data + output;
  int64_t sum = 0;
  for (int32_t n = 0; n < shape.batch; ++n) {
    for (int32_t y = 0; y < height.output; ++y) {
      const int32_t row = AxisInput(height, y, ky);
      for (int32_t x = 0; x < width.output; ++x, gradient += layer.output_channels) {
        const int32_t column = AxisInput(width, x, kx);
        if (!AxisHas(height, row) || !AxisHas(width, column)) continue;
        const size_t pixel = (size_t(n) * shape.height + row) * shape.width + column;
        sum += product(tensors.values.data[pixel * shape.channels + input], *gradient);
      }
    }
  }
  return sum;
}

// Calls visit(weight, ky, kx, input, output) for all weights in their order.
template <typename Visit>
void ForEachWeight(const Conv2DGradientArgs& layer, const Visit& visit) {
  const int32_t inputs = layer.input.channels / layer.groups;
  const int32_t outputs = layer.output_channels / layer.groups;
  size_t weight = 0;
  for (int32_t ky = 0; ky < layer.window.height.kernel; ++ky) {
    for (int32_t kx = 0; kx < layer.window.width.kernel; ++kx) {
      for (int32_t i = 0; i < inputs; ++i) {
        for (int32_t o = 0; o < layer.output_channels; ++o) {
          visit(weight++, ky, kx, o / outputs * inputs + i, o);
        }
      }
    }
  }
}

}  // namespace

Status CheckPredictedSigns(const PredictedSignsArgs& args, GradientSizes* sizes) {
  const SignPrediction& p = args.prediction;
  const bool are_good = IsIn(p.bits, 2, 8) && IsIn(p.predicted_bits, 0, p.bits) &&
                        IsIn(p.gradient_bits, 2, 16) &&
                        IsIn(p.predicted_gradient_bits, 1, p.gradient_bits) &&
                        IsIn(p.carries, 0, 1) && p.beta >= 0.0f && p.beta <= 1.0f;
  return are_good ? CheckBackpropFilter(args.layer, sizes) : Status::kBadArgument;
}

Status PredictedSigns(const PredictedSignsArgs& args, const SignTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckPredictedSigns(args, &sizes);
  if (status == Status::kOk) status = CheckSignTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  const SignPrediction& p = args.prediction;
  const auto predict = [&p](int32_t code, int32_t gradient) {
    return MostSignificant(code, p.bits, p.predicted_bits, p.carries != 0) *
           MostSignificant(gradient, p.gradient_bits, p.predicted_gradient_bits, true);
  };
  const auto multiply = [&p](int32_t code, int32_t gradient) {
    return MostSignificant(code, p.bits, p.bits, false) *
           MostSignificant(gradient, p.gradient_bits, p.gradient_bits, false);
  };
  int64_t largest = 0;
  const bool predicts = p.predicted_bits > 0;
  if (predicts) {
    ForEachWeight(args.layer, [&](size_t, int32_t ky, int32_t kx, int32_t i, int32_t o) {
      const int64_t size = MagnitudeOf(SumOf(args.layer, tensors, ky, kx, i, o, predict));
      if (size > largest) largest = size;
    });
  }
  const int64_t least = LeastPrediction(p.beta, largest);
  ForEachWeight(args.layer, [&](size_t weight, int32_t ky, int32_t kx, int32_t i, int32_t o) {
    int64_t sum = predicts ? SumOf(args.layer, tensors, ky, kx, i, o, predict) : 0;
    if (!predicts || MagnitudeOf(sum) < least) {
      sum = SumOf(args.layer, tensors, ky, kx, i, o, multiply);
    }
    tensors.output.data[weight] = SignOf(sum);
  });
  return Status::kOk;
}

}  // namespace edgeax
