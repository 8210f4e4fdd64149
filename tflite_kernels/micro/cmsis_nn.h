#pragma once  // micro/cmsis_nn.h: kernels of CMSIS-NN, 6.0 or newer, as those of generated
              // programs.

// They are part of programs whose build defines EDGEAX_USE_CMSIS_NN; CMSIS-NN itself is the user's.
// Python chooses the layers and knows their scratch: edgeax/runtime/mcu/operators/cmsis_nn.py. A
// CMSIS-NN that refuses a layer, or wants more scratch than was planned, stops the program by a
// trap.

#include "tflite_kernels/micro/convolution_shape.h"
#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// A convolution, or a depthwise one, whose groups are its channels.
struct CmsisConv2DArgs {
  ConvolutionShape shape;
  int32_t input_zero_point, output_zero_point;
  Clamp clamp;
  int32_t scratch_bytes;
  const int32_t *multiplier, *shift, *bias;  // one per output channel
  const int8_t* weights;  // output channels, height, width, input channels; depthwise: height,
                          // width, output channels
};

struct CmsisFullyConnectedArgs {
  int32_t rows, depth, outputs, output_zero_point;
  Clamp clamp;
  Requantization factor;
  const int32_t* bias;  // with what the zero point of the input adds
  const int8_t* weights;
};

struct CmsisPool2DArgs {
  ConvolutionShape shape;
  Clamp clamp;
  int32_t scratch_bytes;
};

struct CmsisAddArgs {
  int32_t a_zero_point, b_zero_point, output_zero_point, left_shift;
  Requantization a_factor, b_factor, output_factor;
  Clamp clamp;
};

struct CmsisMultiplyArgs {
  int32_t a_zero_point, b_zero_point, output_zero_point;
  Requantization factor;
  Clamp clamp;
};

struct CmsisSoftmaxArgs {
  int32_t rows, depth;
  Requantization factor;
  int32_t least_difference;
};

void CmsisConv2D(const CmsisConv2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output,
                 void* scratch = nullptr);
void CmsisDepthwiseConv2D(const CmsisConv2DArgs& args, const Rows& rows, const int8_t* input,
                          int8_t* output, void* scratch = nullptr);
void CmsisFullyConnected(const CmsisFullyConnectedArgs& args, const int8_t* input, int8_t* output);
void CmsisAveragePool2D(const CmsisPool2DArgs& args, const Rows& rows, const int8_t* input,
                        int8_t* output, void* scratch = nullptr);
void CmsisMaxPool2D(const CmsisPool2DArgs& args, const Rows& rows, const int8_t* input,
                    int8_t* output);
void CmsisAdd(const CmsisAddArgs& args, int32_t count, const int8_t* a, const int8_t* b,
              int8_t* output);  // a or b may be the output
void CmsisMultiply(const CmsisMultiplyArgs& args, int32_t count, const int8_t* a, const int8_t* b,
                   int8_t* output);  // a or b may be the output
void CmsisSoftmax(const CmsisSoftmaxArgs& args, const int8_t* input, int8_t* output);

}  // namespace micro
}  // namespace edgeax
