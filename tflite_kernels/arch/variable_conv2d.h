#pragma once  // arch/variable_conv2d.h: convolutions whose kernel changes from call to call.

#include "tflite_kernels/arch/backprop_columns.h"
#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/variable_conv2d.h"

// An instruction set gives, beside what backprop_input.h asks for, Clamp(lanes, limits).

namespace edgeax {
namespace {

// How a share is computed, and where its parts lie in scratch. Rows of the image are copied, with
// zeros around them, into strips, which some rows of the output have in common; where windows are
// pixels, these are read where they lie.
struct VariablePlan {
  bool is_depthwise, is_direct, is_regular;
  int32_t inputs, outputs;  // channels of a group
  int32_t panel;            // output channels that are computed before any others
  int32_t panels;           // of a group, or of a depthwise kernel
  int32_t pixel;            // numbers from a pixel to the next one
  int32_t width;            // pixels of a strip
  int32_t strips;
  size_t weights, images, tags, rows;  // bytes before each
  size_t total_bytes;
};

// Windows that reach farther than that are left to core/.
constexpr int64_t kMostVariableNumbers = 1 << 22;

template <typename Simd>
Status PlanVariable(const VariableConv2DArgs& args, VariablePlan* plan) {
  VariableConv2DSizes sizes;
  const Status status = CheckVariableConv2D(args, &sizes);
  if (status != Status::kOk) return status;
  const Conv2DGradientArgs& layer = args.layer;
  const Axis &height = layer.window.height, &width = layer.window.width;
  *plan = {};
  plan->inputs = layer.input.channels / layer.groups;
  plan->outputs = layer.output_channels / layer.groups;
  plan->is_depthwise = plan->inputs == 1 && layer.groups > 1;
  plan->is_direct = !plan->is_depthwise && IsPointwise(layer.window);
  plan->panel = plan->is_depthwise ? kFloatLanes : Simd::kGradientLanes * kFloatLanes;
  plan->panels =
      ((plan->is_depthwise ? layer.output_channels : plan->outputs) - 1) / plan->panel + 1;
  plan->pixel = plan->is_depthwise ? kFloatLanes
                : plan->is_direct  ? layer.input.channels
                                   : plan->inputs;
  const int64_t reach = int64_t{width.kernel - 1} * width.dilation + 1;
  const int64_t pixels =
      plan->is_direct ? 1 : (int64_t{width.output} - 1 + Simd::kInputPixels) * width.stride + reach;
  const int64_t rows = int64_t{height.kernel - 1} * height.dilation + 1;
  const int64_t strips = plan->is_direct ? 0 : rows < height.input ? rows : height.input;
  const int64_t numbers = CheckedProduct(strips + 1, pixels, plan->pixel);
  const int64_t taps = CheckedProduct(height.kernel, width.kernel);
  const int64_t weights = CheckedProduct(taps, plan->inputs, plan->panel);
  plan->is_regular = numbers > 0 && numbers <= kMostVariableNumbers && weights > 0 &&
                     weights <= kMostVariableNumbers;
  if (!plan->is_regular) return Status::kOk;
  plan->width = static_cast<int32_t>(pixels);
  plan->strips = static_cast<int32_t>(strips);
  plan->images = AlignedBytes(size_t(weights) * sizeof(float));
  plan->tags = plan->images + AlignedBytes(size_t(numbers) * sizeof(float));
  plan->rows = plan->tags + AlignedBytes(size_t(strips) * sizeof(int32_t));
  plan->total_bytes =
      plan->rows + AlignedBytes(size_t(height.kernel) * sizeof(float*)) + kScratchAlignment;
  return Status::kOk;
}

template <typename Simd>
class VariableConvolution {
 public:
  VariableConvolution(const VariableConv2DArgs& args, const VariablePlan& plan,
                      const VariableConv2DTensors& tensors)
      : layer_(args.layer), plan_(plan), tensors_(tensors), limits_(LimitsOf(args.activation)) {
    uint8_t* start = AlignedStart(tensors.scratch.data);
    weights_ = reinterpret_cast<float*>(start + plan.weights);
    strips_ = reinterpret_cast<float*>(start + plan.images);
    tags_ = reinterpret_cast<int32_t*>(start + plan.tags);
    rows_ = reinterpret_cast<const float**>(start + plan.rows);
  }

