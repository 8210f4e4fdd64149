#pragma once  // arch/predicted_signs.h: signs of a kernel's gradient, predicted from high bits.

#include "tflite_kernels/arch/float_matmul.h"
#include "tflite_kernels/arch/sign_planes.h"

// Tiles of weights are predicted; then what no prediction decides is computed in full, weight by
// weight of a row or, where most of a channel is left, by tiles again. Where a prediction has all
// bits of the codes, a full gradient goes on from it and multiplies only what the prediction left
// of the output's gradient.
//
// An instruction set gives, beside what sign_planes.h asks for,
//   kTileRows, kTileChannels, how many rows and channels are multiplied at a time,
//   Dot<rows, channels, width>(codes, bytes, blocks, count, sums): writes the sums of each row and
//     channel over `count` blocks, the first ones where `blocks` is null,
//   Multiply<channels>(codes, words, steps, sums), where it has no pairs: adds the sums of codes
//     and int16 over steps of 16 positions to int64.

namespace edgeax {
namespace {

enum class Width {
  kNarrow,  // codes of 4 bits at most
  kUsual,   // of 8 bits, none of which is -128
  kWide     // of 8 bits
};

template <typename Simd>
class SignGradient {
 public:
  SignGradient(const PredictedSignsArgs& args, const SignPlan& plan, const SignTensors& tensors)
      : layer_(args.layer),
        prediction_(args.prediction),
        plan_(plan),
        output_(tensors.output.data),
        planes_(args, plan, tensors) {
    uint8_t* start = planes_.start();
    sums_ = reinterpret_cast<int64_t*>(start + plan.sums);
    open_ = start + plan.open;
    lists_ = reinterpret_cast<int32_t*>(start + plan.lists);
  }

  void Run() {
    const size_t weights = size_t(plan_.rows) * layer_.output_channels;
    memset(sums_, 0, weights * sizeof(int64_t));
    const bool predicts = prediction_.predicted_bits > 0;
    for (int32_t chunk = 0; chunk < plan_.chunks && predicts; ++chunk) {
      Read(chunk, plan_.predicted, true);
      AddPredictions();
    }
    Decide(predicts);
    if (plan_.full.kind == FactorKind::kNone) return;
    for (int32_t chunk = 0; chunk < plan_.chunks; ++chunk) {
      Read(chunk, plan_.full, !predicts || (plan_.chunks > 1 && !plan_.keeps));
      AddOpen();
    }
    for (size_t i = 0; i < weights; ++i) {
      if (open_[i] != 0) output_[i] = SignOf(sums_[i]);
    }
  }

 private:
  static constexpr int32_t kRows = Simd::kTileRows, kChannels = Simd::kTileChannels;

  // Rows beside each other, and where their codes lie; the last one again where there are no more.
  struct Panel {
    int32_t group, row, rows;
    const int8_t* codes[kRows];
  };

  // What is multiplied from now on.
  void Read(int32_t chunk, const Factor& factor, bool copies) {
    if (copies) planes_.Copy(chunk);
    const bool is_full = &factor == &plan_.full;
    start_ = planes_.ChunkAt(chunk);
    factor_ = &factor;
    const int32_t bits = is_full ? prediction_.bits : prediction_.predicted_bits;
    width_ = bits <= kNarrowBits ? Width::kNarrow : Width::kUsual;
    codes_ = reinterpret_cast<const int8_t*>(start_ + (is_full ? plan_.codes : plan_.high_codes));
    if (copies && Simd::kBias != 0) {
      SetTotals(plan_.predicted);
      SetTotals(plan_.full);
    }
    if (bits == 8 && (!Simd::kFearsLeast || start_[plan_.has_least] != 0)) width_ = Width::kWide;
  }

  template <typename T>
  T* In(size_t offset) const {
    return reinterpret_cast<T*>(start_ + offset);
  }

  // The sums of channels' numbers, which the bias of codes is multiplied by.
  void SetTotals(const Factor& factor) const {
    if (factor.kind == FactorKind::kNone || factor.kind == FactorKind::kWords) return;
    const int8_t* ones = planes_.ones();
    int64_t* totals = In<int64_t>(factor.totals);
    for (int32_t channel = 0; channel < layer_.output_channels; ++channel) {
      totals[channel] = 0;
      Multiply<1, 1, Width::kNarrow>(factor, &ones, &channel, totals + channel);
    }
  }

