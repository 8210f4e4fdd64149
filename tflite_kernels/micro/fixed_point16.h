#pragma once  // micro/fixed_point16.h: sigmoid and tanh in 16 bits as gemmlowp computes them.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Fractions: 16-bit codes of 2**-15, in [-1, 1). Quarters of them, 2**-13, hold [-4, 4).

// The sigmoid of a code of 2**-12 as a fraction.
int32_t FixedPointSigmoid(int32_t code);

// The tanh of a code of 2**(integer_bits - 15) as a fraction, `integer_bits` in [0, 6].
int32_t FixedPointTanh(int32_t code, int32_t integer_bits);

}  // namespace micro
}  // namespace edgeax
