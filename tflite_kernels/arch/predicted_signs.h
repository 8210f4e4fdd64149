#pragma once  // arch/predicted_signs.h: signs of a kernel's gradient, predicted from high bits.

#include <string.h>

#include "tflite_kernels/arch/float_matmul.h"
#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/predicted_signs.h"

// Codes are copied so that the positions of a channel lie beside each other, a plane for each phase
// of the strides; a tap reads its plane from some place on. Gradients lie at the same places, with
// zeros between the rows of images. So every gradient of a weight is an inner product of its own,
// and those that no prediction decides are computed one by one.
//
// A prediction multiplies bytes: high bits of a code, at most kByteBits, and a gradient, whose rest
// beyond a byte, in steps of 4, is multiplied only in the blocks of kStep positions that have one.
//
// An instruction set gives
//   kStep, positions that are multiplied at a time, a multiple of 16,
//   kBias, what it wants added to high bits of codes,
//   kTileRows, kTileChannels, how many of a prediction's rows and channels there are at a time,
//   Predict<rows, channels>(codes, gradients, blocks, count, sums), which writes the sums of each
//     row and channel over `count` blocks, all where `blocks` is null,
//   Multiply<channels>(codes, gradients, steps, sums), which adds those of codes and int16 to
//   int64.

namespace edgeax {
namespace {

constexpr int32_t kByteBits = 4, kByteGradientBits = 10;
constexpr int32_t kMostPhaseTaps = 16;        // of an axis; others are core/'s, and so is
constexpr int64_t kMostPlaneBytes = 1 << 23;  // what needs more for one row of an image
constexpr int64_t kUsualPositions = 2048;     // of a chunk, which stays in the caches
constexpr int32_t kFullChannels = 4;          // gradients that are computed in full at a time

// Where the taps of an axis read: `place` of their plane, from `shift` on.
struct PhaseAxis {
  int32_t low, span;  // input positions, in strides, of the first place and behind the last output
  int32_t phases;
  int32_t residues[kMostPhaseTaps], places[kMostPhaseTaps], shifts[kMostPhaseTaps];
};

static inline bool PlanAxis(const Axis& axis, PhaseAxis* plan) {
  if (axis.kernel > kMostPhaseTaps) return false;
  *plan = {};
  int32_t high = 0;
  for (int32_t k = 0; k < axis.kernel; ++k) {
    const int32_t offset = k * axis.dilation - axis.pad;
    const int32_t residue = (offset % axis.stride + axis.stride) % axis.stride;
    const int32_t shift = (offset - residue) / axis.stride;
    if (k == 0) plan->low = shift;  // offsets grow
    high = shift;
    int32_t place = 0;
    while (place < plan->phases && plan->residues[place] != residue) ++place;
    if (place == plan->phases) plan->residues[plan->phases++] = residue;
    plan->places[k] = place;
    plan->shifts[k] = shift - plan->low;
  }
  plan->span = high - plan->low;
  return true;
}

// How a call is computed, and where its parts lie in scratch.
struct SignPlan {
  bool is_fast;
  PhaseAxis height, width;
  int32_t inputs, outputs, rows;  // of a group
  int32_t images, lines;          // of a chunk
  int32_t pitch;                  // places of a line of a plane
  int32_t positions, places;      // of gradients, and of codes, in a plane
  int32_t planes;
  size_t sums, channels, counts;  // bytes before each
  size_t codes, high_codes, gradients, bytes, rests, blocks, block_counts, totals;
  size_t total_bytes;
};

static inline int64_t RoundedUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// The chunks of `usual` positions, or of one line where that has more.
template <typename Simd>
bool PlanChunk(const Conv2DGradientArgs& layer, int64_t usual, SignPlan* plan) {
  const int64_t pitch = int64_t{layer.window.width.output} + plan->width.span;
  const int32_t height = layer.window.height.output, span = plan->height.span;
  const int64_t image = (int64_t{height} + span) * pitch;
  plan->images = 1;
  plan->lines = height;
  if (image <= usual) {
    const int64_t images = usual / image;
    plan->images = images < layer.input.batch ? static_cast<int32_t>(images) : layer.input.batch;
  } else {
    const int64_t fitting = usual / pitch - span, least = span > 0 ? 4 * int64_t{span} : 1;
    const int64_t lines = fitting < least ? least : fitting;
    if (lines < height) plan->lines = static_cast<int32_t>(RoundedUp(height, lines) / lines);
    if (lines < height) plan->lines = (height + plan->lines - 1) / plan->lines;  // even chunks
  }
  const int64_t all = plan->images * (int64_t{plan->lines} + span) * pitch;
  const int64_t reach = span * pitch + plan->width.span;
  const int64_t positions = RoundedUp(all - reach, Simd::kStep);
  const int64_t places = RoundedUp((positions + reach > all ? positions + reach : all) + 1, 64);
  if (places > kMostPlaneBytes || places * plan->planes > kMostPlaneBytes ||
      positions * layer.output_channels > kMostPlaneBytes / 2) {
    return false;
  }
  plan->pitch = static_cast<int32_t>(pitch);
  plan->positions = static_cast<int32_t>(positions);
  plan->places = static_cast<int32_t>(places);
  return true;
}

template <typename Simd>
Status PlanSigns(const PredictedSignsArgs& args, SignPlan* plan) {
  GradientSizes sizes;
  const Status status = CheckPredictedSigns(args, &sizes);
  if (status != Status::kOk) return status;
  const Conv2DGradientArgs& layer = args.layer;
  *plan = {};
  if (!PlanAxis(layer.window.height, &plan->height)) return Status::kOk;
  if (!PlanAxis(layer.window.width, &plan->width)) return Status::kOk;
  plan->inputs = layer.input.channels / layer.groups;
  plan->outputs = layer.output_channels / layer.groups;
  plan->rows = layer.window.height.kernel * layer.window.width.kernel * plan->inputs;
  const int64_t planes = int64_t{layer.input.channels} * plan->height.phases * plan->width.phases;
  if (planes > kMostPlaneBytes) return Status::kOk;
  plan->planes = static_cast<int32_t>(planes);
  for (int64_t usual = kUsualPositions; usual >= 64 && !plan->is_fast; usual /= 2) {
    plan->is_fast = PlanChunk<Simd>(layer, usual, plan);
  }
  size_t end = 0;
  const auto part = [&end](int64_t bytes) {
    const size_t begin = end;
    end += AlignedBytes(static_cast<size_t>(bytes));
    return begin;
  };
  const int64_t weights = sizes.output, outputs = layer.output_channels;
  const int64_t numbers = outputs * plan->positions;
  plan->sums = part(weights * sizeof(int64_t));
  plan->channels = part(weights * sizeof(int32_t));
  plan->counts = part(plan->rows * sizeof(int32_t));
  plan->codes = part(planes * plan->places);
  plan->high_codes = part(planes * plan->places);
  plan->gradients = part(numbers * sizeof(int16_t));
  plan->bytes = part(numbers);  // bytes and rests are one part where predictions take int16
  plan->rests = plan->bytes + numbers;
  part(numbers);
  plan->blocks = part(numbers / Simd::kStep * sizeof(int32_t));
  plan->block_counts = part(outputs * sizeof(int32_t));
  plan->totals = part(outputs * sizeof(int32_t));
  plan->total_bytes = end + kScratchAlignment;
  return Status::kOk;
}

template <typename Simd>
class SignGradient {
 public:
  SignGradient(const PredictedSignsArgs& args, const SignPlan& plan, const SignTensors& tensors)
      : layer_(args.layer), prediction_(args.prediction), plan_(plan), tensors_(tensors) {
    uint8_t* start = AlignedStart(tensors.scratch.data);
    sums_ = reinterpret_cast<int64_t*>(start + plan.sums);
    channels_ = reinterpret_cast<int32_t*>(start + plan.channels);
    counts_ = reinterpret_cast<int32_t*>(start + plan.counts);
    codes_ = reinterpret_cast<int8_t*>(start + plan.codes);
    high_codes_ = reinterpret_cast<int8_t*>(start + plan.high_codes);
    gradients_ = reinterpret_cast<int16_t*>(start + plan.gradients);
    bytes_ = reinterpret_cast<int8_t*>(start + plan.bytes);
    rests_ = reinterpret_cast<int8_t*>(start + plan.rests);
    blocks_ = reinterpret_cast<int32_t*>(start + plan.blocks);
    block_counts_ = reinterpret_cast<int32_t*>(start + plan.block_counts);
    totals_ = reinterpret_cast<int32_t*>(start + plan.totals);
    predicts_ = prediction_.predicted_bits > 0;
    in_bytes_ = prediction_.predicted_bits <= kByteBits &&
                prediction_.predicted_gradient_bits <= kByteGradientBits;
    chunks_per_image_ = (layer_.window.height.output + plan.lines - 1) / plan.lines;
    chunks_ = (layer_.input.batch + plan.images - 1) / plan.images * chunks_per_image_;
  }

