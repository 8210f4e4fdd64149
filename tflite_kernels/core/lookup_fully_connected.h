#pragma once  // core/lookup_fully_connected.h: matrix product of numbers of few values.

#include "tflite_kernels/core/grouped_fully_connected.h"
#include "tflite_kernels/core/lookup.h"

namespace edgeax {

struct LookupFullyConnectedArgs {
  FullyConnectedArgs fully_connected;  // its input_zero_point is not looked at
  int32_t bits;                        // of a weight's code: 4 or 2
};

// What multiplies inputs that lie on their points.
static inline GroupedFullyConnectedArgs GroupedOf(const LookupFullyConnectedArgs& args) {
  GroupedFullyConnectedArgs grouped = {args.fully_connected, LookupFormat(args.bits)};
  grouped.fully_connected.quantization.input_zero_point = 0;
  return grouped;
}

// Checks the arguments alone. Returns kBadArgument or kBadShape.
Status CheckLookup(const LookupFullyConnectedArgs& args);

// The same and the sizes of all spans but `scratch`.
Status CheckLookup(const LookupFullyConnectedArgs& args, const LookupTensors& tensors);

// output[r,c] = OutputCode(bias[c] + Sum_k point(input[r,k]) * weight[c,k]). `weights` holds
// `outputs` rows of `depth`. Same integers on every target. Needs no scratch. On an error `output`
// is untouched.
Status LookupFullyConnected(const LookupFullyConnectedArgs& args, const LookupTensors& tensors);

}  // namespace edgeax