  // Rows of the output, through groups, panels and batch, are shared.
  void Run() {
    CopyNumbers<Simd>(nullptr, static_cast<int32_t>(StripNumbers()), strips_);
    const int32_t height = layer_.window.height.output, batch = layer_.input.batch;
    const int64_t groups = plan_.is_depthwise ? 1 : layer_.groups;
    const int64_t all = groups * plan_.panels * batch * height;
    const int64_t begin = all * tensors_.share.index / tensors_.share.count;
    const int64_t end = all * (tensors_.share.index + 1) / tensors_.share.count;
    int64_t last_unit = -1, last_image = -1;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t image = row / height, unit = image / batch;
      if (unit != last_unit) StartPanel(unit);
      if (image != last_image) {
        for (int32_t i = 0; i < plan_.strips; ++i) tags_[i] = -1;
      }
      last_unit = unit;
      last_image = image;
      RunRow(static_cast<int32_t>(image % batch), static_cast<int32_t>(row % height));
    }
  }

 private:
  using Lanes = typename Simd::Lanes;
  static constexpr int32_t kPixels = Simd::kInputPixels;
  static constexpr int32_t kMany = Simd::kGradientLanes;

  size_t StripNumbers() const { return size_t(plan_.width) * plan_.pixel; }

  // Takes the weights and biases of a panel, a row of weights for each tap and input channel.
  void StartPanel(int64_t unit) {
    const int32_t in_group = static_cast<int32_t>(unit % plan_.panels) * plan_.panel;
    const int32_t group = static_cast<int32_t>(unit / plan_.panels);
    const int32_t all = plan_.is_depthwise ? layer_.output_channels : plan_.outputs;
    const int32_t left = all - in_group;
    count_ = left < plan_.panel ? left : plan_.panel;
    first_ = group * plan_.outputs + in_group;
    input_ = plan_.is_depthwise ? 0 : group * plan_.inputs;
    lanes_ = count_ > kFloatLanes ? kMany : 1;
    const int32_t wide = lanes_ * kFloatLanes;
    const int32_t depth = layer_.window.height.kernel * layer_.window.width.kernel * plan_.inputs;
    const float* from = tensors_.weights.data + first_;
    // Numbers behind the panel are read, and not used; behind the weights is nothing to read.
    const float* end = tensors_.weights.data + tensors_.weights.size;
    float* to = weights_;
    for (int32_t i = 0; i < depth; ++i, from += layer_.output_channels, to += wide) {
      CopyNumbers<Simd>(from, end - from < wide ? count_ : wide, to);
    }
    for (int32_t i = 0; i < wide; ++i) {
      bias_[i] = i < count_ ? tensors_.bias.data[first_ + i] : 0.0f;
    }
  }

  // The row `y` of image `n` in a strip; that of zeros where it lies outside.
  const float* StripOf(int32_t n, int32_t y) {
    if (!AxisHas(layer_.window.height, y)) return strips_;
    const Axis& width = layer_.window.width;
    const int32_t channels = layer_.input.channels;
    const float* row =
        tensors_.input.data +
        (size_t(n) * layer_.input.height + static_cast<size_t>(y)) * width.input * channels;
    if (plan_.is_direct) return row + input_;
    const int32_t slot = y % plan_.strips;
    float* strip = strips_ + (1 + size_t(slot)) * StripNumbers();
    if (tags_[slot] == y) return strip;
    tags_[slot] = y;
    const int32_t before = width.pad < plan_.width ? width.pad : plan_.width;
    const int32_t room = plan_.width - before;
    const int32_t count = width.input < room ? width.input : room;
    float* to = strip + size_t(before) * plan_.pixel;
    CopyNumbers<Simd>(nullptr, before * plan_.pixel, strip);
    if (plan_.is_depthwise) {
      CopyChannels(row, count, to);
    } else if (plan_.inputs == channels) {
      CopyNumbers<Simd>(row, count * channels, to);
    } else {
      for (int32_t i = 0; i < count; ++i) {
        CopyNumbers<Simd>(row + size_t(i) * channels + input_, plan_.inputs,
                          to + size_t(i) * plan_.inputs);
      }
    }
    CopyNumbers<Simd>(nullptr, (room - count) * plan_.pixel, to + size_t(count) * plan_.pixel);
    return strip;
  }

