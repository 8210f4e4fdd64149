#pragma once  // arch/backprop_input.h: the gradient of a convolution's input.

#include "tflite_kernels/arch/backprop_columns.h"
#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/gradients.h"

// An instruction set gives, beside what float_matmul.h asks for, Store(lanes, to) and
// kInputPixels, how many pixels of the input are computed at a time.

namespace edgeax {
namespace {

// The taps of an axis that read an input position of some phase, and the output position whose tap
// it is where the input is the phase's first one; the next input of the phase has the next output.
struct PhaseTap {
  int32_t tap, output;
};

static inline int32_t FloorDivide(int32_t value, int32_t by) {
  const int32_t quotient = value / by;
  return quotient - (value % by < 0 ? 1 : 0);
}

// Output positions from the lowest that a tap of input position 0 belongs to.
static inline int32_t LowestOutput(const Axis& axis) {
  return FloorDivide(axis.pad - (axis.kernel - 1) * axis.dilation, axis.stride);
}

// Returns how many taps read `input`.
static inline int32_t TapsOf(const Axis& axis, int32_t input, PhaseTap* taps) {
  int32_t count = 0;
  for (int32_t k = 0; k < axis.kernel; ++k) {
    const int32_t start = input + axis.pad - k * axis.dilation;
    if (start % axis.stride == 0) taps[count++] = {k, start / axis.stride};
  }
  return count;
}

// How a share is computed, and where its parts lie in scratch. Rows of gradients are copied, with
// zeros around them, into strips, which some rows of the input have in common.
struct InputPlan {
  bool is_depthwise, is_regular;
  int32_t inputs, outputs;  // channels of a group
  int32_t units;            // groups, or runs of channels of a depthwise kernel
  int32_t blocks;           // of kFloatLanes input channels of a unit
  int32_t pixel;         // numbers of a pixel of a strip; of a depthwise kernel they lie together
  int32_t first, width;  // pixels of a strip
  int32_t strips;
  size_t weights, gradients, rows, tags, vertical, horizontal;  // bytes before each
  size_t total_bytes;
};

// Windows that reach farther than that are left to core/.
constexpr int64_t kMostStripNumbers = 1 << 22;

// Strips of so many numbers lie in the second cache, with room for other things.
constexpr int64_t kUsualStripNumbers = 1 << 15;

template <typename Simd>
Status PlanInput(const Conv2DGradientArgs& args, InputPlan* plan) {
  GradientSizes sizes;
  const Status status = CheckBackpropInput(args, &sizes);
  if (status != Status::kOk) return status;
  const Axis &height = args.window.height, &width = args.window.width;
  *plan = {};
  plan->inputs = args.input.channels / args.groups;
  plan->outputs = args.output_channels / args.groups;
  plan->is_depthwise = plan->inputs == 1 && args.groups > 1;
  plan->first = LowestOutput(width);
  const int64_t reach = int64_t{width.kernel - 1} * width.dilation;
  const int64_t strip = (int64_t{width.input} + reach) / width.stride + 2 + Simd::kInputPixels;
  const int64_t strips = int64_t{height.kernel - 1} * height.dilation / height.stride + 2;
  const int32_t channels = plan->is_depthwise ? args.input.channels : plan->inputs;
  plan->blocks = (channels - 1) / kFloatLanes + 1;
  plan->units = args.groups;
  int64_t pixel = plan->outputs;
  if (plan->is_depthwise) {
    const int64_t of_block = CheckedProduct(strips, strip, plan->outputs, kFloatLanes);
    const int64_t fitting = of_block < 0 ? 1 : kUsualStripNumbers / of_block;
    if (fitting < plan->blocks) plan->blocks = fitting < 1 ? 1 : static_cast<int32_t>(fitting);
    plan->units = (channels - 1) / (plan->blocks * kFloatLanes) + 1;
    pixel *= plan->blocks * kFloatLanes;
  }
  const int64_t numbers = CheckedProduct(strips + 1, strip, pixel);
  const int64_t weights =
      CheckedProduct(height.kernel, width.kernel, plan->outputs, plan->blocks, kFloatLanes);
  plan->is_regular =
      numbers > 0 && numbers <= kMostStripNumbers && weights > 0 && weights <= kMaxElements / 8;
  if (!plan->is_regular) return Status::kOk;
  plan->pixel = static_cast<int32_t>(pixel);
  plan->width = static_cast<int32_t>(strip);
  plan->strips = static_cast<int32_t>(strips);
  plan->gradients = AlignedBytes(size_t(weights) * sizeof(float));
  plan->tags = plan->gradients + AlignedBytes(size_t(numbers) * sizeof(float));
  plan->rows = plan->tags + AlignedBytes(size_t(strips) * sizeof(int32_t));
  plan->vertical = plan->rows + AlignedBytes(size_t(height.kernel) * sizeof(float*));
  plan->horizontal = plan->vertical + AlignedBytes(size_t(height.kernel) * sizeof(PhaseTap));
  plan->total_bytes =
      plan->horizontal + AlignedBytes(size_t(width.kernel) * sizeof(PhaseTap)) + kScratchAlignment;
  return Status::kOk;
}

template <typename Simd>
class InputGradient {
 public:
  InputGradient(const Conv2DGradientArgs& args, const InputPlan& plan,
                const GradientTensors& tensors)
      : args_(args), plan_(plan), tensors_(tensors) {
    uint8_t* start = AlignedStart(tensors.scratch.data);
    weights_ = reinterpret_cast<float*>(start + plan.weights);
    strips_ = reinterpret_cast<float*>(start + plan.gradients);
    tags_ = reinterpret_cast<int32_t*>(start + plan.tags);
    rows_ = reinterpret_cast<const float**>(start + plan.rows);
    vertical_ = reinterpret_cast<PhaseTap*>(start + plan.vertical);
    horizontal_ = reinterpret_cast<PhaseTap*>(start + plan.horizontal);
  }

