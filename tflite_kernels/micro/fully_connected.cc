#include "tflite_kernels/micro/fully_connected.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kTilesAtOnce = 4;

// Tiles on the stack that are used again and again.
struct Tiles {
  alignas(8) uint8_t bytes[kTilesAtOnce * kTileHeadBytes];
};

// Prepares the tile that begins with a channel. Where all channels share a factor, it is kept.
template <Rounding kRounding>
void SetTile(const FullyConnectedArgs& args, int32_t channel, const int8_t* weights,
             uint8_t* tile) {
  if (channel < kTilesAtOnce * kTileChannels || args.tile.factor_step != 0) {
    return PrepareTile<kRounding>(args.tile, args.factors, args.bias, channel, args.depth, weights,
                                  tile);
  }
  TileHead* head = reinterpret_cast<TileHead*>(tile);
  __builtin_memcpy(head->bias, args.bias + channel, sizeof(head->bias));
  head->weights = weights;
}

}  // namespace

template <Rounding kRounding>
void FullyConnected(const FullyConnectedArgs& args, const int8_t* input, int8_t* output) {
  Tiles tiles;
  Sweep sweep = {input, args.depth, args.rows,  output,     args.outputs, tiles.bytes,
                 0,     1,          args.depth, args.depth, nullptr};
  const int8_t* weights = args.weights;
  for (int32_t channel = 0; channel < args.outputs; channel += sweep.channels) {
    const int32_t rest = args.outputs - channel, most = kTilesAtOnce * kTileChannels;
    sweep.channels = rest < most ? rest : most;
    sweep.output = output + channel;
    uint8_t* tile = tiles.bytes;
    for (int32_t i = 0; i < sweep.channels; i += kTileChannels, tile += kTileHeadBytes) {
      SetTile<kRounding>(args, channel + i, weights, tile);
      weights += kTileChannels * args.depth;
    }
    RunSweep<kRounding>(sweep, args.tile);
  }
}

template void FullyConnected<Rounding::kSingle>(const FullyConnectedArgs&, const int8_t*, int8_t*);
template void FullyConnected<Rounding::kDouble>(const FullyConnectedArgs&, const int8_t*, int8_t*);

}  // namespace micro
}  // namespace edgeax