  void Run() {
    const size_t weights = size_t(plan_.rows) * layer_.output_channels;
    memset(sums_, 0, weights * sizeof(int64_t));
    for (int32_t chunk = 0; chunk < chunks_ && predicts_; ++chunk) {
      CopyChunk(chunk);
      in_bytes_ ? PredictBytes() : PredictWords();
    }
    Decide();
    for (int32_t chunk = 0; chunk < chunks_; ++chunk) {
      if (chunks_ > 1 || !predicts_) CopyChunk(chunk);
      for (int32_t row = 0; row < plan_.rows; ++row) MultiplyRow(row);
    }
    for (int32_t row = 0; row < plan_.rows; ++row) {
      const size_t first = size_t(row) * layer_.output_channels;
      for (int32_t i = 0; i < counts_[row]; ++i) {
        tensors_.output.data[first + channels_[first + i]] = SignOf(sums_[first + i]);
      }
    }
  }

 private:
  static constexpr int32_t kRows = Simd::kTileRows, kChannels = Simd::kTileChannels;

  // Calls visit(image, line, place) for all lines of a chunk's planes that have an image, counted
  // in outputs, and for those behind them.
  template <typename Visit>
  void ForEachLine(int32_t chunk, const Visit& visit) const {
    const int32_t image = chunk / chunks_per_image_ * plan_.images;
    const int32_t line = chunk % chunks_per_image_ * plan_.lines;
    int32_t place = 0;
    for (int32_t i = 0; i < plan_.images; ++i) {
      for (int32_t y = 0; y < plan_.lines + plan_.height.span; ++y, place += plan_.pitch) {
        visit(image + i, line, y, place);
      }
    }
  }