  // Where a row reads, from the first of the planes on.
  size_t PlaceOf(int32_t group, int32_t row) const {
    const int32_t tap = row / plan_.inputs, input = group * plan_.inputs + row % plan_.inputs;
    const int32_t ky = tap / layer_.window.width.kernel, kx = tap % layer_.window.width.kernel;
    const int32_t phase = plan_.height.places[ky] * plan_.width.phases + plan_.width.places[kx];
    return (size_t(phase) * layer_.input.channels + input) * plan_.code_plane +
           size_t(plan_.height.shifts[ky]) * plan_.pitch + plan_.width.shifts[kx];
  }

  template <typename Visit>
  void ForEachPanel(const Visit& visit) const {
    for (int32_t group = 0; group < layer_.groups; ++group) {
      for (int32_t row = 0; row < plan_.rows; row += kRows) {
        const int32_t rows = plan_.rows - row < kRows ? plan_.rows - row : kRows;
        Panel panel = {group, row, rows, {}};
        for (int32_t i = 0; i < kRows; ++i) {
          panel.codes[i] = codes_ + PlaceOf(group, row + (i < rows ? i : rows - 1));
        }
        visit(panel);
      }
    }
  }

  void AddPredictions() const {
    ForEachPanel([&](const Panel& panel) {
      for (int32_t c = 0; c < plan_.outputs; ++c) lists_[c] = panel.group * plan_.outputs + c;
      AddPanel(panel, lists_, plan_.outputs);
    });
  }

  // Writes the signs that are predicted, and which weights are left.
  void Decide(bool predicts) {
    const size_t weights = size_t(plan_.rows) * layer_.output_channels;
    int64_t largest = 0;
    for (size_t i = 0; i < weights; ++i) {
      const int64_t size = MagnitudeOf(sums_[i]);
      largest = size > largest ? size : largest;
    }
    const int64_t least = predicts ? LeastPrediction(prediction_.beta, largest) : INT64_MAX;
    const int32_t cut = prediction_.gradient_bits - prediction_.predicted_gradient_bits;
    const int64_t unit = plan_.reuses ? int64_t{1} << cut : 0;
    for (size_t i = 0; i < weights; ++i) {
      output_[i] = SignOf(sums_[i]);
      open_[i] = MagnitudeOf(sums_[i]) < least ? 1 : 0;
      sums_[i] *= unit;
    }
  }

  // What no prediction decides. More than half of a channel's weights of a panel cost more one by
  // one than all of them together.
  void AddOpen() const {
    const size_t outputs = size_t(layer_.output_channels);
    const bool has_tiles = factor_->kind != FactorKind::kWords;
    ForEachPanel([&](const Panel& panel) {
      int32_t *many = lists_, *few = lists_ + outputs;
      int32_t many_count = 0, few_count = 0;
      const uint8_t* open = open_ + size_t(panel.row) * outputs;
      for (int32_t c = 0; c < plan_.outputs; ++c) {
        const int32_t channel = panel.group * plan_.outputs + c;
        int32_t count = 0;
        for (int32_t r = 0; r < panel.rows; ++r) count += open[size_t(r) * outputs + channel];
        const bool is_many = has_tiles && 2 * count > kRows;
        many[many_count] = few[few_count] = channel;
        many_count += is_many ? 1 : 0;
        few_count += count > 0 && !is_many ? 1 : 0;
      }
      AddPanel(panel, many, many_count);
      for (int32_t r = 0; r < panel.rows && few_count > 0; ++r) {
        int32_t count = 0;
        for (int32_t i = 0; i < few_count; ++i) {
          many[count] = few[i];
          count += open[size_t(r) * outputs + few[i]];
        }
        AddRow(panel.codes[r], panel.row + r, many, count);
      }
    });
  }

  void AddPanel(const Panel& panel, const int32_t* channels, int32_t count) const {
    if (factor_->kind == FactorKind::kWords) {
      for (int32_t r = 0; r < panel.rows; ++r) {
        AddRow(panel.codes[r], panel.row + r, channels, count);
      }
      return;
    }
    int32_t c = 0;
    for (; c + kChannels <= count; c += kChannels) {
      AddTile<kRows, kChannels>(panel.codes, panel.row, panel.rows, channels + c);
    }
    for (; c < count; ++c) {
      AddTile<kRows, 1>(panel.codes, panel.row, panel.rows, channels + c);
    }
  }

  void AddRow(const int8_t* codes, int32_t row, const int32_t* channels, int32_t count) const {
    int32_t c = 0;
    for (; c + 4 <= count; c += 4) AddListed<4>(codes, row, channels + c);
    switch (count - c) {
      case 3:
        return AddListed<3>(codes, row, channels + c);
      case 2:
        return AddListed<2>(codes, row, channels + c);
      case 1:
        return AddListed<1>(codes, row, channels + c);
    }
  }

