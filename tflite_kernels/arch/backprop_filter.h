#pragma once  // arch/backprop_filter.h: the gradient of a convolution's kernel.

#include "tflite_kernels/arch/backprop_columns.h"
#include "tflite_kernels/arch/scratch.h"

// An instruction set gives, beside what float_matmul.h asks for,
//   Store(lanes, to), Add(a, b),
//   kGradientRows, numbers of windows that are multiplied with kGradientLanes Lanes at a time, and
//   kGradientTaps, taps of a depthwise kernel at a time.

namespace edgeax {
namespace {

// Larger depthwise kernels are left to core/.
constexpr int32_t kMostTaps = 128;

// Positions of all of the batch.
static inline int32_t PositionsOf(const Conv2DGradientArgs& args) {
  return args.input.batch * args.window.height.output * args.window.width.output;
}

// How one share is computed, and where its parts lie in scratch.
struct FilterPlan {
  bool is_depthwise;
  bool is_direct;                           // windows are pixels, which are read where they lie
  int32_t inputs, outputs;                  // channels of a group
  int32_t chunk;                            // channels that are copied at a time
  size_t starts, rows, columns, gradients;  // bytes before each
  size_t total_bytes;
};

// Channels whose windows of a block fill a part of the second cache.
static inline int32_t ChunkOf(const WindowGeometry& window, int32_t channels) {
  const Axis& width = window.width;
  const int64_t columns = width.stride < width.kernel ? width.stride : width.kernel;
  const int64_t fitting = 192 / (columns * window.height.kernel) / kFloatLanes * kFloatLanes;
  const int64_t chunk = fitting < kFloatLanes ? kFloatLanes : fitting;
  return chunk < channels ? static_cast<int32_t>(chunk) : channels;
}

// A depthwise kernel of so many taps would need too much scratch.
static inline bool IsLarge(const FilterPlan& plan, const WindowGeometry& window) {
  return plan.is_depthwise && window.height.kernel > kMostTaps / window.width.kernel;
}

template <typename Simd>
Status PlanFilter(const Conv2DGradientArgs& args, FilterPlan* plan) {
  GradientSizes sizes;
  const Status status = CheckBackpropFilter(args, &sizes);
  if (status != Status::kOk) return status;
  const WindowGeometry& window = args.window;
  *plan = {};
  plan->inputs = args.input.channels / args.groups;
  plan->outputs = args.output_channels / args.groups;
  plan->is_depthwise = plan->inputs == 1 && args.groups > 1;
  plan->is_direct = !plan->is_depthwise && IsPointwise(window);
  if (IsLarge(*plan, window)) return Status::kOk;  // core/ computes it
  plan->chunk = plan->is_depthwise ? kFloatLanes
                : plan->is_direct  ? plan->inputs
                                   : ChunkOf(window, plan->inputs);
  const Columns columns = ColumnsOf(window, plan->chunk);
  // Of a direct one, the rows that are left over by whole tiles are copied.
  const int64_t numbers = plan->is_direct
                              ? int64_t{kGradientPositions} * Simd::kGradientRows + kFloatLanes
                              : NumbersOf(columns);
  const int64_t gradients = int64_t{kGradientPositions} * Simd::kGradientLanes * kFloatLanes;
  if (numbers > kMaxElements / 8) return Status::kBadShape;
  plan->rows = AlignedBytes(kGradientPositions * sizeof(int32_t));
  plan->columns = plan->rows + AlignedBytes(size_t(columns.rows) * sizeof(int32_t));
  plan->gradients = plan->columns + AlignedBytes(size_t(numbers) * sizeof(float));
  plan->total_bytes =
      plan->gradients + AlignedBytes(size_t(gradients) * sizeof(float)) + kScratchAlignment;
  return Status::kOk;
}

template <typename Simd>
class FilterGradient {
 public:
  FilterGradient(const Conv2DGradientArgs& args, const FilterPlan& plan,
                 const GradientTensors& tensors)
      : args_(args), plan_(plan), tensors_(tensors) {
    uint8_t* start = AlignedStart(tensors.scratch.data);
    starts_ = reinterpret_cast<int32_t*>(start + plan.starts);
    rows_ = reinterpret_cast<int32_t*>(start + plan.rows);
    columns_ = reinterpret_cast<float*>(start + plan.columns);
    gradients_ = reinterpret_cast<float*>(start + plan.gradients);
  }

