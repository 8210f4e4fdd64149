#pragma once  // micro/transpose_conv.h: TRANSPOSE_CONV of int8 codes.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

// Outputs whose places have the same remainders by the strides, a phase, are a convolution with
// stride 1 of the whole input with every stride-th tap, in reverse order.
struct TransposeConvArgs {
  ConvolutionShape shape;  // of the operator; strides are of the output
  ConvolutionPlan plan;    // without runs
  TilePlan tile;
  int32_t input_zero_point;
  Factors factors;
  const int32_t* bias;     // those of a phase, then those of the next
  const int8_t* weights;   // tiles of a phase, then those of the next
  int32_t phases;          // how many
  const int32_t* numbers;  // a TransposePhase for each
};

struct TransposePhase {
  int32_t first_row, first_column, rows, columns;  // of the output
  int32_t kernel_height, kernel_width, pad_top, pad_left;
  int32_t runs, run_bytes, is_direct;
};

// Scratch: see Convolve.
template <Rounding kRounding>
void TransposeConv(const TransposeConvArgs& args, const int8_t* input, int8_t* output,
                   void* scratch);

}  // namespace micro
}  // namespace edgeax
