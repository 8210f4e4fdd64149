#include "tflite_kernels/core/grouped.h"

namespace edgeax {

Status CheckGroupedFormat(const GroupedFormat& format) {
  const bool exists = (format.bits == 4 || format.bits == 2) &&
                      format.group_bits >= kMinGroupBits && format.group_bits <= kMaxGroupBits;
  return exists ? Status::kOk : Status::kBadArgument;
}

Status CheckGroupedTensors(const Tensors& tensors, const GroupedFormat& format, int64_t input_size,
                           int32_t rows, int32_t depth, int64_t output_size) {
  const size_t codebooks = tensors.codebook.size >> format.bits;
  const bool is_power_of_two = codebooks > 0 && (codebooks & (codebooks - 1)) == 0;
  const int64_t weight_bytes = CheckedProduct(rows, GroupedRowBytes(format, depth));
  const bool sizes_fit =
      is_power_of_two && codebooks <= kMaxCodebooks &&
      codebooks << format.bits == tensors.codebook.size &&
      HasSize(tensors.input.size, input_size) && HasSize(tensors.weights.size, weight_bytes) &&
      HasSize(tensors.bias.size, rows) && HasSize(tensors.requantization.size, rows) &&
      HasSize(tensors.output.size, output_size);
  if (!sizes_fit) return Status::kBadShape;
  return CheckShifts(tensors.requantization);
}

}  // namespace edgeax
