#pragma once  // core/conv2d.h: convolution with codebook weights.

#include "tflite_kernels/core/tensors.h"
#include "tflite_kernels/core/window.h"

namespace edgeax {

// Channels are split into `groups`: output channel c reads the group c / (output_channels / groups)
// of input.channels / groups channels.
struct Conv2DArgs {
  Shape4 input;
  int32_t output_channels;
  int32_t groups;
  Window window;
  Quantization quantization;
};

// What follows from the arguments.
struct Conv2DGeometry {
  WindowGeometry window;
  int32_t group_inputs, group_outputs;  // channels of one group
  int32_t depth;                        // weights of one row
};

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const Conv2DArgs& args, Conv2DGeometry* geometry);
Status GeometryOf(const Int16Args<Conv2DArgs>& args, Conv2DGeometry* geometry);

// The same and the sizes of all spans but `scratch`.
Status CheckConv2D(const Conv2DArgs& args, const Tensors& tensors, Conv2DGeometry* geometry);
Status CheckConv2D(const Int16Args<Conv2DArgs>& args, const Int16Tensors& tensors,
                   Conv2DGeometry* geometry);

// output[n,y,x,c] = OutputCode(bias[c] + Sum (input[n,iy,ix,i] - input_zero_point) * w[c,ky,kx,i]),
// w[c,k] = codebook[code k of row c]. `weights` holds output_channels rows of kernel_height *
// kernel_width * input.channels / groups codes, each in the order height, width, input channel.
// Same integers on every target: the kernels of arch/ must equal this one bit for bit. Needs no
// scratch. On an error `output` is untouched.
Status Conv2D(const Conv2DArgs& args, const Tensors& tensors);
Status Conv2D(const Int16Args<Conv2DArgs>& args, const Int16Tensors& tensors);

}  // namespace edgeax
