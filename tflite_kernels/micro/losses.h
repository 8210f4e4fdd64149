#pragma once  // micro/losses.h: losses of int8 outputs, and their gradients.
              // Python twin: edgeax/runtime/mcu/oracle_gradients.py.

#include "tflite_kernels/micro/gradients.h"

namespace edgeax {
namespace micro {

// The softmax of scores of classes. A score is off by its probability, less 1 for the sample's
// class. Where no score is off by `least_error`, in units of 2**-15, the gradient is 0.
struct CrossEntropyArgs {
  int32_t outputs;
  int32_t least_error;
  const uint16_t* exponentials;  // 256: exp(-difference of codes) in units of 2**-15
  int32_t loss_step;             // a difference of one code, in units of 2**-16
};

// Writes the gradient, and the cross entropy -ln(probability of the label) in units of 2**-16.
// `label` points to one number in [0, outputs).
void CrossEntropy(const CrossEntropyArgs& args, const int8_t* scores, const int32_t* label,
                  int16_t* gradient, int32_t* loss);

// An output is off by its code less the target's. Where none is off by `least_error`, in units of
// 2**-7 codes, the gradient is 0.
struct MeanSquareArgs {
  int32_t outputs;
  int32_t least_error;
  Requantization loss_factor;  // from a sum of squares of codes to units of 2**-16
};

// Writes the gradient, and the mean square of the real differences in units of 2**-16.
void MeanSquare(const MeanSquareArgs& args, const int8_t* output, const int8_t* target,
                int16_t* gradient, int32_t* loss);

}  // namespace micro
}  // namespace edgeax
