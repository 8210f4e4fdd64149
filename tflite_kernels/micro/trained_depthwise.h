#pragma once  // micro/trained_depthwise.h: depthwise convolutions that learn.
              // Python twin: edgeax/runtime/mcu/oracle_layers.py.

#include "tflite_kernels/micro/convolution_shape.h"
#include "tflite_kernels/micro/sign_update.h"

namespace edgeax {
namespace micro {

// Weights are [height, width, output channels] in two pieces: those of the first `columns` output
// channels, which may be trained, and `rest`. Output channel c reads input channel c / multiplier,
// the multiplier being output channels / input channels. All shapes have one batch.
struct TrainedDepthwiseArgs {
  ConvolutionShape shape;
  int32_t columns;
  const int8_t* rest;  // nullptr: `columns` are all channels
  int32_t input_zero_point, output_zero_point;
  Clamp clamp;
  Factors factors;
};

// Output codes, rounded twice: the integers of DepthwiseConv2D<Rounding::kDouble>.
void TrainedDepthwise(const TrainedDepthwiseArgs& args, const int8_t* input, const int8_t* weights,
                      const int32_t* bias, int8_t* output);

// As Conv2DGradientArgs.
struct DepthwiseGradientArgs {
  ConvolutionShape shape;
  int32_t columns;
  const int8_t* rest;
  const uint16_t* scale;
  int32_t shift, exponent;
};

// Writes the gradient by the input, before it is narrowed.
void DepthwiseGradient(const DepthwiseGradientArgs& args, const int16_t* gradient,
                       const int8_t* weights, int32_t* sums);

struct DepthwiseUpdateArgs {
  ConvolutionShape shape;
  int32_t columns;
  int32_t kept;  // channels of `input`: those that the trained ones read, the first ones
  int32_t input_zero_point;
  int32_t shift;  // as of BiasUpdateArgs
  SignRule rule;
};

// Moves the weights of the first `columns` output channels.
void UpdateDepthwise(const DepthwiseUpdateArgs& args, const int16_t* gradient, const int8_t* input,
                     int8_t* weights, uint32_t* random);

}  // namespace micro
}  // namespace edgeax
