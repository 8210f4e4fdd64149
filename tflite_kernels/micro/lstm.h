#pragma once  // micro/lstm.h: UNIDIRECTIONAL_SEQUENCE_LSTM with an 8-bit state and a 16-bit cell.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Weights lie unit by unit, four rows a unit: of the forget gate, the new content of the cell, the
// output gate and the input gate. Biases and factors have the same order.
struct LstmArgs {
  int32_t batch, time, features, units;
  int32_t time_major;  // 1: inputs and outputs are [time, batch, ...], 0: [batch, time]
  int32_t couples_input_to_forget;  // 1: the input gate is one minus the forget gate
  const int8_t* input_weights;      // [units, 4, features]
  const int8_t* recurrent_weights;  // [units, 4, units]
  const int32_t* input_bias;        // [units, 4]
  const int32_t* recurrent_bias;    // [units, 4]
  Factors input_factors;            // four: sums to codes of 2**-12
  Factors recurrent_factors;        // four
  int32_t cell_bits;                // codes of the cell are 2**(cell_bits - 15), [0, 6]
  Clamp cell_limits;
  Requantization hidden_factor;  // products of fractions, 2**-30, to codes of the hidden state
  int32_t hidden_zero_point;
};

// `hidden` [batch, units] and `cell` [batch, units] are read, and left as they are after the last
// step. kDouble computes what TFLM does: gates by a table. kSingle computes what LiteRT does: gates
// in fixed point.
template <Rounding kRounding>
void Lstm(const LstmArgs& args, const int8_t* input, int8_t* output, int8_t* hidden, int16_t* cell);

}  // namespace micro
}  // namespace edgeax