  void Run() {
    const int32_t positions = PositionsOf(args_);
    for (int32_t begin = 0; begin < positions; begin += kGradientPositions) {
      const int32_t left = positions - begin;
      block_ = {begin, left < kGradientPositions ? left : kGradientPositions};
      if (plan_.is_depthwise) {
        RunDepthwise();
        continue;
      }
      for (int32_t group = 0; group < args_.groups; ++group) RunGroup(group);
    }
  }

 private:
  using Lanes = typename Simd::Lanes;
  static constexpr int32_t kRows = Simd::kGradientRows;
  static constexpr int32_t kWide = Simd::kGradientLanes * kFloatLanes;

  const float* GradientsAt(int32_t channel) const {
    return tensors_.gradients.data + size_t(block_.begin) * args_.output_channels + channel;
  }

  // Gradients of `count` channels of the block, with zeros behind them up to `wide`.
  const float* PackGradients(int32_t channel, int32_t count, int32_t wide) {
    const float* from = GradientsAt(channel);
    float* to = gradients_;
    for (int32_t p = 0; p < block_.count; ++p, from += args_.output_channels, to += wide) {
      for (int32_t i = 0; i < wide; ++i) to[i] = i < count ? from[i] : 0.0f;
    }
    return gradients_;
  }

  // Adds the sums of a block to one row of the output.
  void Finish(Lanes sums, int32_t count, float* to) const {
    if (count < kFloatLanes) {
      float numbers[kFloatLanes];
      Simd::Store(sums, numbers);
      for (int32_t i = 0; i < count; ++i) {
        to[i] = block_.begin == 0 ? numbers[i] : to[i] + numbers[i];
      }
      return;
    }
    Simd::Store(block_.begin == 0 ? sums : Simd::Add(Simd::Load(to), sums), to);
  }

  // kTile numbers of each window, of which `rows` count, times kLanes gradients, of which `count`
  // numbers count.
  template <int32_t kTile, int32_t kLanes>
  void MultiplyTile(const float* x, const int32_t* numbers, int32_t rows, const float* gradients,
                    size_t step, int32_t channel, int32_t count) const {
    Several<Lanes, kTile * kLanes> sums;
    Repeat<kTile * kLanes>([&](auto i) { At<i.value>(sums) = Simd::Zero(); });
    for (int32_t p = 0; p < block_.count; ++p, gradients += step) {
      const float* window = x + starts_[p];
      Several<Lanes, kLanes> several;
      Repeat<kLanes>(
          [&](auto v) { At<v.value>(several) = Simd::Load(gradients + v.value * kFloatLanes); });
      Repeat<kTile>([&](auto r) {
        const Lanes value = Simd::Broadcast(window[r.value]);
        Repeat<kLanes>([&](auto v) {
          Lanes& sum = At<r.value * kLanes + v.value>(sums);
          sum = Simd::MultiplyAdd(value, At<v.value>(several), sum);
        });
      });
    }
    Repeat<kTile>([&](auto r) {
      if (r.value >= rows) return;
      float* to = tensors_.output.data + size_t(numbers[r.value]) * args_.output_channels + channel;
      Repeat<kLanes>([&](auto v) {
        const int32_t left = count - v.value * kFloatLanes;
        if (left > 0)
          Finish(At<r.value * kLanes + v.value>(sums), left, to + v.value * kFloatLanes);
      });
    });
  }

  template <int32_t kTile>
  void MultiplyColumns(const float* x, const int32_t* numbers, int32_t rows, Range channels) {
    const size_t step = static_cast<size_t>(args_.output_channels);
    int32_t c = channels.begin;
    for (; c + kWide <= channels.end; c += kWide) {
      MultiplyTile<kTile, Simd::kGradientLanes>(x, numbers, rows, GradientsAt(c), step, c, kWide);
    }
    const int32_t left = channels.end - c;
    if (left == 0) return;
    if (Simd::kGradientLanes > 1 && left > kFloatLanes) {
      MultiplyTile<kTile, Simd::kGradientLanes>(x, numbers, rows, gradients_, kWide, c, left);
    } else if (left == kFloatLanes) {
      MultiplyTile<kTile, 1>(x, numbers, rows, GradientsAt(c), step, c, left);
    } else {
      MultiplyTile<kTile, 1>(x, numbers, rows, gradients_, kFloatLanes, c, left);
    }
  }

  // Numbers of windows from `x` on, as many as there are left or a tile has.
  int32_t MultiplyRows(const float* x, const int32_t* numbers, int32_t left, Range channels) {
    constexpr int32_t kHalf = (kRows + 1) / 2, kQuarter = (kRows + 3) / 4;
    if (left > kHalf + kQuarter) {
      const int32_t rows = left < kRows ? left : kRows;
      MultiplyColumns<kRows>(x, numbers, rows, channels);
      return rows;
    }
    if (left > kQuarter) {
      const int32_t rows = left < kHalf ? left : kHalf;
      MultiplyColumns<kHalf>(x, numbers, rows, channels);
      return rows;
    }
    MultiplyColumns<kQuarter>(x, numbers, left, channels);
    return left;
  }

