#include "tflite_kernels/micro/sign_sums.h"

#include "tflite_kernels/micro/bit_counts.h"
#include "tflite_kernels/micro/bit_rows.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kUnit = 4096;  // of a bias, where there are no gains

// What an output pixel reads, in one group.
struct Patch {
  const uint32_t* bits;    // a patch of each plane
  const uint32_t* inside;  // null: all of it counts
  int32_t count;           // numbers that count
};

int32_t Product(const uint32_t* a, const uint32_t* b, int32_t words, const Patch& patch) {
  const uint32_t* inside = patch.inside;
  const int32_t differing =
      inside == nullptr
          ? CountBits(words, [a, b](int32_t i) { return a[i] ^ b[i]; })
          : CountBits(words, [a, b, inside](int32_t i) { return (a[i] ^ b[i]) & inside[i]; });
  return patch.count - 2 * differing;
}

// No total is beyond int32: the generator has checked it.
int32_t TotalOf(const SignSumsArgs& args, const Patch& patch, int32_t channel) {
  const int32_t words = args.patch_words, parts = args.bases * args.planes;
  const uint32_t* weights =
      reinterpret_cast<const uint32_t*>(args.weights) + channel * args.bases * words;
  const int32_t* gains = args.gains == nullptr ? nullptr : args.gains + channel * parts;
  int32_t total = args.bias[channel];
  for (int32_t base = 0; base < args.bases; ++base, weights += words) {
    for (int32_t plane = 0; plane < args.planes; ++plane) {
      const int32_t gain = gains == nullptr ? kUnit : *gains++;
      total += gain * Product(patch.bits + plane * words, weights, words, patch);
    }
  }
  return total;
}

// Writes codes.
template <Rounding kRounding>
class Writer {
 public:
  Writer(const SignSumsArgs& args, int8_t* output) : args_(args), at_(output) {}
  void Put(int32_t channel, int32_t total) {
    const Requantization factor = FactorOf(args_.factors, channel * args_.factor_step);
    const int64_t code = int64_t{Requantize(total, factor, kRounding)} + args_.output_zero_point;
    *at_++ = static_cast<int8_t>(Clamped(SaturateToInt32(code), args_.clamp));
  }
  void EndPixel() {}

 private:
  const SignSumsArgs& args_;
  int8_t* at_;
};

// Writes bits.
class BitWriter {
 public:
  BitWriter(const SignSumsArgs& args, uint8_t* output) : args_(args), at_(output) {}
  void Put(int32_t channel, int32_t total) {
    const int32_t factor = args_.factors.multiplier[channel * args_.factor_step];
    const bool is_negative = (total < 0 && factor > 0) || (total > 0 && factor < 0);
    bits_ |= static_cast<uint32_t>(is_negative) << count_;
    if (++count_ == 8) EndPixel();
  }
  void EndPixel() {
    if (count_ == 0) return;
    *at_++ = static_cast<uint8_t>(bits_);
    bits_ = 0;
    count_ = 0;
  }

 private:
  const SignSumsArgs& args_;
  uint8_t* at_;
  uint32_t bits_ = 0;
  int32_t count_ = 0;
};

template <typename Writer>
void WritePixel(const SignSumsArgs& args, const BitRows& rows, int32_t y, int32_t x,
                uint32_t* patches, Writer* writer) {
  const ConvolutionShape& shape = args.shape;
  const int32_t depth = shape.input_channels / shape.groups;
  const int32_t channels = shape.output_channels / shape.groups;
  const int32_t taps = shape.kernel_height * shape.kernel_width;
  uint32_t* inside = patches + args.planes * args.patch_words;
  Place place = {y, x, 0};
  for (int32_t channel = 0; place.group < shape.groups; ++place.group) {
    int32_t count = 0;
    for (int32_t plane = 0; plane < args.planes; ++plane) {
      count = CopyTaps(args, rows, place, plane,
                       reinterpret_cast<uint8_t*>(patches + plane * args.patch_words),
                       reinterpret_cast<uint8_t*>(inside));
    }
    Patch patch = {patches, nullptr, taps * depth};
    if (args.pad_value == 0 && count < taps) patch = {patches, inside, count * depth};
    for (const int32_t end = channel + channels; channel < end; ++channel) {
      writer->Put(channel, TotalOf(args, patch, channel));
    }
  }
  writer->EndPixel();
}

template <typename Input, typename Writer>
void Run(const SignSumsArgs& args, const Rows& rows, const Input* input, void* scratch,
         Writer writer) {
  const ConvolutionShape& shape = args.shape;
  uint32_t* patches = static_cast<uint32_t*>(scratch);
  const int32_t words = (args.planes + 1) * args.patch_words;
  for (int32_t i = 0; i < words; ++i) patches[i] = 0;
  for (int32_t batch = 0; batch < shape.batches; ++batch) {
    BitRows read = EmptyRows(args, reinterpret_cast<uint8_t*>(patches + words));
    for (int32_t output_y = rows.begin; output_y < rows.end; ++output_y) {
      ReadRows(args, input, rows.input_begin, output_y, &read);
      const int32_t y = output_y * shape.stride_height - shape.pad_top;
      for (int32_t output_x = 0; output_x < shape.output_width; ++output_x) {
        WritePixel(args, read, y, output_x * shape.stride_width - shape.pad_left, patches, &writer);
      }
    }
    input += shape.input_height * RowSize(shape, input);
  }
}

}  // namespace

template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const int8_t* input, int8_t* output,
              void* scratch) {
  Run(args, rows, input, scratch, Writer<kRounding>(args, output));
}

template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const uint8_t* input, int8_t* output,
              void* scratch) {
  Run(args, rows, input, scratch, Writer<kRounding>(args, output));
}

template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const int8_t* input, uint8_t* output,
              void* scratch) {
  Run(args, rows, input, scratch, BitWriter(args, output));
}

template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const uint8_t* input, uint8_t* output,
              void* scratch) {
  Run(args, rows, input, scratch, BitWriter(args, output));
}

#define EDGEAX_SIGN_SUMS(rounding, input, output) \
  template void SignSums<rounding>(const SignSumsArgs&, const Rows&, const input*, output*, void*);
EDGEAX_SIGN_SUMS(Rounding::kSingle, int8_t, int8_t)
EDGEAX_SIGN_SUMS(Rounding::kSingle, uint8_t, int8_t)
EDGEAX_SIGN_SUMS(Rounding::kSingle, int8_t, uint8_t)
EDGEAX_SIGN_SUMS(Rounding::kSingle, uint8_t, uint8_t)
EDGEAX_SIGN_SUMS(Rounding::kDouble, int8_t, int8_t)
EDGEAX_SIGN_SUMS(Rounding::kDouble, uint8_t, int8_t)
EDGEAX_SIGN_SUMS(Rounding::kDouble, int8_t, uint8_t)
EDGEAX_SIGN_SUMS(Rounding::kDouble, uint8_t, uint8_t)
#undef EDGEAX_SIGN_SUMS

}  // namespace micro
}  // namespace edgeax
