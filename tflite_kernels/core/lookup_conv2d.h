#pragma once  // core/lookup_conv2d.h: convolution of numbers of few values.

#include "tflite_kernels/core/grouped_conv2d.h"
#include "tflite_kernels/core/lookup.h"

namespace edgeax {

struct LookupConv2DArgs {
  Conv2DArgs conv2d;  // its input_zero_point is not looked at
  int32_t bits;       // of a weight's code: 4 or 2
};

// What multiplies inputs that lie on their points.
static inline GroupedConv2DArgs GroupedOf(const LookupConv2DArgs& args) {
  GroupedConv2DArgs grouped = {args.conv2d, LookupFormat(args.bits)};
  grouped.conv2d.quantization.input_zero_point = 0;
  return grouped;
}

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const LookupConv2DArgs& args, Conv2DGeometry* geometry);
Status CheckLookup(const LookupConv2DArgs& args);

// The same and the sizes of all spans but `scratch`.
Status CheckLookup(const LookupConv2DArgs& args, const LookupTensors& tensors);

// What LookupFullyConnected gives for each window, whose weights lie in the order of Conv2D;
// positions outside of the image add nothing. Same integers on every target. Needs no scratch. On
// an error `output` is untouched.
Status LookupConv2D(const LookupConv2DArgs& args, const LookupTensors& tensors);

}  // namespace edgeax
