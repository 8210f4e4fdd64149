#include "tflite_kernels/micro/masked_conv2d.h"

#if !defined(EDGEAX_MICRO_PORTABLE) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include "tflite_kernels/micro/masked_helium.h"
namespace set = edgeax::micro::helium;
#else
#include "tflite_kernels/micro/masked_portable.h"
namespace set = edgeax::micro::portable;
#endif

namespace edgeax {
namespace micro {
namespace {

// What a tile is decoded from.
struct Stored {
  const uint8_t* mask;
  const int8_t* pieces;
};

// The last piece of a tile may be cut off; it is stored whole.
template <int32_t kPiece>
void Decode(Stored stored, int32_t size, int8_t* to) {
  if constexpr (kPiece == 4) {
    for (; size >= 32; size -= 32, to += 32) {
      stored.pieces = set::DecodeEight(*stored.mask++, stored.pieces, to);
    }
  }
  while (size > 0) {
    uint32_t bits = *stored.mask++ | 0x100u;
    for (; bits > 1 && size > 0; bits >>= 1, size -= kPiece, to += kPiece) {
      const int32_t count = size < kPiece ? size : kPiece;
      if ((bits & 1) != 0) {
        if (count == kPiece) {
          __builtin_memcpy(to, stored.pieces, kPiece);
        } else {
          for (int32_t i = 0; i < count; ++i) to[i] = stored.pieces[i];
        }
        stored.pieces += kPiece;
      } else {
        for (int32_t i = 0; i < count; ++i) to[i] = 0;
      }
    }
  }
}

const int8_t* TileOf(const void* source, int32_t tile, int8_t* decoded) {
  const MaskedConv2DArgs& args = *static_cast<const MaskedConv2DArgs*>(source);
  const Stored stored = {args.masks + tile * args.tile_mask_bytes,
                         args.pieces + args.starts[tile] * args.piece};
  const int32_t size = TileBytes(args.layer);
  if (args.piece == 1) {
    Decode<1>(stored, size, decoded);
  } else if (args.piece == 4) {
    Decode<4>(stored, size, decoded);
  } else {
    Decode<16>(stored, size, decoded);
  }
  return decoded;
}

}  // namespace

template <Rounding kRounding>
void MaskedConv2D(const MaskedConv2DArgs& args, const Rows& rows, const int8_t* input,
                  int8_t* output, void* scratch) {
  ConvolvePacked<kRounding>(args.layer, {TileOf, &args}, rows, input, output, scratch);
}

template void MaskedConv2D<Rounding::kSingle>(const MaskedConv2DArgs&, const Rows&, const int8_t*,
                                              int8_t*, void*);
template void MaskedConv2D<Rounding::kDouble>(const MaskedConv2DArgs&, const Rows&, const int8_t*,
                                              int8_t*, void*);

}  // namespace micro
}  // namespace edgeax
