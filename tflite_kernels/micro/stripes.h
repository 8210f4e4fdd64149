#pragma once  // micro/stripes.h: stages that are computed in stripes of rows.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// How rows of a step's output follow from rows of its input: output row `o` reads the `reach` input
// rows from `o * stride - pad` on, as far as they lie in the image.
struct StripeWindow {
  int32_t input_rows, stride, pad, reach;
};

// Rows [begin, end) of an image in memory, `data` being row `begin`. A line buffer drops the rows
// that nobody reads any more.
struct Band {
  uint8_t* data;
  int32_t row_bytes, begin, end;
};

template <typename T>
T* RowOf(const Band& band, int32_t row) {
  return reinterpret_cast<T*>(band.data + (row - band.begin) * band.row_bytes);
}

static inline int32_t Smaller(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t Larger(int32_t a, int32_t b) { return a > b ? a : b; }

// The first input row that output rows from `row` on read.
int32_t FirstRead(const StripeWindow& window, int32_t row);

// The row behind the last one that output rows before `end` read.
int32_t EndRead(const StripeWindow& window, int32_t end);

// Moves the rows of a band from `first` on to its beginning.
void DropBefore(int32_t first, Band* band);

}  // namespace micro
}  // namespace edgeax
