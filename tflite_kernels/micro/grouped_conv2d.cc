#include "tflite_kernels/micro/grouped_conv2d.h"

#include "tflite_kernels/micro/tile_cursor.h"

namespace edgeax {
namespace micro {
namespace {

const int8_t* TileOf(const void* source, int32_t tile, int8_t* decoded) {
  const GroupedConv2DArgs& args = *static_cast<const GroupedConv2DArgs*>(source);
  const uint8_t* numbers = args.codes + tile * args.tile_bytes;
  const int32_t groups = (args.depth + args.group - 1) / args.group;
  const uint8_t* codes = numbers + groups * kTileChannels;
  const int32_t code_bytes = args.bits / 2;  // of 4 channels
  const uint32_t mask = (1u << args.bits) - 1;
  TileCursor cursor = BeginTile(args.layer, decoded);
  for (int32_t rest = args.depth; rest > 0; rest -= args.group, numbers += kTileChannels) {
    const int8_t* books[kTileChannels];
    for (int32_t i = 0; i < kTileChannels; ++i) {
      books[i] = args.codebooks + (numbers[i] << args.bits);
    }
    const int32_t count = rest < args.group ? rest : args.group;
    for (int32_t k = 0; k < count; ++k, codes += code_bytes, Advance(&cursor)) {
      uint32_t four = codes[0];
      if (code_bytes == 2) four |= static_cast<uint32_t>(codes[1]) << 8;
      for (int32_t i = 0; i < kTileChannels; ++i, four >>= args.bits) {
        cursor.to[i * cursor.size] = books[i][four & mask];
      }
    }
  }
  FillTile(args.layer.plan.runs * args.layer.plan.run_bytes - args.depth, &cursor);
  return decoded;
}

}  // namespace

template <Rounding kRounding>
void GroupedConv2D(const GroupedConv2DArgs& args, const Rows& rows, const int8_t* input,
                   int8_t* output, void* scratch) {
  ConvolvePacked<kRounding>(args.layer, {TileOf, &args}, rows, input, output, scratch);
}

template void GroupedConv2D<Rounding::kSingle>(const GroupedConv2DArgs&, const Rows&, const int8_t*,
                                               int8_t*, void*);
template void GroupedConv2D<Rounding::kDouble>(const GroupedConv2DArgs&, const Rows&, const int8_t*,
                                               int8_t*, void*);

}  // namespace micro
}  // namespace edgeax
