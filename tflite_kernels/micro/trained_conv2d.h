#pragma once  // micro/trained_conv2d.h: convolutions that learn, and dense layers, of one pixel.
              // Python twin: edgeax/runtime/mcu/oracle_layers.py.

#include "tflite_kernels/micro/convolution_shape.h"
#include "tflite_kernels/micro/sign_update.h"

namespace edgeax {
namespace micro {

// Weights are [outputs, height, width, channels] in two pieces: those of the first `columns` input
// channels, which may be trained, and `rest`, those of the others. All shapes have one batch and
// one group; a sum has at most 32000 products.
struct TrainedConv2DArgs {
  ConvolutionShape shape;
  int32_t columns;
  const int8_t* rest;  // nullptr: `columns` are all channels
  int32_t input_zero_point, output_zero_point;
  Clamp clamp;
  Factors factors;
};

// Output codes, rounded twice: the integers of Conv2D<Rounding::kDouble>. Sums and biases
// together fit int32.
void TrainedConv2D(const TrainedConv2DArgs& args, const int8_t* input, const int8_t* weights,
                   const int32_t* bias, int8_t* output);

// Gradients by outputs are scaled by scale[output] / 2**shift before they are multiplied with
// weights: so that sums stay within 2**30. The exponent grows by `exponent`.
struct Conv2DGradientArgs {
  ConvolutionShape shape;
  int32_t columns;
  const int8_t* rest;
  const uint16_t* scale;  // 2**15 at most
  int32_t shift, exponent;
};

// Writes the gradient by the input, before it is narrowed.
void Conv2DGradient(const Conv2DGradientArgs& args, const int16_t* gradient, const int8_t* weights,
                    int32_t* sums);

struct Conv2DUpdateArgs {
  ConvolutionShape shape;
  int32_t columns;
  int32_t input_zero_point;
  int32_t shift;  // as of BiasUpdateArgs
  SignRule rule;
  int32_t least_sum;  // the least sum over pixels of an output whose weights move
};

// Moves the weights of the first `columns` input channels, of which alone `input` has the codes.
// scratch: 4 * columns bytes.
void UpdateConv2D(const Conv2DUpdateArgs& args, const int16_t* gradient, const int8_t* input,
                  int8_t* weights, uint32_t* random, void* scratch);

}  // namespace micro
}  // namespace edgeax
