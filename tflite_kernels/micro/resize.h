#pragma once  // micro/resize.h: images of other sizes.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Every output pixel is an input pixel: the one in row rows[y] and column columns[x].
struct ResizeNearestArgs {
  int32_t batch, input_height, input_width, output_height, output_width;
  int32_t pixel;  // bytes
  const int16_t* rows;
  const int16_t* columns;
};

void ResizeNearest(const ResizeNearestArgs& args, const void* input, void* output);

// Every output pixel lies between two rows and two columns of the input. `rows` and `columns` have
// three numbers for each output row and column: that before, that behind, and how far it is from
// the one to the other, in 1024ths (double) or 2048ths (single).
struct ResizeBilinearArgs {
  int32_t batch, input_height, input_width, output_height, output_width, channels;
  const int16_t* rows;
  const int16_t* columns;
};

// Double rounds half away from zero, single half up.
template <Rounding kRounding>
void ResizeBilinear(const ResizeBilinearArgs& args, const int8_t* input, int8_t* output);
// As double.
void ResizeBilinear(const ResizeBilinearArgs& args, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