  // Rows of the input, through units and batch, are shared.
  void Run() {
    const size_t strip = StripNumbers();
    for (size_t i = 0; i < strip; ++i) strips_[i] = 0.0f;
    const int32_t height = args_.input.height, batch = args_.input.batch;
    const Range rows = RangeOf(plan_.units * batch * height, 1, tensors_.share);
    int32_t last_unit = -1, last_image = -1;
    for (int32_t row = rows.begin; row < rows.end; ++row) {
      const int32_t image = row / height, unit = image / batch;
      if (unit != last_unit) PackWeights(unit);
      if (image != last_image) {
        for (int32_t i = 0; i < plan_.strips; ++i) tags_[i] = -1;
      }
      last_unit = unit;
      last_image = image;
      RunRow(unit, image % batch, row % height);
    }
  }

 private:
  using Lanes = typename Simd::Lanes;
  static constexpr int32_t kPixels = Simd::kInputPixels;

  size_t StripNumbers() const { return size_t(plan_.width) * plan_.pixel; }

  // Input channels of a block, at most kFloatLanes; the last ones of a depthwise kernel may be
  // none.
  int32_t ChannelsOf() const {
    return plan_.is_depthwise ? plan_.blocks * kFloatLanes : plan_.inputs;
  }
  int32_t FirstOf(int32_t unit, int32_t block) const {
    return unit * ChannelsOf() + block * kFloatLanes;
  }
  int32_t CountOf(int32_t unit, int32_t block) const {
    const int32_t end = (unit + 1) * ChannelsOf(), all = args_.input.channels;
    const int32_t left = (end < all ? end : all) - FirstOf(unit, block);
    return left < 0 ? 0 : left < kFloatLanes ? left : kFloatLanes;
  }

  // Weights by block, tap and output channel of the group, each those of kFloatLanes inputs.
  void PackWeights(int32_t unit) {
    const int32_t taps = args_.window.height.kernel * args_.window.width.kernel;
    float* to = weights_;
    for (int32_t block = 0; block < plan_.blocks; ++block) {
      const int32_t count = CountOf(unit, block), first = FirstOf(unit, block);
      for (int32_t tap = 0; tap < taps; ++tap) {
        for (int32_t o = 0; o < plan_.outputs; ++o, to += kFloatLanes) {
          for (int32_t i = 0; i < kFloatLanes; ++i) {
            to[i] = i < count ? WeightOf(unit, tap, first + i, o) : 0.0f;
          }
        }
      }
    }
  }

  float WeightOf(int32_t unit, int32_t tap, int32_t input, int32_t output) const {
    if (plan_.is_depthwise) {
      return tensors_.values
          .data[size_t(tap) * args_.output_channels + input * plan_.outputs + output];
    }
    const size_t row = size_t(tap) * plan_.inputs + input % plan_.inputs;
    return tensors_.values.data[row * args_.output_channels + unit * plan_.outputs + output];
  }

