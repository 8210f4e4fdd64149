#pragma once  // arch/pool_gradients.h: gradients of pooling layers and of activations.

#include "tflite_kernels/arch/float_matmul.h"
#include "tflite_kernels/core/gradients.h"

// An instruction set gives, beside what float_matmul.h asks for, Store(lanes, to).

namespace edgeax {
namespace {

// What falls to a share: images, or channels where there are few.
struct PoolShare {
  Range images, channels;
};

static inline PoolShare ShareOf(const Shape4& input, Share share) {
  const Share all = {0, 1};
  const bool by_images = input.batch >= share.count;
  return {RangeOf(input.batch, 1, by_images ? share : all),
          RangeOf(input.channels, kFloatLanes, by_images ? all : share)};
}

// Calls visit(n, position, rows, columns) for the windows of a share, in order, when the output of
// the share is zeros.
template <typename Visit>
void ForEachWindowOf(const PoolGradientArgs& args, const PoolShare& share, Span<float> output,
                     const Visit& visit) {
  const Axis &height = args.window.height, &width = args.window.width;
  const size_t pixels = size_t(args.input.height) * args.input.width;
  const size_t channels = static_cast<size_t>(args.input.channels);
  for (int32_t n = share.images.begin; n < share.images.end; ++n) {
    float* image = output.data + n * pixels * channels;
    for (size_t i = 0; i < pixels; ++i) {
      for (int32_t c = share.channels.begin; c < share.channels.end; ++c)
        image[i * channels + c] = 0;
    }
    size_t position = size_t(n) * height.output * width.output;
    for (int32_t y = 0; y < height.output; ++y) {
      for (int32_t x = 0; x < width.output; ++x) {
        visit(n, position++, WindowRange(height, y), WindowRange(width, x));
      }
    }
  }
}

static inline size_t PoolPixel(const Shape4& input, int32_t n, int32_t y, int32_t x) {
  return ((size_t(n) * input.height + y) * input.width + x) * input.channels;
}

// Channels of one window at a time; compilers make vectors of the loops.
constexpr int32_t kPoolChannels = 64;

static inline void SpreadMaximum(const PoolGradientArgs& args, const GradientTensors& tensors,
                                 int32_t n, size_t position, Range rows, Range columns,
                                 int32_t channel, int32_t count) {
  float highest[kPoolChannels];
  int32_t places[kPoolChannels];
  const float* values = tensors.values.data + channel;
  const float* first = values + PoolPixel(args.input, n, rows.begin, columns.begin);
  for (int32_t c = 0; c < count; ++c) {
    highest[c] = first[c];
    places[c] = 0;
  }
  int32_t place = 0;
  for (int32_t y = rows.begin; y < rows.end; ++y) {
    for (int32_t x = columns.begin; x < columns.end; ++x, ++place) {
      const float* pixel = values + PoolPixel(args.input, n, y, x);
      for (int32_t c = 0; c < count; ++c) {
        const bool is_higher = pixel[c] > highest[c];
        highest[c] = is_higher ? pixel[c] : highest[c];
        places[c] = is_higher ? place : places[c];
      }
    }
  }
  const float* gradients = tensors.gradients.data + position * args.input.channels + channel;
  place = 0;
  for (int32_t y = rows.begin; y < rows.end; ++y) {
    for (int32_t x = columns.begin; x < columns.end; ++x, ++place) {
      float* output = tensors.output.data + PoolPixel(args.input, n, y, x) + channel;
      for (int32_t c = 0; c < count; ++c) {
        const float sum = output[c] + gradients[c];
        output[c] = places[c] == place ? sum : output[c];
      }
    }
  }
}

template <typename Simd>
Status MaxPoolGradOn(const PoolGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckMaxPoolGrad(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  const PoolShare share = ShareOf(args.input, tensors.share);
  ForEachWindowOf(
      args, share, tensors.output, [&](int32_t n, size_t position, Range rows, Range columns) {
        for (int32_t c = share.channels.begin; c < share.channels.end; c += kPoolChannels) {
          const int32_t left = share.channels.end - c;
          SpreadMaximum(args, tensors, n, position, rows, columns, c,
                        left < kPoolChannels ? left : kPoolChannels);
        }
      });
  return Status::kOk;
}

template <typename Simd>
void AddTimes(const float* from, float factor, int32_t count, float* to) {
  const auto several = Simd::Broadcast(factor);
  int32_t c = 0;
  for (; c + kFloatLanes <= count; c += kFloatLanes) {
    Simd::Store(Simd::MultiplyAdd(Simd::Load(from + c), several, Simd::Load(to + c)), to + c);
  }
  if (c == count) return;
  float numbers[2][kFloatLanes] = {};
  for (int32_t i = c; i < count; ++i) {
    numbers[0][i - c] = from[i];
    numbers[1][i - c] = to[i];
  }
  Simd::Store(Simd::MultiplyAdd(Simd::Load(numbers[0]), several, Simd::Load(numbers[1])),
              numbers[1]);
  for (int32_t i = c; i < count; ++i) to[i] = numbers[1][i - c];
}

template <typename Simd>
Status AvgPoolGradOn(const PoolGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckAvgPoolGrad(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  const PoolShare share = ShareOf(args.input, tensors.share);
  const int32_t first = share.channels.begin, count = share.channels.end - first;
  ForEachWindowOf(
      args, share, tensors.output, [&](int32_t n, size_t position, Range rows, Range columns) {
        const int32_t numbers = (rows.end - rows.begin) * (columns.end - columns.begin);
        const float part = 1.0f / static_cast<float>(numbers);
        const float* from = tensors.gradients.data + position * args.input.channels + first;
        for (int32_t y = rows.begin; y < rows.end; ++y) {
          for (int32_t x = columns.begin; x < columns.end; ++x) {
            float* to = tensors.output.data + PoolPixel(args.input, n, y, x) + first;
            AddTimes<Simd>(from, part, count, to);
          }
        }
      });
  return Status::kOk;
}

template <ActivationKind kKind>
void ActivationGradients(const ActivationGradientArgs& args, const GradientTensors& tensors) {
  const Range range = RangeOf(args.count, kFloatLanes, tensors.share);
  const float* __restrict__ gradients = tensors.gradients.data;
  const float* __restrict__ values = tensors.values.data;
  float* __restrict__ output = tensors.output.data;
  const float alpha = args.alpha;
  for (int32_t i = range.begin; i < range.end; ++i) {
    output[i] = ActivationGradientOf<kKind>(gradients[i], values[i], alpha);
  }
}

template <typename Simd>
Status ActivationGradOn(const ActivationGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckActivationGrad(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  WithKind(args.kind,
           [&](auto kind) { ActivationGradients<decltype(kind)::kKind>(args, tensors); });
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
