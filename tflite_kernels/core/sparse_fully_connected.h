#pragma once  // core/sparse_fully_connected.h: matrix product with sparse int8 weights.

#include "tflite_kernels/core/balanced.h"
#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/sparse.h"

namespace edgeax {

struct SparseFullyConnectedArgs {
  FullyConnectedArgs fully_connected;
  SparseFormat format;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape.
Status CheckSparseFullyConnected(const SparseFullyConnectedArgs& args);
Status CheckSparseFullyConnected(const Int16Args<SparseFullyConnectedArgs>& args);

// The same and CheckSparseTensors.
Status CheckSparseFullyConnected(const SparseFullyConnectedArgs& args,
                                 const SparseTensors& tensors);
Status CheckSparseFullyConnected(const Int16Args<SparseFullyConnectedArgs>& args,
                                 const Int16SparseTensors& tensors);

// What FullyConnected gives for the same weights, `outputs` rows of `depth`. Same integers on every
// target. Needs no scratch. On an error `output` is untouched.
Status SparseFullyConnected(const SparseFullyConnectedArgs& args, const SparseTensors& tensors);
Status SparseFullyConnected(const Int16Args<SparseFullyConnectedArgs>& args,
                            const Int16SparseTensors& tensors);

}  // namespace edgeax
