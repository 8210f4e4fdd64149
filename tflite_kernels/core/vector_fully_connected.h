#pragma once  // core/vector_fully_connected.h: matrix product with weights of codewords.

#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/vector_codebook.h"

namespace edgeax {

struct VectorFullyConnectedArgs {
  FullyConnectedArgs fully_connected;
  VectorFormat format;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape.
Status CheckVectorFullyConnected(const VectorFullyConnectedArgs& args);

// The same and CheckVectorTensors.
Status CheckVectorFullyConnected(const VectorFullyConnectedArgs& args,
                                 const VectorTensors& tensors);

// What FullyConnected gives for the same weights. Same integers on every target. Needs no scratch.
// On an error `output` is untouched.
Status VectorFullyConnected(const VectorFullyConnectedArgs& args, const VectorTensors& tensors);

}  // namespace edgeax
