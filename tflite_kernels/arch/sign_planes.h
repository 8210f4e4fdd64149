#pragma once  // arch/sign_planes.h: what signs are predicted from, positions beside each other.

#include <string.h>

#include "tflite_kernels/arch/sign_plan.h"

// An instruction set gives, beside what sign_plan.h asks for,
//   Turn(pixels, channel, to, plane), which writes 8 channels of 8 pixels, those of each channel
//     beside each other and the channels `plane` numbers apart, of int8 or int16.

namespace edgeax {
namespace {

// Vectors of the compiler's, which all of them have instructions for.
typedef int8_t Bytes16 __attribute__((vector_size(16)));
typedef uint8_t Unsigned16 __attribute__((vector_size(16)));
typedef int8_t Bytes8 __attribute__((vector_size(8)));
typedef int16_t Words8 __attribute__((vector_size(16)));

template <typename Vector>
inline Vector LoadAs(const void* from) {
  Vector vector;
  memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <typename Vector>
inline void StoreAt(void* to, Vector vector) {
  memcpy(to, &vector, sizeof(vector));
}

template <typename Vector, typename Number>
inline Vector Clip(Vector vector, Number low, Number high) {
  const Vector lows = Vector{} + low, highs = Vector{} + high;
  vector = vector < lows ? lows : vector;
  return vector > highs ? highs : vector;
}

inline Unsigned16 Biased(Bytes16 codes, uint8_t bias) {
  return reinterpret_cast<Unsigned16>(codes) + bias;
}

// As MostSignificant, without the clip of codes that are too large, and nothing runs over.
template <typename Number>
struct HighBits {
  HighBits(int32_t bits, int32_t most, bool rounds)
      : cut(static_cast<Number>(bits - most)),
        before(static_cast<Number>(cut > 0 ? cut - 1 : 0)),
        carry(rounds && cut > 0 ? Number{1} : Number{0}),
        largest(static_cast<Number>((INT32_C(1) << (most - 1)) - 1)) {}

  template <typename Vector>
  Vector operator()(Vector codes) const {
    const Vector highs = Vector{} + largest, carries = Vector{} + carry;
    const Vector high = (codes >> cut) + ((codes >> before) & carries);
    return high > highs ? highs : high;
  }

  Number cut, before, carry, largest;
};

// Fills the planes of a chunk.
template <typename Simd>
class SignPlanes {
 public:
  SignPlanes(const PredictedSignsArgs& args, const SignPlan& plan, const SignTensors& tensors)
      : layer_(args.layer),
        prediction_(args.prediction),
        plan_(plan),
        tensors_(tensors),
        start_(AlignedStart(tensors.scratch.data)) {
    memset(start_ + plan.zeros, 0, plan.ones - plan.zeros);
    memset(start_ + plan.ones, 1, size_t(plan.positions));
  }

  uint8_t* start() const { return start_; }
  const int8_t* ones() const { return reinterpret_cast<const int8_t*>(start_ + plan_.ones); }

  uint8_t* ChunkAt(int32_t chunk) const {
    return start_ + plan_.chunk + (plan_.keeps ? size_t(chunk) * plan_.chunk_bytes : 0);
  }

  void Copy(int32_t chunk) const {
    CopyCodes(chunk);
    CopyGradients(chunk);
  }

 private:
  // Calls visit(image, line, place) for all lines of a chunk's planes: those of the image, counted
  // in outputs, and those behind them, for which the line is the height.
  template <typename Visit>
  void ForEachLine(int32_t chunk, const Visit& visit) const {
    const int32_t image = chunk / plan_.chunks_per_image * plan_.images;
    const int32_t line = chunk % plan_.chunks_per_image * plan_.lines;
    int32_t place = 0;
    for (int32_t i = 0; i < plan_.images; ++i) {
      for (int32_t y = 0; y < plan_.image_lines; ++y, place += plan_.pitch) {
        visit(image + i, line, y, place);
      }
    }
  }

  // Pixels of `lines`, zeros elsewhere.
  template <typename T>
  const T** Pixels() const {
    const T** pixels = reinterpret_cast<const T**>(start_ + plan_.pixels);
    const T* zeros = reinterpret_cast<const T*>(start_ + plan_.zeros);
    for (int32_t i = 0; i < plan_.places; ++i) pixels[i] = zeros;
    return pixels;
  }

  // Of `count` pixels, which is a multiple of kTurned, the numbers of each channel into a plane.
  template <typename T>
  static void TurnPixels(const T* const* pixels, int32_t count, int32_t channels, T* to,
                         size_t plane) {
    for (int32_t i = 0; i < count; i += kTurned, pixels += kTurned, to += kTurned) {
      if (channels < kTurned) {
        for (int32_t c = 0; c < channels; ++c) {
          for (int32_t k = 0; k < kTurned; ++k) to[c * plane + k] = pixels[k][c];
        }
        continue;
      }
      int32_t c = 0;
      for (; c + kTurned <= channels; c += kTurned) Simd::Turn(pixels, c, to + c * plane, plane);
      const int32_t last = channels - kTurned;  // some a second time where channels are left
      if (c < channels) Simd::Turn(pixels, last, to + last * plane, plane);
    }
  }

  void CopyCodes(int32_t chunk) const {
    const Axis& width = layer_.window.width;
    const int32_t channels = layer_.input.channels;
    int8_t* codes = reinterpret_cast<int8_t*>(ChunkAt(chunk) + plan_.codes);
    for (int32_t phase = 0; phase < plan_.height.phases * plan_.width.phases; ++phase) {
      const int32_t above = plan_.height.residues[phase / plan_.width.phases];
      const int32_t left = plan_.width.residues[phase % plan_.width.phases];
      // Places of a line that lie in the image.
      const int32_t first = plan_.width.low * width.stride + left;
      const int32_t begin = first >= 0 ? 0 : (-first + width.stride - 1) / width.stride;
      int32_t end = first < width.input ? (width.input - 1 - first) / width.stride + 1 : 0;
      if (end > plan_.pitch) end = plan_.pitch;
      const int8_t** pixels = Pixels<int8_t>();
      ForEachLine(chunk, [&](int32_t image, int32_t line, int32_t y, int32_t place) {
        const int64_t row =
            (int64_t{line} + y + plan_.height.low) * layer_.window.height.stride + above;
        if (image >= layer_.input.batch || row < 0 || row >= layer_.input.height) return;
        const int64_t pixel = (int64_t{image} * layer_.input.height + row) * width.input + first;
        const int8_t* from = tensors_.values.data + pixel * channels;
        const int64_t step = int64_t{width.stride} * channels;
        for (int32_t x = begin; x < end; ++x) pixels[place + x] = from + x * step;
      });
      TurnPixels(pixels, plan_.places, channels,
                 codes + size_t(phase) * channels * plan_.code_plane, plan_.code_plane);
    }
    if (Simd::kFearsLeast) ChunkAt(chunk)[plan_.has_least] = HasLeast(codes) ? 1 : 0;
    TakeHighCodes(codes, reinterpret_cast<int8_t*>(ChunkAt(chunk) + plan_.high_codes));
  }

  bool HasLeast(const int8_t* codes) const {
    Bytes16 any = {};
    const size_t all = size_t(plan_.planes) * plan_.code_plane;
    for (size_t i = 0; i < all; i += sizeof(Bytes16)) any |= LoadAs<Bytes16>(codes + i) == -128;
    return IsAny(any);
  }

  void TakeHighCodes(int8_t* codes, int8_t* high_codes) const {
    const int32_t bits = prediction_.bits, most = prediction_.predicted_bits;
    const int8_t largest = static_cast<int8_t>((1 << (bits - 1)) - 1);
    const int8_t least = static_cast<int8_t>(-largest - 1);
    const bool is_biased = plan_.predicted.kind != FactorKind::kWords;
    const uint8_t high_bias = is_biased ? Simd::kBias : 0;
    const uint8_t bias = Simd::kHasPairs ? Simd::kBias : 0;
    const size_t all = size_t(plan_.planes) * plan_.code_plane;
    if (high_codes == codes) {
      if (bits == 8 && bias == 0) return;
      for (size_t i = 0; i < all; i += sizeof(Bytes16)) {
        StoreAt(codes + i, Biased(Clip(LoadAs<Bytes16>(codes + i), least, largest), bias));
      }
      return;
    }
    const HighBits<int8_t> high(bits, most, prediction_.carries != 0);
    for (size_t i = 0; i < all; i += sizeof(Bytes16)) {
      const Bytes16 code = Clip(LoadAs<Bytes16>(codes + i), least, largest);
      StoreAt(high_codes + i, Biased(high(code), high_bias));
      StoreAt(codes + i, Biased(code, bias));
    }
  }

  void CopyGradients(int32_t chunk) const {
    const int32_t outputs = layer_.output_channels;
    const Axis &height = layer_.window.height, &width = layer_.window.width;
    const int16_t** pixels = Pixels<int16_t>();
    ForEachLine(chunk, [&](int32_t image, int32_t line, int32_t y, int32_t place) {
      if (image >= layer_.input.batch || y >= plan_.lines || line + y >= height.output) return;
      const size_t pixel = (size_t(image) * height.output + line + y) * width.output;
      const int16_t* from = tensors_.gradients.data + pixel * outputs;
      for (int32_t x = 0; x < width.output; ++x) pixels[place + x] = from + size_t(x) * outputs;
    });
    int16_t* words = reinterpret_cast<int16_t*>(start_ + plan_.words);
    TurnPixels(pixels, plan_.positions, outputs, words, plan_.gradient_plane);
    uint8_t* start = ChunkAt(chunk);
    const int32_t bits = prediction_.gradient_bits;
    if (bits == 16) {
      TellAll(start, words, [](Words8 word) { return word; });
    } else {
      const int16_t largest = static_cast<int16_t>((1 << (bits - 1)) - 1);
      const int16_t least = static_cast<int16_t>(-largest - 1);
      TellAll(start, words, [=](Words8 word) { return Clip(word, least, largest); });
    }
  }

  // Both factors, of clip(word).
  template <typename Function>
  void TellAll(uint8_t* start, const int16_t* words, const Function& clip) const {
    const HighBits<int16_t> high(prediction_.gradient_bits, prediction_.predicted_gradient_bits,
                                 true);
    const bool is_left = plan_.full.kind == FactorKind::kBytes;  // kLows takes the low byte itself
    const int16_t unit = static_cast<int16_t>(is_left ? 1 << high.cut : 0);
    for (int32_t channel = 0; channel < layer_.output_channels; ++channel) {
      const int16_t* from = words + size_t(channel) * plan_.gradient_plane;
      Tell(start, plan_.predicted, channel, from, [=](Words8 word) { return high(clip(word)); });
      if (is_left) {
        Tell(start, plan_.full, channel, from,
             [=](Words8 word) { return clip(word) - high(clip(word)) * unit; });
      } else {
        Tell(start, plan_.full, channel, from, clip);
      }
    }
  }

  // Writes the numbers of a channel, number(word).
  template <typename Number>
  void Tell(uint8_t* start, const Factor& factor, int32_t channel, const int16_t* words,
            const Number& number) const {
    const size_t plane = plan_.gradient_plane, first = size_t(channel) * plane;
    int8_t* bytes = reinterpret_cast<int8_t*>(start + factor.numbers) + first;
    // By value: what is stored could be any of their members for all that compilers know.
    const auto for_each = [words, number, positions = plan_.positions](const auto& function) {
      for (int32_t i = 0; i < positions; i += 8) function(i, number(LoadAs<Words8>(words + i)));
    };
    const int16_t without = factor.most;
    const auto store = [](int8_t* to, Words8 numbers) {
      StoreAt(to, __builtin_convertvector(numbers, Bytes8));
    };
    Words8 any = {};
    switch (factor.kind) {
      case FactorKind::kNone:
        return;
      case FactorKind::kWords: {
        int16_t* to = reinterpret_cast<int16_t*>(start + factor.numbers) + first;
        return for_each([=](int32_t i, Words8 all) { StoreAt(to + i, all); });
      }
      case FactorKind::kBytes:
        for_each([=](int32_t i, Words8 all) { store(bytes + i, all); });
        break;
      case FactorKind::kFours:
        for_each([=, &any](int32_t i, Words8 all) {
          store(bytes + i, all);
          any |= (all > 127) | (all < -127);
        });
        break;
      case FactorKind::kLows:
        for_each([=, &any](int32_t i, Words8 all) {
          store(bytes + i, all);
          any |= all > without;
        });
        break;
      case FactorKind::kPairs: {
        int8_t* highs = bytes + size_t(layer_.output_channels) * plane;
        for_each([=, &any](int32_t i, Words8 all) {
          store(bytes + i, all);
          store(highs + i, (all >> 8) + ((all >> 7) & 1));
          any |= all > without;
        });
      }
    }
    int32_t& count = reinterpret_cast<int32_t*>(start + factor.counts)[channel];
    count = 0;
    if (!IsAny(any)) return;
    int8_t* rests = reinterpret_cast<int8_t*>(start + factor.rests) + first;
    if (factor.kind == FactorKind::kFours) {
      for_each([=](int32_t i, Words8 all) {
        const Words8 far = all - Clip(all, int16_t{-124}, int16_t{124});
        const Words8 rest = (far + ((far >> 15) & 3)) >> 2;
        store(bytes + i, all - rest * 4);
        store(rests + i, rest);
      });
    } else {
      for_each([=](int32_t i, Words8 all) { store(rests + i, (all > without) & 1); });
    }
    const size_t most = size_t(plan_.positions) / Simd::kStep;
    int32_t* blocks = reinterpret_cast<int32_t*>(start + factor.blocks) + size_t(channel) * most;
    for (size_t block = 0; block < most; ++block) {
      Bytes16 some = {};
      for (int32_t i = 0; i < Simd::kStep; i += 16) {
        some |= LoadAs<Bytes16>(rests + block * Simd::kStep + i);
      }
      if (IsAny(some)) blocks[count++] = static_cast<int32_t>(block);
    }
  }

  template <typename Vector>
  static bool IsAny(Vector vector) {
    uint64_t halves[2];
    memcpy(halves, &vector, sizeof(halves));
    return (halves[0] | halves[1]) != 0;
  }

  const Conv2DGradientArgs& layer_;
  const SignPrediction& prediction_;
  const SignPlan& plan_;
  const SignTensors& tensors_;
  uint8_t* start_;
};

}  // namespace
}  // namespace edgeax