  template <int32_t kWide>
  void AddListed(const int8_t* codes, int32_t row, const int32_t* channels) const {
    factor_->kind == FactorKind::kWords ? AddWords<kWide>(codes, row, channels)
                                        : AddTile<1, kWide>(&codes, row, 1, channels);
  }

  template <int32_t kWide>
  void AddWords(const int8_t* codes, int32_t row, const int32_t* channels) const {
    if constexpr (!Simd::kHasPairs) {
      const int16_t* words[kWide];
      for (int32_t c = 0; c < kWide; ++c) {
        words[c] = In<int16_t>(factor_->numbers) + size_t(channels[c]) * plan_.gradient_plane;
      }
      int64_t found[kWide] = {};
      Simd::template Multiply<kWide>(codes, words, plan_.positions / 16, found);
      int64_t* sums = sums_ + size_t(row) * layer_.output_channels;
      for (int32_t c = 0; c < kWide; ++c) sums[channels[c]] += found[c];
    }
  }

  // Adds the sums of `rows` rows from `row` on, which are kTall at most.
  template <int32_t kTall, int32_t kWide>
  void AddTile(const int8_t* const* codes, int32_t row, int32_t rows,
               const int32_t* channels) const {
    int64_t found[kTall * kWide] = {};
    if constexpr (Simd::kHasPairs || !Simd::kIsWide) {
      Multiply<kTall, kWide, Width::kNarrow>(*factor_, codes, channels, found);
    } else if (width_ == Width::kNarrow) {
      Multiply<kTall, kWide, Width::kNarrow>(*factor_, codes, channels, found);
    } else if (width_ == Width::kUsual) {
      Multiply<kTall, kWide, Width::kUsual>(*factor_, codes, channels, found);
    } else {
      Multiply<kTall, kWide, Width::kWide>(*factor_, codes, channels, found);
    }
    int64_t bias[kWide] = {};
    for (int32_t c = 0; c < kWide && Simd::kBias != 0; ++c) {
      bias[c] = Simd::kBias * In<int64_t>(factor_->totals)[channels[c]];
    }
    for (int32_t r = 0; r < rows; ++r) {
      int64_t* sums = sums_ + size_t(row + r) * layer_.output_channels;
      for (int32_t c = 0; c < kWide; ++c) sums[channels[c]] += found[r * kWide + c] - bias[c];
    }
  }

  // Adds up rows of codes and channels' numbers.
  template <int32_t kTall, int32_t kWide, Width width>
  void Multiply(const Factor& factor, const int8_t* const* codes, const int32_t* channels,
                int64_t* sums) const {
    const size_t plane = plan_.gradient_plane, most = size_t(plan_.positions) / Simd::kStep;
    int32_t found[kTall * kWide];
    for (int32_t part = 0; part < factor.planes; ++part) {
      const int8_t* from =
          In<int8_t>(factor.numbers) + size_t(part) * layer_.output_channels * plane;
      const int8_t* bytes[kWide];
      for (int32_t c = 0; c < kWide; ++c) bytes[c] = from + size_t(channels[c]) * plane;
      Simd::template Dot<kTall, kWide, width>(codes, bytes, nullptr, static_cast<int32_t>(most),
                                              found);
      const int64_t unit = part == 0 ? 1 : 256;
      for (int32_t i = 0; i < kTall * kWide; ++i) sums[i] += unit * found[i];
    }
    for (int32_t c = 0; c < kWide; ++c) {
      const int32_t count = In<int32_t>(factor.counts)[channels[c]];
      if (count == 0) continue;
      const int8_t* rests = In<int8_t>(factor.rests) + size_t(channels[c]) * plane;
      const int32_t* blocks = In<int32_t>(factor.blocks) + size_t(channels[c]) * most;
      Simd::template Dot<kTall, 1, width>(codes, &rests, blocks, count, found);
      for (int32_t r = 0; r < kTall; ++r) sums[r * kWide + c] += int64_t{factor.rest} * found[r];
    }
  }

  const Conv2DGradientArgs& layer_;
  const SignPrediction& prediction_;
  const SignPlan& plan_;
  float* output_;
  const SignPlanes<Simd> planes_;
  int64_t* sums_;
  uint8_t* open_;
  int32_t* lists_;
  uint8_t* start_ = nullptr;  // of the chunk
  const Factor* factor_ = nullptr;
  Width width_ = Width::kNarrow;
  const int8_t* codes_ = nullptr;
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
