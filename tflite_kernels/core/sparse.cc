#include "tflite_kernels/core/sparse.h"

namespace edgeax {
namespace {

template <typename Code>
Status CheckSizes(const SparseCodeTensors<Code>& tensors, int64_t input_size, int64_t channels,
                  int64_t output_size) {
  const SparseWeights& weights = tensors.weights;
  const bool sizes_fit =
      HasSize(tensors.input.size, input_size) && HasSize(tensors.bias.size, channels) &&
      HasSize(tensors.requantization.size, channels) && HasSize(tensors.output.size, output_size) &&
      HasSize(weights.starts.size, channels + 1);
  if (!sizes_fit) return Status::kBadShape;
  const SparseStart& end = weights.starts.data[channels];
  if (!HasSize(weights.values.size, end.value) || !HasSize(weights.indices.size, end.index)) {
    return Status::kBadShape;
  }
  return CheckShifts(tensors.requantization);
}

}  // namespace

Status CheckSparseFormat(const SparseFormat& format) {
  const int32_t block = format.block;
  const bool is_block = block >= 1 && block <= kMaxSparseBlock && (block & (block - 1)) == 0;
  const bool are_places = format.places == Places::kBitmask ||
                          format.places == Places::kRelative4 ||
                          format.places == Places::kRelative8;
  return is_block && are_places ? Status::kOk : Status::kBadArgument;
}

Status ScanSparse(const SparseFormat& format, int32_t rows, int32_t depth,
                  Span<const int8_t> values, Span<const uint8_t> indices,
                  Span<SparseStart> starts) {
  const Status known = CheckSparseFormat(format);
  if (known != Status::kOk) return known;
  const size_t most = static_cast<size_t>(kMaxElements);
  if (rows < 1 || depth < 1 || depth > kMaxRowDepth || !HasSize(starts.size, int64_t{rows} + 1) ||
      values.size > most || indices.size > most) {
    return Status::kBadShape;
  }
  int64_t value = 0;
  const uint8_t* const end = indices.data + indices.size;
  const uint8_t* next = indices.data;
  for (int32_t r = 0; r < rows; ++r) {
    starts.data[r] = {static_cast<int32_t>(value), static_cast<int32_t>(next - indices.data)};
    SparseCursor row = SparseRow(format, depth, next, end);
    while (NextPlace(&row)) value += format.block;
    if (row.status != Status::kOk) return row.status;
    if (value > static_cast<int64_t>(values.size)) return Status::kBadShape;
    next = row.next;
  }
  if (next != end || !HasSize(values.size, value)) return Status::kBadShape;
  starts.data[rows] = {static_cast<int32_t>(value), static_cast<int32_t>(indices.size)};
  return Status::kOk;
}

Status CheckSparseTensors(const SparseTensors& tensors, int64_t input_size, int64_t channels,
                          int64_t output_size) {
  return CheckSizes(tensors, input_size, channels, output_size);
}

Status CheckSparseTensors(const Int16SparseTensors& tensors, int64_t input_size, int64_t channels,
                          int64_t output_size) {
  return CheckSizes(tensors, input_size, channels, output_size);
}

}  // namespace edgeax
