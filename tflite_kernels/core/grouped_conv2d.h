#pragma once  // core/grouped_conv2d.h: convolution with weights in groups.

#include "tflite_kernels/core/conv2d.h"
#include "tflite_kernels/core/grouped.h"

namespace edgeax {

struct GroupedConv2DArgs {
  Conv2DArgs conv2d;
  GroupedFormat format;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const GroupedConv2DArgs& args, Conv2DGeometry* geometry);

// The same and the sizes of all spans but `scratch`.
Status CheckGroupedConv2D(const GroupedConv2DArgs& args, const Tensors& tensors,
                          Conv2DGeometry* geometry);

// What Conv2D gives for the same weights, in rows of the same order; groups of weights run along a
// row and have nothing to do with groups of channels. Same integers on every target. Needs no
// scratch. On an error `output` is untouched.
Status GroupedConv2D(const GroupedConv2DArgs& args, const Tensors& tensors);

}  // namespace edgeax
