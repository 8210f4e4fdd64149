#pragma once  // core/grouped.h: rows of packed codes in groups, each with a codebook of its own.
              // Python twin: edgeax/formats/grouped_rows.py.

#include "tflite_kernels/core/tensors.h"

namespace edgeax {

// A row of weights is its codes, packed as in packing.h, and behind them a byte for each group of
// 2^group_bits codes, of which the last may be shorter: the number of the codebook that they point
// into. `Tensors::codebook` holds codebooks of 2^bits entries one after the other, 1, 2, 4 ...
// or 256 of them; of a larger number only the bits count that tell them apart, so that any bytes
// are weights.
struct GroupedFormat {
  int32_t bits;        // of a code: 4 or 2
  int32_t group_bits;  // kMinGroupBits to kMaxGroupBits
};

constexpr int32_t kMinGroupBits = 4;
constexpr int32_t kMaxGroupBits = 16;
constexpr int32_t kMaxCodebooks = 256;

// Returns kBadArgument when there is no such format.
Status CheckGroupedFormat(const GroupedFormat& format);

// Bytes of a row of `depth` weights; `format` is checked.
static inline int32_t GroupedRowBytes(const GroupedFormat& format, int32_t depth) {
  return PackedBytes(depth, format.bits) + ((depth - 1) >> format.group_bits) + 1;
}

// CheckTensors for `rows` rows of `depth` weights.
Status CheckGroupedTensors(const Tensors& tensors, const GroupedFormat& format, int64_t input_size,
                           int32_t rows, int32_t depth, int64_t output_size);

// Bits of the number of a codebook that count.
static inline int32_t CodebookMask(const Tensors& tensors, const GroupedFormat& format) {
  return static_cast<int32_t>(tensors.codebook.size >> format.bits) - 1;
}

// Weight number k of `depth` in a row.
static inline int32_t GroupedWeight(const Tensors& tensors, const GroupedFormat& format,
                                    const uint8_t* row, int32_t depth, int32_t k) {
  const uint8_t* numbers = row + PackedBytes(depth, format.bits);
  const int32_t number = numbers[k >> format.group_bits] & CodebookMask(tensors, format);
  return tensors.codebook.data[(number << format.bits) + Unpack(row, k, format.bits)];
}

}  // namespace edgeax
