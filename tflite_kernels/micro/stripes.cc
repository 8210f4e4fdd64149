#include "tflite_kernels/micro/stripes.h"

#include "tflite_kernels/micro/relocate.h"

namespace edgeax {
namespace micro {
namespace {

int32_t InImage(const StripeWindow& window, int32_t row) {
  return Larger(0, Smaller(row, window.input_rows));
}

}  // namespace

int32_t FirstRead(const StripeWindow& window, int32_t row) {
  return InImage(window, row * window.stride - window.pad);
}

int32_t EndRead(const StripeWindow& window, int32_t end) {
  if (end == 0) return 0;
  return InImage(window, (end - 1) * window.stride - window.pad + window.reach);
}

void DropBefore(int32_t first, Band* band) {
  first = Smaller(first, band->end);
  if (first <= band->begin) return;
  Relocate({(band->end - first) * band->row_bytes}, RowOf<uint8_t>(*band, first), band->data);
  band->begin = first;
}

}  // namespace micro
}  // namespace edgeax
