#pragma once  // micro/dense_training.h: a dense layer that learns in integers, one sample a step.
              // Python twin: edgeax/runtime/mcu/oracle_training.py.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// A layer of int8 codes whose outputs are scores of classes. `factors` has one factor per output.
// An output is off by `error`, its probability less 1 for the sample's class, in units of 2**-15;
// its gradients are `error` times input codes less the zero point. A weight moves by one code
// against the sign of its gradient where |error| >= least_error and |gradient| is at least
// dead_zone / 256 of the largest, in one of 2**rate_bits cases, which xorshift draws. A bias moves
// like the weight of an input of 1.0, by `bias_step`.
struct DenseTrainingArgs {
  int32_t depth, outputs;
  int32_t input_zero_point, output_zero_point;
  Factors factors;
  int32_t bias_step;
  int32_t least_error, dead_zone, rate_bits;
  const uint16_t* exponentials;  // 256: exp(-difference of codes) in units of 2**-15
  int32_t loss_step;             // a difference of one code, in units of 2**-16
};

// Output codes of one row, rounded twice: the integers of FullyConnected<Rounding::kDouble>.
// weights: [outputs, depth], any codes; |bias| <= 2**30; depth <= 32000.
void DenseScores(const DenseTrainingArgs& args, const int8_t* input, const int8_t* weights,
                 const int32_t* bias, int8_t* output);

// Writes the errors of all outputs; returns the cross entropy, -ln(probability of `label`), in
// units of 2**-16. `label` in [0, outputs).
int32_t DenseErrors(const DenseTrainingArgs& args, const int8_t* scores, int32_t label,
                    int32_t* errors);

// Moves weights and bias; `random` must not be 0. Weights stay in [-127, 127], biases in
// [-2**30, 2**30].
void DenseUpdate(const DenseTrainingArgs& args, const int8_t* input, const int32_t* errors,
                 int8_t* weights, int32_t* bias, uint32_t* random);

// The CRC-32 of zlib of bytes that follow others, whose CRC-32 is `before`.
uint32_t Crc32(uint32_t before, const uint8_t* bytes, int32_t count);

}  // namespace micro
}  // namespace edgeax