  // What falls to this share: output channels where there are many, or numbers of windows.
  Range ChannelsOf(int32_t group) const {
    const int32_t first = group * plan_.outputs;
    const Share share = SharesChannels() ? tensors_.share : Share{0, 1};
    const Range range = RangeOf(plan_.outputs, kWide, share);
    return {first + range.begin, first + range.end};
  }
  Range RowsOf(int32_t rows) const {
    return RangeOf(rows, kRows, SharesChannels() ? Share{0, 1} : tensors_.share);
  }
  bool SharesChannels() const { return plan_.outputs / kWide >= tensors_.share.count; }

  void RunGroup(int32_t group) {
    const Range channels = ChannelsOf(group);
    if (channels.begin == channels.end) return;
    const int32_t whole = (channels.end - channels.begin) / kWide * kWide;
    const int32_t left = channels.end - channels.begin - whole;
    if (left > 0 && left != kFloatLanes) {
      PackGradients(channels.begin + whole, left, left > kFloatLanes ? kWide : kFloatLanes);
    }
    if (plan_.is_direct) {
      RunPixels(group, channels);
      return;
    }
    for (int32_t first = 0; first < plan_.inputs; first += plan_.chunk) {
      const int32_t more = plan_.inputs - first;
      RunChunk(group, first, more < plan_.chunk ? more : plan_.chunk, channels);
    }
  }

  // Pixels of a pointwise kernel; those that are left over by whole tiles are copied, so that none
  // is read behind the end.
  void RunPixels(int32_t group, Range channels) {
    const Axis &height = args_.window.height, &width = args_.window.width;
    const Range rows = RowsOf(plan_.inputs);
    const int32_t whole = (rows.end - rows.begin) / kRows * kRows,
                  left = rows.end - rows.begin - whole;
    for (int32_t i = 0; i < plan_.inputs; ++i) rows_[i] = i;
    const float* input = tensors_.values.data + group * plan_.inputs + rows.begin;
    const int32_t copied = left == 0 ? 0 : kRows;
    for (int32_t p = 0; p < block_.count; ++p) {
      const int32_t row = (block_.begin + p) / width.output, x = (block_.begin + p) % width.output;
      const int32_t n = row / height.output, y = row % height.output;
      const int64_t line = int64_t{n} * args_.input.height + int64_t{y} * height.stride;
      starts_[p] = static_cast<int32_t>((line * args_.input.width + int64_t{x} * width.stride) *
                                        args_.input.channels);
      for (int32_t i = 0; i < copied; ++i) {
        columns_[p * kRows + i] = i < left ? input[starts_[p] + whole + i] : 0.0f;
      }
    }
    for (int32_t r = 0; r < whole; r += kRows) {
      MultiplyColumns<kRows>(input + r, rows_ + rows.begin + r, kRows, channels);
    }
    if (left == 0) return;
    for (int32_t p = 0; p < block_.count; ++p) starts_[p] = p * kRows;
    for (int32_t r = 0; r < left;) {
      r += MultiplyRows(columns_ + r, rows_ + rows.begin + whole + r, left - r, channels);
    }
  }

  void RunChunk(int32_t group, int32_t first, int32_t chunk, Range channels) {
    const Columns columns = ColumnsOf(args_.window, chunk);
    const float* input = tensors_.values.data + group * plan_.inputs + first;
    GatherColumns(args_.input, args_.window, columns, block_, columns_, starts_,
                  [&](int64_t pixel, float* to) {
                    const float* from = pixel < 0 ? nullptr : input + pixel * args_.input.channels;
                    CopyNumbers<Simd>(from, chunk, to);
                  });
    for (int32_t i = 0; i < columns.rows; ++i) {
      rows_[i] = KernelRow(args_.window, columns, i, plan_.inputs, first);
    }
    const Range rows = RowsOf(columns.rows);
    for (int32_t r = rows.begin; r < rows.end;) {
      r += MultiplyRows(columns_ + r, rows_ + r, rows.end - r, channels);
    }
  }

