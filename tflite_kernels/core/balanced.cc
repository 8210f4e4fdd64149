#include "tflite_kernels/core/balanced.h"

namespace edgeax {
namespace {

constexpr int32_t kLowestWeight = -128;

// One row in the bytes of its tile.
struct BalancedRow {
  uint8_t* tile;
  int32_t row;    // in the tile
  int32_t group;  // of the weight written last
  int32_t left;   // weights of that group
};

bool WriteWeight(int32_t depth, int8_t value, BalancedRow* to) {
  const int32_t group = depth / kBalancedGroup, place = depth % kBalancedGroup;
  if (group != to->group) to->left = 0;
  if (to->left == kBalancedLeft || value == kLowestWeight) return false;
  uint8_t* const step = to->tile + static_cast<size_t>(group / 2) * kBalancedBytes;
  const int32_t at = to->row * kBalancedLeft + to->left;
  const int32_t is_second = group % 2;
  step[at] = static_cast<uint8_t>(step[at] | place << (4 * is_second));
  step[16 + 16 * is_second + at] = static_cast<uint8_t>(value);
  to->group = group;
  ++to->left;
  return true;
}

}  // namespace

bool WriteBalanced(const SparseFormat& format, int32_t rows, int32_t depth,
                   const SparseWeights& weights, Span<uint8_t> bytes, Span<int32_t> sums) {
  for (size_t i = 0; i < bytes.size; ++i) bytes.data[i] = 0;
  const size_t tile_bytes = static_cast<size_t>(BalancedSteps(depth)) * kBalancedBytes;
  for (int32_t r = 0; r < rows; ++r) {
    BalancedRow to = {bytes.data + static_cast<size_t>(r / kBalancedRows) * tile_bytes,
                      r % kBalancedRows, -1, 0};
    const int8_t* values = weights.values.data + weights.starts.data[r].value;
    SparseCursor cursor = SparseRow(format, depth, weights, r);
    sums.data[r] = 0;
    for (; NextPlace(&cursor); values += format.block) {
      const int32_t first = cursor.place * format.block;
      for (int32_t i = 0; i < format.block && first + i < depth; ++i) {
        if (values[i] == 0) continue;
        if (!WriteWeight(first + i, values[i], &to)) return false;
        sums.data[r] += values[i];
      }
    }
  }
  return true;
}

}  // namespace edgeax