  void CopyChunk(int32_t chunk) {
    CopyCodes(chunk);
    CopyGradients(chunk);
  }

  void CopyCodes(int32_t chunk) {
    const size_t places = size_t(plan_.places);
    const int32_t channels = layer_.input.channels;
    const Axis& width = layer_.window.width;
    memset(codes_, 0, size_t(plan_.planes) * places);
    for (int32_t phase = 0; phase < plan_.height.phases * plan_.width.phases; ++phase) {
      const int32_t above = plan_.height.residues[phase / plan_.width.phases];
      const int32_t left = plan_.width.residues[phase % plan_.width.phases];
      int8_t* planes = codes_ + size_t(phase) * channels * places;
      // Places of a line that lie in the image.
      const int32_t first = plan_.width.low * width.stride + left;
      const int32_t begin = first >= 0 ? 0 : (-first + width.stride - 1) / width.stride;
      int32_t end = first < width.input ? (width.input - 1 - first) / width.stride + 1 : 0;
      if (end > plan_.pitch) end = plan_.pitch;
      ForEachLine(chunk, [&](int32_t image, int32_t line, int32_t y, int32_t place) {
        const int64_t row =
            (int64_t{line} + y + plan_.height.low) * layer_.window.height.stride + above;
        if (image >= layer_.input.batch || row < 0 || row >= layer_.input.height) return;
        const int64_t pixel = (int64_t{image} * layer_.input.height + row) * width.input + first +
                              int64_t{begin} * width.stride;
        CopyTurned(tensors_.values.data + pixel * channels, end - begin,
                   size_t(width.stride) * channels, channels, planes + place + begin, places);
      });
    }
    if (predicts_) TakeHighCodes();
  }