  // kTaps of each window, of which `taps` count, times the gradients of `count` channels.
  template <int32_t kTaps>
  void MultiplyTaps(const float* x, const int32_t* numbers, int32_t taps, const float* gradients,
                    size_t step, int32_t channel, int32_t count) const {
    Several<Lanes, kTaps> sums;
    Repeat<kTaps>([&](auto i) { At<i.value>(sums) = Simd::Zero(); });
    for (int32_t p = 0; p < block_.count; ++p, gradients += step) {
      const float* window = x + starts_[p];
      const Lanes several = Simd::Load(gradients);
      Repeat<kTaps>([&](auto t) {
        Lanes& sum = At<t.value>(sums);
        sum = Simd::MultiplyAdd(Simd::Load(window + t.value * kFloatLanes), several, sum);
      });
    }
    Repeat<kTaps>([&](auto t) {
      if (t.value >= taps) return;
      float* to = tensors_.output.data + size_t(numbers[t.value]) * args_.output_channels + channel;
      Finish(At<t.value>(sums), count, to);
    });
  }

  void RunDepthwise() {
    const Columns columns = ColumnsOf(args_.window, kFloatLanes);
    const int32_t taps = columns.rows / kFloatLanes;
    for (int32_t t = 0; t < taps; ++t) {
      rows_[t] = KernelRow(args_.window, columns, t * kFloatLanes, 1, 0);
    }
    const Range channels = RangeOf(args_.output_channels, kFloatLanes, tensors_.share);
    for (int32_t c = channels.begin; c < channels.end; c += kFloatLanes) {
      const int32_t left = channels.end - c;
      RunTaps(columns, taps, c, left < kFloatLanes ? left : kFloatLanes);
    }
  }

  void RunTaps(const Columns& columns, int32_t taps, int32_t channel, int32_t count) {
    constexpr int32_t kTaps = Simd::kGradientTaps, kFew = kTaps / 3;
    GatherChannels(columns, channel, count);
    const bool is_whole = count == kFloatLanes;
    const float* gradients =
        is_whole ? GradientsAt(channel) : PackGradients(channel, count, kFloatLanes);
    const size_t step = is_whole ? size_t(args_.output_channels) : size_t{kFloatLanes};
    for (int32_t t = 0; t < taps;) {
      const float* x = columns_ + t * kFloatLanes;
      const int32_t left = taps - t;
      if (left >= kTaps) {
        MultiplyTaps<kTaps>(x, rows_ + t, kTaps, gradients, step, channel, count);
        t += kTaps;
      } else if (left >= kFew) {
        MultiplyTaps<kFew>(x, rows_ + t, kFew, gradients, step, channel, count);
        t += kFew;
      } else {
        MultiplyTaps<1>(x, rows_ + t, 1, gradients, step, channel, count);
        ++t;
      }
    }
  }

  // Of each output channel the input channel that it reads.
  void GatherChannels(const Columns& columns, int32_t channel, int32_t count) {
    const float* input = tensors_.values.data;
    const int32_t all = args_.input.channels, outputs = plan_.outputs;
    if (outputs == 1 && count == kFloatLanes) {
      GatherColumns(args_.input, args_.window, columns, block_, columns_, starts_,
                    [&](int64_t pixel, float* to) {
                      Simd::Store(
                          pixel < 0 ? Simd::Zero() : Simd::Load(input + pixel * all + channel), to);
                    });
      return;
    }
    GatherColumns(args_.input, args_.window, columns, block_, columns_, starts_,
                  [&](int64_t pixel, float* to) {
                    for (int32_t i = 0; i < kFloatLanes; ++i) {
                      const bool is_there = pixel >= 0 && i < count;
                      to[i] = is_there ? input[pixel * all + (channel + i) / outputs] : 0.0f;
                    }
                  });
  }

  const Conv2DGradientArgs& args_;
  const FilterPlan& plan_;
  const GradientTensors& tensors_;
  int32_t* starts_;
  int32_t* rows_;
  float* columns_;
  float* gradients_;
  Block block_ = {0, 0};
};

template <typename Simd>
Status BackpropFilterScratchBytesOn(const Conv2DGradientArgs& args, size_t* bytes) {
  FilterPlan plan;
  *bytes = 0;
  const Status status = PlanFilter<Simd>(args, &plan);
  if (status == Status::kOk && !IsLarge(plan, args.window)) *bytes = plan.total_bytes;
  return status;
}

template <typename Simd>
Status BackpropFilterOn(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  FilterPlan plan;
  Status status = CheckBackpropFilter(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status == Status::kOk) status = PlanFilter<Simd>(args, &plan);
  if (status != Status::kOk) return status;
  if (IsLarge(plan, args.window)) {
    return tensors.share.index == 0 ? Conv2DBackpropFilter(args, tensors) : Status::kOk;
  }
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  FilterGradient<Simd>(args, plan, tensors).Run();
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
