#include "tflite_kernels/micro/vector_conv2d.h"

#include "tflite_kernels/micro/tile_cursor.h"

namespace edgeax {
namespace micro {
namespace {

// Indices of a place: of 8 bits in 4 bytes, of 4 bits in 2.
inline int32_t IndexOf(const uint8_t* indices, int32_t bits, int32_t channel) {
  if (bits == 8) return indices[channel];
  return indices[channel / 2] >> (channel % 2 * 4) & 15;
}

const int8_t* TileOf(const void* source, int32_t tile, int8_t* decoded) {
  const VectorConv2DArgs& args = *static_cast<const VectorConv2DArgs*>(source);
  const int32_t place_bytes = kTileChannels * args.index_bits / 8;
  const uint8_t* indices = args.indices + tile * (args.places * place_bytes);
  const int8_t* const end = args.codebook + args.tables * args.entries * args.length;
  const int8_t* table = args.codebook;
  TileCursor cursor = BeginTile(args.layer, decoded);
  for (int32_t place = 0; place < args.places; ++place, indices += place_bytes) {
    const int8_t* words[kTileChannels];
    for (int32_t i = 0; i < kTileChannels; ++i) {
      words[i] = table + IndexOf(indices, args.index_bits, i) * args.length;
    }
    for (int32_t k = 0; k < args.length; ++k, Advance(&cursor)) {
      for (int32_t i = 0; i < kTileChannels; ++i) cursor.to[i * cursor.size] = words[i][k];
    }
    table += args.entries * args.length;
    if (table == end) table = args.codebook;
  }
  const int32_t patch_bytes = args.layer.plan.runs * args.layer.plan.run_bytes;
  FillTile(patch_bytes - args.places * args.length, &cursor);
  return decoded;
}

}  // namespace

template <Rounding kRounding>
void VectorConv2D(const VectorConv2DArgs& args, const Rows& rows, const int8_t* input,
                  int8_t* output, void* scratch) {
  ConvolvePacked<kRounding>(args.layer, {TileOf, &args}, rows, input, output, scratch);
}

template void VectorConv2D<Rounding::kSingle>(const VectorConv2DArgs&, const Rows&, const int8_t*,
                                              int8_t*, void*);
template void VectorConv2D<Rounding::kDouble>(const VectorConv2DArgs&, const Rows&, const int8_t*,
                                              int8_t*, void*);

}  // namespace micro
}  // namespace edgeax