  // Of each output channel of a depthwise panel the input channel that it reads.
  void CopyChannels(const float* row, int32_t count, float* to) const {
    const int32_t channels = layer_.input.channels, outputs = plan_.outputs;
    if (outputs == 1 && count_ == kFloatLanes) {
      row += first_;
      for (int32_t i = 0; i < count; ++i, row += channels, to += kFloatLanes) {
        Simd::Store(Simd::Load(row), to);
      }
      return;
    }
    for (int32_t i = 0; i < count; ++i, row += channels, to += kFloatLanes) {
      for (int32_t c = 0; c < kFloatLanes; ++c) {
        to[c] = c < count_ ? row[(first_ + c) / outputs] : 0.0f;
      }
    }
  }

  void RunRow(int32_t n, int32_t y) {
    const Axis &height = layer_.window.height, &width = layer_.window.width;
    for (int32_t ky = 0; ky < height.kernel; ++ky) {
      rows_[ky] = StripOf(n, AxisInput(height, y, ky));
    }
    const size_t row = size_t(n) * height.output + static_cast<size_t>(y);
    float* output = tensors_.output.data + row * width.output * layer_.output_channels + first_;
    for (int32_t x = 0; x < width.output;) {
      const int32_t left = width.output - x;
      if (plan_.is_depthwise) {
        x += RunPixels<true, 1>(x, left, output);
      } else if (lanes_ == 1) {
        x += RunPixels<false, 1>(x, left, output);
      } else {
        x += RunPixels<false, kMany>(x, left, output);
      }
    }
  }

  // Pixels from `x` on, of which `left` are left; returns how many were computed of these.
  template <bool kIsDepthwise, int32_t kLanes>
  int32_t RunPixels(int32_t x, int32_t left, float* output) const {
    constexpr int32_t kHalf = (kPixels + 1) / 2, kQuarter = (kPixels + 3) / 4;
    // A strip can be read behind its end. Else a tile begins earlier, and computes some anew.
    const int32_t most = plan_.is_direct ? layer_.window.width.output : kPixels;
    if (left > kHalf && most >= kPixels) {
      return RunTile<kIsDepthwise, kLanes, kPixels>(x, left, output);
    }
    if (left > kQuarter && most >= kHalf) {
      return RunTile<kIsDepthwise, kLanes, kHalf>(x, left, output);
    }
    if (left > 1 && most >= kQuarter) {
      return RunTile<kIsDepthwise, kLanes, kQuarter>(x, left, output);
    }
    return RunTile<kIsDepthwise, kLanes, 1>(x, left, output);
  }