  void TakeHighCodes() {
    const int32_t bits = prediction_.bits, most = prediction_.predicted_bits;
    const int32_t bias = in_bytes_ ? Simd::kBias : 0;
    // As MostSignificant, in numbers that compilers put more of into a register.
    const int16_t cut = static_cast<int16_t>(bits - most), limit = int16_t(1 << (most - 1));
    const int16_t half = prediction_.carries && cut > 0 ? int16_t(1 << (cut - 1)) : int16_t{0};
    const size_t all = size_t(plan_.planes) * plan_.places;
    for (size_t i = 0; i < all; ++i) {
      int16_t high = static_cast<int16_t>(static_cast<int16_t>(codes_[i] + half) >> cut);
      high = high < -limit ? int16_t(-limit) : high;
      high = high >= limit ? int16_t(limit - 1) : high;
      high_codes_[i] = static_cast<int8_t>(high + bias);
    }
  }

  void CopyGradients(int32_t chunk) {
    const size_t positions = size_t(plan_.positions);
    const int32_t outputs = layer_.output_channels;
    const Axis &height = layer_.window.height, &width = layer_.window.width;
    memset(gradients_, 0, outputs * positions * sizeof(int16_t));
    ForEachLine(chunk, [&](int32_t image, int32_t line, int32_t y, int32_t place) {
      if (image >= layer_.input.batch || y >= plan_.lines || line + y >= height.output) return;
      const size_t pixel = (size_t(image) * height.output + line + y) * width.output;
      CopyTurned(tensors_.gradients.data + pixel * outputs, width.output, size_t(outputs), outputs,
                 gradients_ + place, positions);
    });
    if (!predicts_) return;
    for (int32_t channel = 0; channel < outputs; ++channel) TakeHighGradients(channel);
  }

  // Of `pixels`, `step` numbers apart, the numbers of each channel into a plane.
  template <typename T>
  static void CopyTurned(const T* from, int32_t pixels, size_t step, int32_t channels, T* to,
                         size_t plane) {
    constexpr int32_t kPixels = 8;
    int32_t x = 0;
    for (; x + kPixels <= pixels; x += kPixels) {
      const T* pixel = from + x * step;
      T* place = to + x;
      for (int32_t c = 0; c < channels; ++c, place += plane) {
        T several[kPixels];
        for (int32_t i = 0; i < kPixels; ++i) several[i] = pixel[i * step + c];
        memcpy(place, several, sizeof(several));
      }
    }
    for (; x < pixels; ++x) {
      for (int32_t c = 0; c < channels; ++c) to[x + c * plane] = from[x * step + c];
    }
  }

  void TakeHighGradients(int32_t channel) {
    const int32_t positions = plan_.positions;
    const size_t first = size_t(channel) * positions;
    const int16_t* from = gradients_ + first;
    const int32_t cut = prediction_.gradient_bits - prediction_.predicted_gradient_bits;
    const int32_t half = cut > 0 ? 1 << (cut - 1) : 0;
    const int32_t limit = 1 << (prediction_.predicted_gradient_bits - 1);
    const auto high_of = [=](int32_t gradient) {
      const int32_t high = (gradient + half) >> cut;
      return high < -limit ? -limit : high >= limit ? limit - 1 : high;
    };
    if (!in_bytes_) {
      int16_t* to = reinterpret_cast<int16_t*>(bytes_) + first;
      for (int32_t i = 0; i < positions; ++i) to[i] = static_cast<int16_t>(high_of(from[i]));
      return;
    }
    int8_t *bytes = bytes_ + first, *rests = rests_ + first;
    int32_t* blocks = blocks_ + first / Simd::kStep;
    int32_t total = 0, count = 0;
    for (int32_t block = 0; block < positions; block += Simd::kStep) {
      int32_t any = 0;
      for (int32_t i = block; i < block + Simd::kStep; ++i) {
        const int32_t high = high_of(from[i]);
        const int32_t near = high < -124 ? -124 : high > 124 ? 124 : high;
        const int32_t rest = high > 127 || high < -127 ? (high - near) / 4 : 0;
        bytes[i] = static_cast<int8_t>(high - 4 * rest);
        rests[i] = static_cast<int8_t>(rest);
        any |= rest;
        total += high;
      }
      if (any != 0) blocks[count++] = block / Simd::kStep;
    }
    block_counts_[channel] = count;
    totals_[channel] = total;
  }

