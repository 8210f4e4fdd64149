#include "tflite_kernels/micro/fully_connected.h"

namespace edgeax {
namespace micro {

template <Rounding kRounding>
void FullyConnected(const FullyConnectedArgs& args, const int8_t* input, int8_t* output) {
  alignas(8) uint8_t tile[kTileHeadBytes];
  TileHead* head = reinterpret_cast<TileHead*>(tile);
  const int8_t* weights = args.weights;
  Sweep sweep = {input, args.depth, args.rows, output,     args.outputs,
                 tile,  0,          1,         args.depth, args.depth};
  for (int32_t channel = 0; channel < args.outputs; channel += kTileChannels) {
    if (channel == 0 || args.tile.factor_step != 0) {
      PrepareTile<kRounding>(args.tile, args.factors, args.bias, channel, args.depth, weights,
                             tile);
    } else {
      __builtin_memcpy(head->bias, args.bias + channel, sizeof(head->bias));
      head->weights = weights;
    }
    const int32_t rest = args.outputs - channel;
    sweep.channels = rest < kTileChannels ? rest : kTileChannels;
    sweep.output = output + channel;
    RunSweep<kRounding>(sweep, args.tile);
    weights += kTileChannels * args.depth;
  }
}

template void FullyConnected<Rounding::kSingle>(const FullyConnectedArgs&, const int8_t*, int8_t*);
template void FullyConnected<Rounding::kDouble>(const FullyConnectedArgs&, const int8_t*, int8_t*);

}  // namespace micro
}  // namespace edgeax
