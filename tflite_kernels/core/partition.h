#pragma once  // core/partition.h: sorted values cut into intervals of least squared error.

#include "tflite_kernels/core/wide.h"

namespace edgeax {

// Sums over the values before a place, centred: of weights, weight * value, weight * value**2.
struct PartitionSums {
  Wide weight, first, second;
};

// Memory of one call. With n values: n + 1 sums, n + 1 costs, 5 * (n + 1) places.
struct PartitionScratch {
  Span<PartitionSums> sums;
  Span<Wide> costs;
  Span<int32_t> places;
};

// No more values are taken, and no value or weight of larger magnitude, so that nothing overflows.
constexpr size_t kMaxPartitionSize = size_t{1} << 28;
constexpr double kMaxPartitionValue = 1e60;

// Cuts n sorted values into intervals so that the sum of `weight * (value - mean)**2` over all of
// them, each with the mean of its own interval, is as small as can be: k-means in one dimension.
// Sums have twice the digits of a double, so that it does not matter how far the values lie from 0.
//
// The cost of an interval has the Monge property, so the least cost is convex in the number of
// intervals. Where each interval costs a penalty more, the best cut has then just as many as are
// wanted, for some penalty; or one cut has fewer, one has more, and a cut spliced from both is
// best. The best cut for a penalty is found in O(n log n). Penalties are first searched for with
// cuts at few places only.
//
// `values`: n, ascending. `weights`: n, at least 0. `edges`: the wanted number of intervals + 1, at
// most n + 1; interval k then holds the values from edges[k] up to edges[k + 1] - 1, at least one.
// Returns kBadShape when a size does not fit, kBadScratch when scratch is too small, kBadArgument
// for values that do not ascend or are too large, or weights below 0; `edges` is then untouched.
Status Partition(Span<const double> values, Span<const double> weights,
                 const PartitionScratch& scratch, Span<int32_t> edges);

}  // namespace edgeax
