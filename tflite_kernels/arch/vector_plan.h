#pragma once  // arch/vector_plan.h: how a product with weights of codewords is computed, and where.

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/core/vector_codebook.h"

// A block of rows lies in scratch as for the product of arch/matmul.h, and there are three ways on:
// - Lookups: for each place of a sub-vector the products of a row with all codewords are computed
//   once, and every column adds up those that its indices name. For tables of 16 and few rows.
// - Gathers: the same for longer tables, one column after the other.
// - Decoded: a tile of columns is written out as int8 and multiplied as in arch/matmul.h.
namespace edgeax {

// Sums of products in a table, moved up, stay within 24 bits up to this length.
constexpr int32_t kMaxLookupLength = 255;

// Numbers beyond a row of a tile that a codeword's copy may write. Rows of a power of two would
// meet in the same lines of a cache.
constexpr int32_t kTileSpill = 64;

// Measured: more rows than so many times the length are better decoded, unless it pays for all.
constexpr int32_t kLookupRows = 4;

// Measured: more rows are better decoded, and so are few columns, for which the products with a
// whole table are too many.
constexpr int32_t kMostGatherRows = 2;
constexpr int32_t kLeastGatherColumns = 128;

// Gathers take so many places at once, and add up so many columns.
constexpr int32_t kGatherPlaces = 4;
constexpr int32_t kGatherColumns = 16 * kIndexBlock;

enum class VectorWay { kLookups, kGathers, kDecoded };

// Sizes and scratch layout; all ways have the block of rows of `product`.
struct VectorPlan {
  MatMulPlan product;
  int32_t places;
  int32_t stride;  // bytes of a codeword as it is copied: 1, 2, 4, 8 or a multiple of 16
  int32_t pitch;   // of a tile
  size_t codewords_bytes, tile_bytes;           // Decoded
  size_t lines_bytes, row_bytes, tables_bytes;  // Lookups; but for the lines, Gathers
  size_t sums_bytes;                            // Gathers
  size_t total_bytes;
};

static inline int32_t CopyBytes(int32_t length) {
  for (int32_t bytes = 1; bytes <= 8; bytes *= 2) {
    if (length <= bytes) return bytes;
  }
  return (length + 15) / 16 * 16;
}

template <typename Simd, typename Lookup>
VectorPlan PlanVector(const VectorFormat& format, int64_t rows, int32_t depth) {
  VectorPlan plan;
  plan.product = PlanMatMul<Simd>(rows, depth);
  plan.places = VectorPlaces(format, depth);
  plan.stride = CopyBytes(format.length);
  plan.pitch = plan.product.padded_depth + kTileSpill;
  const size_t codewords = static_cast<size_t>(format.tables) * format.entries;
  plan.codewords_bytes = AlignedBytes(codewords * plan.stride);
  plan.tile_bytes = AlignedBytes(static_cast<size_t>(plan.pitch) * Simd::kColumns);
  const size_t lines = static_cast<size_t>(format.tables) * format.length;
  const bool is_small = format.entries <= kCodebookEntries;
  plan.lines_bytes = is_small ? AlignedBytes(lines * kCodebookEntries) : 0;
  plan.row_bytes = AlignedBytes(static_cast<size_t>(depth) * sizeof(int16_t));
  plan.tables_bytes = is_small
                          ? AlignedBytes(static_cast<size_t>(plan.places) * Lookup::kTableBytes)
                          : sizeof(int32_t) * kGatherPlaces * kMaxVectorEntries;
  plan.sums_bytes = is_small ? 0 : sizeof(int32_t) * kGatherColumns;
  const size_t decoded = plan.codewords_bytes + plan.tile_bytes;
  const size_t lookups = plan.lines_bytes + plan.row_bytes + plan.tables_bytes + plan.sums_bytes;
  plan.total_bytes = plan.product.total_bytes + (decoded > lookups ? decoded : lookups);
  return plan;
}

}  // namespace edgeax
