#pragma once  // core/types.h: the words all kernels share. Portable C++17: no heap, no exceptions.

#include <stddef.h>
#include <stdint.h>

// Functions in the headers of core/ are `static inline` and structs have no member functions: the
// files of arch/ are compiled for newer processors, and an inline function with external linkage
// could be merged with their copy of it and then run on an older processor.
namespace edgeax {

enum class Status : int32_t {
  kOk = 0,
  kBadShape = 1,     // a span or a shape has the wrong size
  kBadArgument = 2,  // a number is out of its range
  kBadScratch = 3,   // the scratch span is smaller than the kernel's ...ScratchBytes
};

// `size` elements at `data`. No alignment is assumed beyond that of T.
template <typename T>
struct Span {
  T* data;
  size_t size;
};

// Batch, height, width, channels; channels innermost.
struct Shape4 {
  int32_t batch, height, width, channels;
};

// Longest row of weights: 255 * 128 * 65536 still fits an int32 sum.
constexpr int32_t kMaxRowDepth = 65536;

// No tensor has more elements: an index fits int32_t and size_t on every target, even when it steps
// over the end by a block.
constexpr int64_t kMaxElements = INT32_MAX - 65535;

// Product of positive factors, or -1 when a factor is not positive or the product is beyond
// kMaxElements.
template <typename... Factors>
static inline int64_t CheckedProduct(Factors... factors) {
  const int64_t list[] = {static_cast<int64_t>(factors)...};
  int64_t product = 1;
  for (const int64_t factor : list) {
    if (factor <= 0 || factor > kMaxElements / product) return -1;
    product *= factor;
  }
  return product;
}

// Part number `index` of `count` of the output of one call. Each part is computed by a call of its
// own, with scratch of its own, and together they give what one call gives.
struct Share {
  int32_t index, count;
};

struct Range {
  int32_t begin, end;
};

// The part of [0, total) that falls to a share: whole steps, but for the last one.
static inline Range RangeOf(int32_t total, int32_t step, Share share) {
  const int64_t steps = (static_cast<int64_t>(total) + step - 1) / step;
  const int64_t begin = steps * share.index / share.count * step;
  const int64_t end = steps * (share.index + 1) / share.count * step;
  return {static_cast<int32_t>(begin < total ? begin : total),
          static_cast<int32_t>(end < total ? end : total)};
}

static inline bool HasSize(size_t size, int64_t wanted) {
  return wanted >= 0 && static_cast<uint64_t>(wanted) == size;
}

}  // namespace edgeax
