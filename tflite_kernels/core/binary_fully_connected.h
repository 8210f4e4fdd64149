#pragma once  // core/binary_fully_connected.h: matrix product of numbers that are +1 or -1.

#include "tflite_kernels/core/binary.h"
#include "tflite_kernels/core/fully_connected.h"

namespace edgeax {

// `fully_connected.depth` are numbers, not bytes.
struct BinaryFullyConnectedArgs {
  FullyConnectedArgs fully_connected;
  BinaryForm form;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape.
Status CheckBinaryFullyConnected(const BinaryFullyConnectedArgs& args);

// The same and the sizes of all spans but `scratch`, and the biases.
Status CheckBinaryFullyConnected(const BinaryFullyConnectedArgs& args,
                                 const BinaryTensors& tensors);

// total[r,c] = BinaryTotal(bias[c], Sum_k x[r,k] * w[c,k]) and what StoreBinary makes of it.
// `weights` holds `outputs` rows of PackedBytes(depth, 1) bytes. Same integers on every target.
// Needs no scratch. On an error `output` is untouched.
Status BinaryFullyConnected(const BinaryFullyConnectedArgs& args, const BinaryTensors& tensors);

}  // namespace edgeax
