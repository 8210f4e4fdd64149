#pragma once  // micro/pool_gradients.h: gradients by the inputs of pools.
              // Python twin: edgeax/runtime/mcu/oracle_layers.py.

#include "tflite_kernels/micro/convolution_shape.h"
#include "tflite_kernels/micro/gradients.h"

namespace edgeax {
namespace micro {

// Input and output have as many channels, one batch. Gradients of averages are multiplied by
// 2**bits / pixels of the window, rounded; so many bits that sums stay within 2**30.
struct PoolGradientArgs {
  ConvolutionShape shape;
  int32_t bits;
};

// Writes the gradient by the input of an average, before it is narrowed.
void AveragePoolGradient(const PoolGradientArgs& args, const int16_t* gradient, int32_t* sums);

// Which tap of its window, of at most 256, holds the largest code of each output; the first of
// equal ones.
void MaxPoolTaps(const PoolGradientArgs& args, const int8_t* input, uint8_t* taps);

// Writes the gradient by the input of a maximum, before it is narrowed.
void MaxPoolGradient(const PoolGradientArgs& args, const int16_t* gradient, const uint8_t* taps,
                     int32_t* sums);

}  // namespace micro
}  // namespace edgeax
