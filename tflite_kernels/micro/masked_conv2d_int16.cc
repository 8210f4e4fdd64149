#include "tflite_kernels/micro/masked_conv2d_int16.h"

#include "tflite_kernels/micro/convolution_int16.h"
#include "tflite_kernels/micro/copy_codes.h"

namespace edgeax {
namespace micro {
namespace {

// Copies what an output pixel reads, zeros outside of the image and behind it.
void CopyPatch(const ConvolutionShape& shape, const PatchInt16& patch, int32_t filled,
               int16_t* to) {
  const int32_t depth = shape.input_channels / shape.groups;
  int16_t* const end_of_all = to + filled;
  int32_t begin, end;
  ColumnsInside(shape, patch.x, &begin, &end);
  int32_t y = patch.y;
  for (int32_t i = 0; i < shape.kernel_height; ++i, y += shape.dilation_height) {
    const bool is_row = y >= 0 && y < shape.input_height;
    const int32_t row = (y - patch.input_begin) * shape.input_width;
    for (int32_t j = 0; j < shape.kernel_width; ++j, to += depth) {
      if (is_row && j >= begin && j < end) {
        const int32_t x = patch.x + j * shape.dilation_width;
        const int16_t* from = patch.image + (row + x) * shape.input_channels;
        CopyCodes(reinterpret_cast<const int8_t*>(from), 2 * depth, reinterpret_cast<int8_t*>(to));
      } else {
        for (int32_t k = 0; k < depth; ++k) to[k] = 0;
      }
    }
  }
  while (to < end_of_all) *to++ = 0;
}

// The number of the lowest bit that is set.
inline int32_t LowestBit(uint32_t bits) {
#if defined(__ARM_FEATURE_CLZ) || defined(__x86_64__)
  return __builtin_ctz(bits);
#else  // a function of a library otherwise
  int32_t number = 0;
  for (; (bits & 1) == 0; bits >>= 1) ++number;
  return number;
#endif
}

// The stored pieces of a channel times a patch; `pieces` moves behind them.
template <int32_t kPiece>
int64_t SumOfStored(const uint8_t* mask, int32_t mask_bytes, const int16_t* patch,
                    const int8_t** pieces) {
  const int8_t* stored = *pieces;
  int64_t sum = 0;
  while (mask_bytes > 0) {
    uint32_t bits = *mask;
    const int32_t size = mask_bytes >= 4 ? 4 : 1;
    if (size == 4) __builtin_memcpy(&bits, mask, 4);
    for (; bits != 0; bits &= bits - 1, stored += kPiece) {
      const int16_t* codes = patch + LowestBit(bits) * kPiece;
      if constexpr (kPiece == 1) {
        sum += *codes * *stored;
      } else if constexpr (kPiece == 4) {
        sum = DotOfFour(codes, stored, sum);
      } else {
        sum = DotInt16(codes, stored, kPiece, sum);
      }
    }
    patch += 8 * kPiece * size;
    mask += size;
    mask_bytes -= size;
  }
  *pieces = stored;
  return sum;
}

}  // namespace

template <Rounding kRounding>
void MaskedConv2D(const MaskedConv2DInt16Args& args, const Rows& rows, const int16_t* input,
                  int16_t* output, void* scratch) {
  const ConvolutionShape& shape = args.shape;
  const int32_t channels = shape.output_channels / shape.groups;
  const int32_t depth = shape.input_channels / shape.groups;
  const int32_t piece = args.piece;
  const int32_t filled = (ChannelSize(shape) + piece - 1) / piece * piece;
  const int32_t output_size = (rows.end - rows.begin) * shape.output_width * shape.output_channels;
  const auto sum_of = piece == 1 ? SumOfStored<1> : piece == 4 ? SumOfStored<4> : SumOfStored<16>;
  int16_t* const copy = static_cast<int16_t*>(scratch);
  for (int32_t batch = 0; batch < shape.batches; ++batch, output += output_size) {
    for (int32_t group = 0; group < shape.groups; ++group) {
      const int32_t first = group * channels;
      ForPixels(shape, rows, input + group * depth, output + first,
                [&](const PatchInt16& patch, int16_t* codes) {
                  CopyPatch(shape, patch, filled, copy);
                  const int8_t* pieces = args.pieces + args.starts[group] * piece;
                  const uint8_t* mask = args.masks + first * args.mask_bytes;
                  for (int32_t i = 0; i < channels; ++i, mask += args.mask_bytes) {
                    const int64_t sum = sum_of(mask, args.mask_bytes, copy, &pieces);
                    codes[i] = CodeOfSum<kRounding>(args, first + i, sum);
                  }
                });
    }
    input += InputSize(shape);
  }
}

template void MaskedConv2D<Rounding::kSingle>(const MaskedConv2DInt16Args&, const Rows&,
                                              const int16_t*, int16_t*, void*);
template void MaskedConv2D<Rounding::kDouble>(const MaskedConv2DInt16Args&, const Rows&,
                                              const int16_t*, int16_t*, void*);

}  // namespace micro
}  // namespace edgeax
