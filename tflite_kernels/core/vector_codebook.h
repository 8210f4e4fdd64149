#pragma once  // core/vector_codebook.h: weights whose sub-vectors are codewords of tables.

#include "tflite_kernels/core/packing.h"
#include "tflite_kernels/core/tensors.h"

namespace edgeax {

// Entries of the largest table.
constexpr int32_t kMaxVectorEntries = 256;

// The weights of an output channel are cut into sub-vectors of `length` in a row. That at place p
// is a codeword of table p % tables: one table for all, one for each place, or, in a convolution,
// one for each place among the channels.
struct VectorFormat {
  int32_t tables;
  int32_t entries;  // codewords of a table, 2 to kMaxVectorEntries
  int32_t length;
};

// Indices lie in blocks of so many output channels; the last block has those that are left over.
constexpr int32_t kIndexBlock = 128;

// Bits of the index of a codeword.
static inline int32_t IndexBits(const VectorFormat& format) {
  return format.entries <= kCodebookEntries ? 4 : 8;
}

// Sub-vectors of a channel of `depth` weights.
static inline int32_t VectorPlaces(const VectorFormat& format, int32_t depth) {
  return depth / format.length;
}

// The indices of a block of channels: one row for each place of a sub-vector, packed as in
// packing.h.
struct IndexRows {
  const uint8_t* first;
  int32_t row_bytes;
};

static inline int32_t ChannelsOfBlock(int32_t channels, int32_t block) {
  const int32_t left_over = channels - block * kIndexBlock;
  return left_over < kIndexBlock ? left_over : kIndexBlock;
}

static inline IndexRows RowsOfBlock(const VectorFormat& format, const uint8_t* weights,
                                    int32_t places, int32_t channels, int32_t block) {
  const int32_t bits = IndexBits(format);
  const size_t before = static_cast<size_t>(block) * places * PackedBytes(kIndexBlock, bits);
  return {weights + before, PackedBytes(ChannelsOfBlock(channels, block), bits)};
}

// What a kernel of such weights reads and writes; see Tensors. `weights` holds the IndexRows of all
// blocks. `codebook` is [tables][length][entries]: the first weights of all codewords of a table,
// then the second ones. `indices_fit` says that IndicesFit was asked once and for all.
struct VectorTensors {
  Span<const int8_t> input;
  Span<const uint8_t> weights;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<const int8_t> codebook;
  Span<uint8_t> scratch;
  Span<int8_t> output;
  Share share = {0, 1};
  bool indices_fit = false;
};

// Whether channels of `depth` weights can have the format. Returns kBadArgument when `entries` is
// out of its range, kBadShape when the length does not divide the depth, or the tables not the
// places.
Status CheckVectorFormat(const VectorFormat& format, int32_t depth);

// Whether every index of `places` rows, of `channels` each, points into its table.
bool IndicesFit(const VectorFormat& format, int32_t places, int32_t channels,
                Span<const uint8_t> weights);

// Checks the sizes of all spans but `scratch`, every factor's shift, and the indices, of a format
// that is checked.
Status CheckVectorTensors(const VectorFormat& format, const VectorTensors& tensors,
                          int64_t input_size, int32_t depth, int32_t channels, int64_t output_size);

// Weight number `k` of `depth` of a channel.
static inline int8_t VectorWeight(const VectorFormat& format, const VectorTensors& tensors,
                                  int32_t depth, int32_t channels, int32_t channel, int32_t k) {
  const int32_t place = k / format.length;
  const IndexRows rows = RowsOfBlock(format, tensors.weights.data, VectorPlaces(format, depth),
                                     channels, channel / kIndexBlock);
  const uint8_t* row = rows.first + static_cast<size_t>(place) * rows.row_bytes;
  const int32_t index = Unpack(row, channel % kIndexBlock, IndexBits(format));
  const size_t line =
      static_cast<size_t>(place % format.tables) * format.length + k % format.length;
  return tensors.codebook.data[line * format.entries + index];
}

}  // namespace edgeax
