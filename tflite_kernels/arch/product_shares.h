#pragma once  // arch/product_shares.h: what falls to each share of a product.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// Shares of the rows prepare all weights each, shares of the columns gather all rows. One of the
// two is everything.
struct ProductShares {
  Share rows, columns;
};

// The most that falls to one of `count` shares, see RangeOf.
static inline int64_t LargestPart(int32_t total, int32_t step, int32_t count) {
  const int64_t steps = (static_cast<int64_t>(total) + step - 1) / step;
  const int64_t part = (steps + count - 1) / count * step;
  return part < total ? part : total;
}

// Few rows, which are multiplied `row_step` at a time, cut into uneven shares: 49 rows in steps of
// 14 are 28 and 21. Then columns are shared, where that is more even.
static inline ProductShares CutProduct(int32_t rows, int32_t row_step, int32_t columns,
                                       int32_t column_step, Share share) {
  const Share all = {0, 1};
  const bool by_columns = rows <= columns && LargestPart(columns, column_step, share.count) * rows <
                                                 LargestPart(rows, row_step, share.count) * columns;
  return by_columns ? ProductShares{all, share} : ProductShares{share, all};
}

}  // namespace edgeax
