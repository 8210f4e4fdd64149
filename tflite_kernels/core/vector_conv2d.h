#pragma once  // core/vector_conv2d.h: convolution with weights of codewords.

#include "tflite_kernels/core/conv2d.h"
#include "tflite_kernels/core/vector_codebook.h"

namespace edgeax {

struct VectorConv2DArgs {
  Conv2DArgs conv2d;
  VectorFormat format;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const VectorConv2DArgs& args, Conv2DGeometry* geometry);

// The same and CheckVectorTensors.
Status CheckVectorConv2D(const VectorConv2DArgs& args, const VectorTensors& tensors,
                         Conv2DGeometry* geometry);

// What Conv2D gives for the same weights, of which a channel has kernel_height * kernel_width *
// input.channels / groups in the order height, width, input channel. Same integers on every target.
// Needs no scratch. On an error `output` is untouched.
Status VectorConv2D(const VectorConv2DArgs& args, const VectorTensors& tensors);

}  // namespace edgeax