  template <bool kIsDepthwise, int32_t kLanes, int32_t kTile>
  int32_t RunTile(int32_t x, int32_t left, float* output) const {
    const Axis &height = layer_.window.height, &width = layer_.window.width;
    const int32_t again = plan_.is_direct && left < kTile ? kTile - left : 0;
    x -= again;
    left += again;
    Several<Lanes, kTile * kLanes> sums;
    Repeat<kTile>([&](auto p) {
      Repeat<kLanes>([&](auto v) {
        At<p.value * kLanes + v.value>(sums) = Simd::Load(bias_ + v.value * kFloatLanes);
      });
    });
    const size_t step = size_t(width.stride) * plan_.pixel;
    const size_t first = x * step;
    // Taps of a row lie beside each other where they are not dilated.
    const bool are_close = width.dilation == 1 && !kIsDepthwise;
    const int32_t runs = are_close ? 1 : width.kernel;
    const int32_t run = are_close ? width.kernel * plan_.inputs : plan_.inputs;
    const size_t run_step = size_t(width.dilation) * plan_.pixel;
    const float* weights = weights_;
    for (int32_t ky = 0; ky < height.kernel; ++ky) {
      const float* values = rows_[ky] + first;
      for (int32_t r = 0; r < runs; ++r, values += run_step) {
        for (int32_t k = 0; k < run; ++k, weights += kLanes * kFloatLanes) {
          AddProducts<kIsDepthwise, kLanes, kTile>(values + k, step, weights, &sums);
        }
      }
    }
    output += size_t(x) * layer_.output_channels;
    const int32_t pixels = left < kTile ? left : kTile;
    Repeat<kTile>([&](auto p) {
      if (p.value >= pixels) return;
      float* to = output + size_t(p.value) * layer_.output_channels;
      Repeat<kLanes>([&](auto v) {
        StoreFirst(Simd::Clamp(At<p.value * kLanes + v.value>(sums), limits_),
                   count_ - v.value * kFloatLanes, to + v.value * kFloatLanes);
      });
    });
    return pixels - again;
  }

  template <bool kIsDepthwise, int32_t kLanes, int32_t kTile>
  __attribute__((always_inline)) static void AddProducts(const float* values, size_t step,
                                                         const float* weights,
                                                         Several<Lanes, kTile * kLanes>* sums) {
    Several<Lanes, kLanes> several;
    Repeat<kLanes>(
        [&](auto v) { At<v.value>(several) = Simd::Load(weights + v.value * kFloatLanes); });
    Repeat<kTile>([&](auto p) {
      const Lanes value = kIsDepthwise ? Simd::Load(values + p.value * step)
                                       : Simd::Broadcast(values[p.value * step]);
      Repeat<kLanes>([&](auto v) {
        Lanes& sum = At<p.value * kLanes + v.value>(*sums);
        sum = Simd::MultiplyAdd(value, At<v.value>(several), sum);
      });
    });
  }

  static void StoreFirst(Lanes sums, int32_t count, float* to) {
    if (count >= kFloatLanes) {
      Simd::Store(sums, to);
      return;
    }
    float numbers[kFloatLanes];
    Simd::Store(sums, numbers);
    for (int32_t i = 0; i < count; ++i) to[i] = numbers[i];
  }

  const Conv2DGradientArgs& layer_;
  const VariablePlan& plan_;
  const VariableConv2DTensors& tensors_;
  const FloatLimits limits_;
  float* weights_;
  float* strips_;  // the first is zeros
  int32_t* tags_;  // the row of the image in each other strip, or -1
  const float** rows_;
  int32_t first_ = 0, count_ = 0;  // output channels of the panel
  int32_t input_ = 0;              // the first channel that it reads
  int32_t lanes_ = 0;              // Lanes of a pixel
  float bias_[kMany * kFloatLanes];
};

template <typename Simd>
Status VariableConv2DScratchBytesOn(const VariableConv2DArgs& args, size_t* bytes) {
  VariablePlan plan;
  *bytes = 0;
  const Status status = PlanVariable<Simd>(args, &plan);
  if (status == Status::kOk) *bytes = plan.total_bytes;
  return status;
}

template <typename Simd>
Status VariableConv2DOn(const VariableConv2DArgs& args, const VariableConv2DTensors& tensors) {
  VariableConv2DSizes sizes;
  VariablePlan plan;
  Status status = CheckVariableConv2D(args, &sizes);
  if (status == Status::kOk) status = CheckVariableConv2DTensors(sizes, tensors);
  if (status == Status::kOk) status = PlanVariable<Simd>(args, &plan);
  if (status != Status::kOk) return status;
  if (!plan.is_regular) {
    return tensors.share.index == 0 ? VariableConv2D(args, tensors) : Status::kOk;
  }
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  VariableConvolution<Simd>(args, plan, tensors).Run();
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