  // Where a row reads, from the first of the planes on.
  size_t PlaceOf(int32_t group, int32_t row) const {
    const int32_t tap = row / plan_.inputs, input = group * plan_.inputs + row % plan_.inputs;
    const int32_t ky = tap / layer_.window.width.kernel, kx = tap % layer_.window.width.kernel;
    const int32_t phase = plan_.height.places[ky] * plan_.width.phases + plan_.width.places[kx];
    return (size_t(phase) * layer_.input.channels + input) * plan_.places +
           size_t(plan_.height.shifts[ky]) * plan_.pitch + plan_.width.shifts[kx];
  }

  int64_t* SumAt(int32_t row, int32_t channel) const {
    return sums_ + size_t(row) * layer_.output_channels + channel;
  }

  void PredictBytes() {
    for (int32_t group = 0; group < layer_.groups; ++group) {
      const int32_t end = (group + 1) * plan_.outputs;
      for (int32_t row = 0; row < plan_.rows; row += kRows) {
        const int8_t* codes[kRows];
        for (int32_t i = 0; i < kRows; ++i) {  // the last one again where there are no more
          const int32_t read = row + i < plan_.rows ? row + i : plan_.rows - 1;
          codes[i] = high_codes_ + PlaceOf(group, read);
        }
        const int32_t rows = plan_.rows - row < kRows ? plan_.rows - row : kRows;
        int32_t channel = group * plan_.outputs;
        for (; channel + kChannels <= end; channel += kChannels) {
          PredictTile<kChannels>(codes, row, rows, channel);
        }
        for (; channel < end; ++channel) PredictTile<1>(codes, row, rows, channel);
      }
    }
  }

  template <int32_t kWide>
  void PredictTile(const int8_t* const* codes, int32_t row, int32_t rows, int32_t channel) {
    const size_t positions = size_t(plan_.positions);
    const int8_t* bytes[kWide];
    for (int32_t c = 0; c < kWide; ++c) bytes[c] = bytes_ + (channel + c) * positions;
    int32_t found[kRows * kWide];
    Simd::template Predict<kRows, kWide>(codes, bytes, nullptr, plan_.positions / Simd::kStep,
                                         found);
    for (int32_t c = 0; c < kWide; ++c) {
      int32_t rests[kRows] = {};
      const int32_t count = block_counts_[channel + c];
      if (count > 0) {
        const int8_t* rest = rests_ + (channel + c) * positions;
        Simd::template Predict<kRows, 1>(
            codes, &rest, blocks_ + (channel + c) * (positions / Simd::kStep), count, rests);
      }
      const int64_t bias = int64_t{Simd::kBias} * totals_[channel + c];
      for (int32_t r = 0; r < rows; ++r) {
        *SumAt(row + r, channel + c) += found[r * kWide + c] + int64_t{4} * rests[r] - bias;
      }
    }
  }

  // Predictions from more bits than bytes hold.
  void PredictWords() {
    const int16_t* words = reinterpret_cast<const int16_t*>(bytes_);
    for (int32_t row = 0; row < plan_.rows; ++row) {
      int32_t* channels = channels_;
      for (int32_t c = 0; c < layer_.output_channels; ++c) channels[c] = c;
      MultiplyChannels(row, high_codes_, words, channels, layer_.output_channels);
    }
  }

