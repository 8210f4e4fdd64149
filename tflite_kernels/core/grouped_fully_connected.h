#pragma once  // core/grouped_fully_connected.h: matrix product with weights in groups.

#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/grouped.h"

namespace edgeax {

struct GroupedFullyConnectedArgs {
  FullyConnectedArgs fully_connected;
  GroupedFormat format;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape.
Status CheckGroupedFullyConnected(const GroupedFullyConnectedArgs& args);

// The same and the sizes of all spans but `scratch`.
Status CheckGroupedFullyConnected(const GroupedFullyConnectedArgs& args, const Tensors& tensors);

// What FullyConnected gives for the same weights, `outputs` rows of `depth`. Same integers on every
// target. Needs no scratch. On an error `output` is untouched.
Status GroupedFullyConnected(const GroupedFullyConnectedArgs& args, const Tensors& tensors);

}  // namespace edgeax
