#pragma once  // core/depthwise_conv2d.h: depthwise convolution with codebook weights.

#include "tflite_kernels/core/tensors.h"
#include "tflite_kernels/core/window.h"

namespace edgeax {

// Output channel i * depth_multiplier + j reads input channel i.
struct DepthwiseConv2DArgs {
  Shape4 input;
  int32_t depth_multiplier;
  Window window;
  Quantization quantization;
};

// What follows from the arguments.
struct DepthwiseConv2DGeometry {
  WindowGeometry window;
  int32_t output_channels;
  int32_t taps;  // positions of the window, rows of weights
};

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const DepthwiseConv2DArgs& args, DepthwiseConv2DGeometry* geometry);
Status GeometryOf(const Int16Args<DepthwiseConv2DArgs>& args, DepthwiseConv2DGeometry* geometry);

// The same and the sizes of all spans but `scratch`.
Status CheckDepthwiseConv2D(const DepthwiseConv2DArgs& args, const Tensors& tensors,
                            DepthwiseConv2DGeometry* geometry);
Status CheckDepthwiseConv2D(const Int16Args<DepthwiseConv2DArgs>& args, const Int16Tensors& tensors,
                            DepthwiseConv2DGeometry* geometry);

// output[n,y,x,c] = OutputCode(bias[c] + Sum (input[n,iy,ix,c / depth_multiplier] -
// input_zero_point) * w[ky,kx,c]), w[t,c] = codebook[code c of row t]. `weights` holds one row of
// output channels codes per position of the window, in the order height, width.
// Same integers on every target. Needs no scratch. On an error `output` is untouched.
Status DepthwiseConv2D(const DepthwiseConv2DArgs& args, const Tensors& tensors);
Status DepthwiseConv2D(const Int16Args<DepthwiseConv2DArgs>& args, const Int16Tensors& tensors);

}  // namespace edgeax