  // Writes the signs that are predicted, and which channels of a row are left.
  void Decide() {
    const int32_t outputs = layer_.output_channels;
    const size_t weights = size_t(plan_.rows) * outputs;
    int64_t largest = 0;
    for (size_t i = 0; i < weights; ++i) {
      const int64_t size = MagnitudeOf(sums_[i]);
      largest = size > largest ? size : largest;
    }
    const int64_t least = LeastPrediction(prediction_.beta, largest);
    for (int32_t row = 0; row < plan_.rows; ++row) {
      const size_t first = size_t(row) * outputs;
      int32_t count = 0;
      for (int32_t c = 0; c < outputs; ++c) {
        const int64_t sum = sums_[first + c];
        tensors_.output.data[first + c] = SignOf(sum);
        channels_[first + count] = c;
        count += !predicts_ || MagnitudeOf(sum) < least ? 1 : 0;
      }
      counts_[row] = count;
      for (int32_t i = 0; i < count; ++i) sums_[first + i] = 0;
    }
  }

  void MultiplyRow(int32_t row) {
    MultiplyChannels(row, codes_, gradients_, channels_ + size_t(row) * layer_.output_channels,
                     counts_[row]);
  }

  // Adds to the first `count` sums of a row those of the channels that are listed.
  void MultiplyChannels(int32_t row, const int8_t* codes, const int16_t* gradients,
                        const int32_t* channels, int32_t count) {
    int64_t* sums = SumAt(row, 0);
    for (int32_t i = 0; i < count;) {
      const int32_t group = channels[i] / plan_.outputs;
      const int8_t* from = codes + PlaceOf(group, row);
      int32_t same = 1;
      while (same < kFullChannels && i + same < count &&
             channels[i + same] / plan_.outputs == group) {
        ++same;
      }
      const int16_t* several[kFullChannels];
      for (int32_t c = 0; c < same; ++c) {
        several[c] = gradients + size_t(channels[i + c]) * plan_.positions;
      }
      const int32_t steps = plan_.positions / 16;
      switch (same) {
        case 4:
          Simd::template Multiply<4>(from, several, steps, sums + i);
          break;
        case 3:
          Simd::template Multiply<3>(from, several, steps, sums + i);
          break;
        case 2:
          Simd::template Multiply<2>(from, several, steps, sums + i);
          break;
        default:
          Simd::template Multiply<1>(from, several, steps, sums + i);
      }
      i += same;
    }
  }

  const Conv2DGradientArgs& layer_;
  const SignPrediction& prediction_;
  const SignPlan& plan_;
  const SignTensors& tensors_;
  bool predicts_, in_bytes_;
  int32_t chunks_, chunks_per_image_;
  int64_t* sums_;
  int32_t *channels_, *counts_;
  int8_t *codes_, *high_codes_;
  int16_t* gradients_;
  int8_t *bytes_, *rests_;
  int32_t *blocks_, *block_counts_, *totals_;
};

template <typename Simd>
Status PredictedSignsScratchBytesOn(const PredictedSignsArgs& args, size_t* bytes) {
  SignPlan plan;
  *bytes = 0;
  const Status status = PlanSigns<Simd>(args, &plan);
  if (status == Status::kOk && plan.is_fast) *bytes = plan.total_bytes;
  return status;
}

template <typename Simd>
Status PredictedSignsOn(const PredictedSignsArgs& args, const SignTensors& tensors) {
  GradientSizes sizes;
  SignPlan plan;
  Status status = CheckPredictedSigns(args, &sizes);
  if (status == Status::kOk) status = CheckSignTensors(sizes, tensors);
  if (status == Status::kOk) status = PlanSigns<Simd>(args, &plan);
  if (status != Status::kOk) return status;
  if (!plan.is_fast) return PredictedSigns(args, tensors);
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  SignGradient<Simd>(args, plan, tensors).Run();
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
