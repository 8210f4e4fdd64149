#pragma once  // core/fully_connected.h: matrix product with codebook weights.

#include "tflite_kernels/core/tensors.h"

namespace edgeax {

struct FullyConnectedArgs {
  int32_t rows;     // vectors in the input
  int32_t depth;    // numbers in one of them
  int32_t outputs;  // numbers in one vector of the output
  Quantization quantization;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape.
Status CheckFullyConnected(const FullyConnectedArgs& args);
Status CheckFullyConnected(const Int16Args<FullyConnectedArgs>& args);

// The same and the sizes of all spans but `scratch`.
Status CheckFullyConnected(const FullyConnectedArgs& args, const Tensors& tensors);
Status CheckFullyConnected(const Int16Args<FullyConnectedArgs>& args, const Int16Tensors& tensors);

// output[r,c] = OutputCode(bias[c] + Sum_k (input[r,k] - input_zero_point) * w[c,k]),
// w[c,k] = codebook[code k of row c]. `weights` holds `outputs` rows of `depth` codes.
// Same integers on every target. Needs no scratch. On an error `output` is untouched.
Status FullyConnected(const FullyConnectedArgs& args, const Tensors& tensors);
Status FullyConnected(const Int16Args<FullyConnectedArgs>& args, const Int16Tensors& tensors);

}  // namespace edgeax
