#pragma once  // core/sparse.h: rows of int8 weights without their zeros.
              // Python twin: edgeax/formats/sparse.py.

#include "tflite_kernels/core/tensors.h"

namespace edgeax {

// A row of weights is cut into blocks, and blocks of zeros are left out. How it is written which
// blocks are left; each row begins on a byte, first entry in the lowest bits:
// kBitmask: one bit for each block, 1 where it is left.
// kRelative4, kRelative8: for each block that is left, how many left-out blocks come before it, in
// 4 or 8 bits. The highest number is no block, it stands for that many left-out blocks alone.
// A row is over once all its blocks are accounted for; the last number may reach too far.
enum class Places : int32_t { kBitmask = 0, kRelative4 = 1, kRelative8 = 2 };

// The longest block. Every block divides it.
constexpr int32_t kMaxSparseBlock = 16;

struct SparseFormat {
  int32_t block;  // weights in a block: 1, 2, 4, 8 or 16
  Places places;
};

// Where a row begins: its first value and the first byte of its places.
struct SparseStart {
  int32_t value, index;
};

// `values`: the blocks that are left, row by row; the last block of a row is filled up, and what
// lies beyond the row's depth is not looked at. `indices`: where they stood. `starts`: what
// ScanSparse wrote about these, one more than there are rows; the kernels trust it.
struct SparseWeights {
  Span<const int8_t> values;
  Span<const uint8_t> indices;
  Span<const SparseStart> starts;
};

// Rows in the order of core/balanced.h, BalancedSize bytes, and the sum of the weights of each row;
// without bytes there are no sums to be read.
struct BalancedWeights {
  Span<const uint8_t> bytes;
  Span<const int32_t> sums;
};

// What every sparse kernel reads and writes; see Tensors. `balanced` are the weights once more, for
// kernels that would rather read those.
template <typename Code>
struct SparseCodeTensors {
  Span<const Code> input;
  SparseWeights weights;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<uint8_t> scratch;
  Span<Code> output;
  Share share = {0, 1};
  BalancedWeights balanced = {{nullptr, 0}, {nullptr, 0}};
};

using SparseTensors = SparseCodeTensors<int8_t>;
using Int16SparseTensors = SparseCodeTensors<int16_t>;

// Returns kBadArgument when there is no such format.
Status CheckSparseFormat(const SparseFormat& format);

// Checks places and values of `rows` rows of `depth` weights, which may come from a damaged file,
// and writes where each row begins, then where the last one ends. Returns kBadArgument for a format
// that there is not and when a block is placed beyond the end of its row; kBadShape when bytes of
// places or values are missing or left over, or `starts` has another size than rows + 1; `starts`
// is then undefined.
Status ScanSparse(const SparseFormat& format, int32_t rows, int32_t depth,
                  Span<const int8_t> values, Span<const uint8_t> indices, Span<SparseStart> starts);

// Checks the sizes of all spans but `scratch`, that `starts` fits the others, and every factor's
// shift.
Status CheckSparseTensors(const SparseTensors& tensors, int64_t input_size, int64_t channels,
                          int64_t output_size);
Status CheckSparseTensors(const Int16SparseTensors& tensors, int64_t input_size, int64_t channels,
                          int64_t output_size);

// Reads the places of one row.
struct SparseCursor {
  const uint8_t* next;  // byte
  const uint8_t* end;
  int32_t place;      // of the block that NextPlace found
  int32_t accounted;  // blocks, those left and those left out
  int32_t blocks;     // of the row
  uint32_t entry_bits, highest;
  uint32_t byte, byte_bits;  // what is left of the byte read last
  Status status;             // why there is no next place, kOk at the end of the row
};

static inline SparseCursor SparseRow(const SparseFormat& format, int32_t depth,
                                     const uint8_t* indices, const uint8_t* end) {
  const uint32_t bits = format.places == Places::kBitmask     ? 1
                        : format.places == Places::kRelative4 ? 4
                                                              : 8;
  const int32_t blocks = (depth - 1) / format.block + 1;
  return {indices, end, 0, 0, blocks, bits, (1u << bits) - 1, 0, 0, Status::kOk};
}

// The places of row number `row` of weights that are scanned.
static inline SparseCursor SparseRow(const SparseFormat& format, int32_t depth,
                                     const SparseWeights& weights, int32_t row) {
  const SparseStart* start = weights.starts.data + row;
  const uint8_t* indices = weights.indices.data;
  return SparseRow(format, depth, indices + start[0].index, indices + start[1].index);
}

// Finds the next block that is left; false when there is none.
static inline bool NextPlace(SparseCursor* cursor) {
  while (cursor->accounted < cursor->blocks) {
    if (cursor->byte_bits == 0) {
      if (cursor->next == cursor->end) {
        cursor->status = Status::kBadShape;
        return false;
      }
      cursor->byte = *cursor->next++;
      cursor->byte_bits = 8;
    }
    const uint32_t entry = cursor->byte & cursor->highest;
    cursor->byte >>= cursor->entry_bits;
    cursor->byte_bits -= cursor->entry_bits;
    const bool is_mask = cursor->entry_bits == 1;
    const int32_t left_out = is_mask ? 0 : static_cast<int32_t>(entry);
    const bool is_left = is_mask == (entry == cursor->highest);
    cursor->place = cursor->accounted + left_out;
    cursor->accounted = cursor->place + (is_mask || is_left ? 1 : 0);
    if (!is_left) continue;
    if (cursor->place < cursor->blocks) return true;
    cursor->status = Status::kBadArgument;
    return false;
  }
  return false;
}

}  // namespace edgeax