  // The row `y` of the gradients in a strip; that of zeros where it lies outside.
  const float* StripOf(int32_t unit, int32_t n, int32_t y) {
    if (y < 0 || y >= args_.window.height.output) return strips_;
    const int32_t slot = y % plan_.strips;
    float* strip = strips_ + (1 + size_t(slot)) * StripNumbers();
    if (tags_[slot] == y) return strip;
    tags_[slot] = y;
    const int32_t output = args_.window.width.output;
    const float* row = tensors_.gradients.data + (size_t(n) * args_.window.height.output + y) *
                                                     output * args_.output_channels;
    // Zeros, pixels of the row, zeros.
    const auto within = [&](int32_t low, int32_t place) {
      return place < low ? low : place < plan_.width ? place : plan_.width;
    };
    const int32_t begin = within(0, -plan_.first), end = within(begin, output - plan_.first);
    const float* from = row + int64_t{plan_.first + begin} * args_.output_channels;
    if (plan_.is_depthwise) {
      CopyNumbers<Simd>(nullptr, begin * plan_.pixel, strip);
      CopyPixels(unit, from, end - begin, strip + size_t(begin) * plan_.pixel);
      CopyNumbers<Simd>(nullptr, (plan_.width - end) * plan_.pixel,
                        strip + size_t(end) * plan_.pixel);
    } else {
      CopyPlanes(from + unit * plan_.outputs, begin, end, strip);
    }
    return strip;
  }

  // One channel after the other, each with zeros before `begin` and from `end` on.
  void CopyPlanes(const float* from, int32_t begin, int32_t end, float* to) const {
    for (int32_t o = 0; o < plan_.outputs; ++o, ++from, to += plan_.width) {
      const float* next = from;
      for (int32_t i = 0; i < begin; ++i) to[i] = 0.0f;
      for (int32_t i = begin; i < end; ++i, next += args_.output_channels) to[i] = *next;
      for (int32_t i = end; i < plan_.width; ++i) to[i] = 0.0f;
    }
  }

  void CopyPixels(int32_t unit, const float* from, int32_t count, float* to) const {
    const size_t step = static_cast<size_t>(args_.output_channels);
    for (int32_t i = 0; i < count; ++i, from += step) {
      for (int32_t block = 0; block < plan_.blocks; ++block) {
        CopyChannels(from + FirstOf(unit, block) * plan_.outputs, CountOf(unit, block), to);
        to += plan_.outputs * kFloatLanes;
      }
    }
  }

  // Output channels of `count` depthwise input channels: the first of each, the second of each.
  void CopyChannels(const float* from, int32_t count, float* to) const {
    if (plan_.outputs == 1 && count == kFloatLanes) {
      Simd::Store(Simd::Load(from), to);
      return;
    }
    for (int32_t o = 0; o < plan_.outputs; ++o, to += kFloatLanes) {
      for (int32_t c = 0; c < kFloatLanes; ++c) {
        to[c] = c < count ? from[c * plan_.outputs + o] : 0.0f;
      }
    }
  }

  void RunRow(int32_t unit, int32_t n, int32_t y) {
    const Axis& width = args_.window.width;
    const int32_t lines = TapsOf(args_.window.height, y, vertical_);
    for (int32_t i = 0; i < lines; ++i) rows_[i] = StripOf(unit, n, vertical_[i].output);
    const size_t image = size_t(n) * args_.input.height + y;
    float* output = tensors_.output.data + image * args_.input.width * args_.input.channels;
    for (int32_t phase = 0; phase < width.stride && phase < width.input; ++phase) {
      const int32_t columns = TapsOf(width, phase, horizontal_);
      const int32_t count = (width.input - 1 - phase) / width.stride + 1;
      for (int32_t block = 0; block < plan_.blocks;) {
        const int32_t blocks = BlocksFrom(block);
        const Place place = {lines, columns, phase, FirstOf(unit, block)};
        if (CountOf(unit, block) == 0) break;
        const int32_t last = CountOf(unit, block + blocks - 1);
        const int32_t channels = (blocks - 1) * kFloatLanes + last;
        for (int32_t i = 0; i < count; i += kPixels) {
          const int32_t left = count - i < kPixels ? count - i : kPixels;
          if (plan_.is_depthwise) {
            RunPixels<true, 1>(place, block, i, left, channels, output);
          } else if (blocks == 1) {
            RunPixels<false, 1>(place, block, i, left, channels, output);
          } else {
            RunPixels<false, Simd::kGradientLanes>(place, block, i, left, channels, output);
          }
        }
        block += blocks;
      }
    }
  }

