#pragma once  // core/balanced.h: sparse rows of which at most 4 of each 16 weights are left.

#include "tflite_kernels/core/sparse.h"

namespace edgeax {

// Such rows in an order that kernels read straight on, made once of the rows of a file. Rows are
// cut into groups of kBalancedGroup weights. For each kBalancedRows rows and each two groups there
// are kBalancedBytes bytes: 16 with the places in the groups, row by row, those of the first group
// in low nibbles and those of the second in high ones; then 16 int8 values of the first group and
// 16 of the second. What is missing, rows, groups or weights, has the value 0.
constexpr int32_t kBalancedGroup = 16;
constexpr int32_t kBalancedLeft = 4;  // weights of a group
constexpr int32_t kBalancedRows = 4;
constexpr int32_t kBalancedBytes = 48;

// Kernels read that order for so few vectors of a call; for more they read that of the file.
constexpr int32_t kMostBalancedVectors = 2;

// How many pairs of groups a row has.
static inline int32_t BalancedSteps(int32_t depth) {
  return (depth + 2 * kBalancedGroup - 1) / (2 * kBalancedGroup);
}

static inline size_t BalancedSize(int32_t rows, int32_t depth) {
  const size_t tiles = (static_cast<size_t>(rows) + kBalancedRows - 1) / kBalancedRows;
  return tiles * static_cast<size_t>(BalancedSteps(depth)) * kBalancedBytes;
}

// Writes rows of scanned weights, with their sums. Returns false, what is written undefined, when
// more than kBalancedLeft of a group are left or one is -128, whose products would not fit in
// pairs.
bool WriteBalanced(const SparseFormat& format, int32_t rows, int32_t depth,
                   const SparseWeights& weights, Span<uint8_t> bytes, Span<int32_t> sums);

}  // namespace edgeax