  // Blocks that are computed together.
  int32_t BlocksFrom(int32_t block) const {
    const bool are_there = block + Simd::kGradientLanes <= plan_.blocks;
    return !plan_.is_depthwise && are_there ? Simd::kGradientLanes : 1;
  }

  // Taps that read the pixels of a phase, and the first channel.
  struct Place {
    int32_t lines, columns, phase, channel;
  };

  // `left` pixels of a phase, from number `pixel` on, and `channels` from that of a block on.
  template <bool kIsDepthwise, int32_t kBlocks>
  void RunPixels(const Place& place, int32_t block, int32_t pixel, int32_t left, int32_t channels,
                 float* output) const {
    Several<Lanes, kPixels * kBlocks> sums;
    Repeat<kPixels * kBlocks>([&](auto i) { At<i.value>(sums) = Simd::Zero(); });
    const Axis &height = args_.window.height, &width = args_.window.width;
    const size_t tap_numbers = size_t(plan_.outputs) * kFloatLanes;
    const size_t block_numbers = size_t(height.kernel) * width.kernel * tap_numbers;
    const size_t first = kIsDepthwise ? block * tap_numbers : size_t{0};
    const size_t step_of_pixel = kIsDepthwise ? size_t(plan_.pixel) : size_t{1};
    const float* weights = weights_ + block * block_numbers;
    for (int32_t l = 0; l < place.lines; ++l) {
      for (int32_t c = 0; c < place.columns; ++c) {
        const size_t tap = size_t(vertical_[l].tap) * width.kernel + horizontal_[c].tap;
        const size_t at = size_t(horizontal_[c].output + pixel - plan_.first);
        AddTap<kIsDepthwise, kBlocks>(rows_[l] + at * step_of_pixel + first,
                                      weights + tap * tap_numbers, block_numbers, &sums);
      }
    }
    const size_t step = size_t(width.stride) * args_.input.channels;
    output += size_t(place.phase) * args_.input.channels + pixel * step + place.channel;
    Repeat<kPixels>([&](auto p) {
      if (p.value >= left) return;
      Repeat<kBlocks>([&](auto b) {
        float* to = output + p.value * step + b.value * kFloatLanes;
        StoreFirst(At<p.value * kBlocks + b.value>(sums), channels - b.value * kFloatLanes, to);
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

  template <bool kIsDepthwise, int32_t kBlocks>
  __attribute__((always_inline)) void AddTap(const float* row, const float* weights,
                                             size_t block_numbers,
                                             Several<Lanes, kPixels * kBlocks>* sums) const {
    const size_t pixel = kIsDepthwise ? size_t(plan_.pixel) : size_t{1};
    const size_t step = kIsDepthwise ? size_t{kFloatLanes} : size_t(plan_.width);
    for (int32_t o = 0; o < plan_.outputs; ++o, weights += kFloatLanes, row += step) {
      Several<Lanes, kBlocks> several;
      Repeat<kBlocks>(
          [&](auto b) { At<b.value>(several) = Simd::Load(weights + b.value * block_numbers); });
      Repeat<kPixels>([&](auto p) {
        const Lanes value = kIsDepthwise ? Simd::Load(row + p.value * pixel)
                                         : Simd::Broadcast(row[p.value * pixel]);
        Repeat<kBlocks>([&](auto b) {
          Lanes& sum = At<p.value * kBlocks + b.value>(*sums);
          sum = Simd::MultiplyAdd(value, At<b.value>(several), sum);
        });
      });
    }
  }

  const Conv2DGradientArgs& args_;
  const InputPlan& plan_;
  const GradientTensors& tensors_;
  float* weights_;
  float* strips_;  // the first is zeros
  int32_t* tags_;  // the row of the gradients in each other strip, or -1
  const float** rows_;
  PhaseTap* vertical_;
  PhaseTap* horizontal_;
};

template <typename Simd>
Status BackpropInputScratchBytesOn(const Conv2DGradientArgs& args, size_t* bytes) {
  InputPlan plan;
  *bytes = 0;
  const Status status = PlanInput<Simd>(args, &plan);
  if (status == Status::kOk) *bytes = plan.total_bytes;
  return status;
}

template <typename Simd>
Status BackpropInputOn(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  InputPlan plan;
  Status status = CheckBackpropInput(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status == Status::kOk) status = PlanInput<Simd>(args, &plan);
  if (status != Status::kOk) return status;
  if (!plan.is_regular) {
    return tensors.share.index == 0 ? Conv2DBackpropInput(args, tensors) : Status::kOk;
  }
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  InputGradient<Simd>(args, plan, tensors).Run();
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
