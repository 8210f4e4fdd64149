#pragma once  // micro/trained_products.h: products of codes and weights of layers that learn, and
              // of codes and gradients, by the best instructions there are.

#if !defined(EDGEAX_MICRO_PORTABLE) && defined(__ARM_FEATURE_DSP)
#include "tflite_kernels/micro/trained_products_dsp.h"
#define EDGEAX_MICRO_PRODUCTS dsp
#else
#include "tflite_kernels/micro/trained_products_portable.h"
#define EDGEAX_MICRO_PRODUCTS portable
#endif

namespace edgeax {
namespace micro {

// Rows that AddInnerProducts takes.
using EDGEAX_MICRO_PRODUCTS::kRows;

// sums[r] += the inner product of codes less the zero point and row r of kRows, `step` apart.
void AddInnerProducts(const int8_t* codes, int32_t zero_point, const int8_t* rows, int32_t step,
                      int32_t count, int32_t* sums);

// sums[i] += factor0 * (row0[i] - zero point) + factor1 * (row1[i] - zero point), factors of 16
// bits.
void AddScaledRows(int32_t factor0, const int8_t* row0, int32_t factor1, const int8_t* row1,
                   int32_t zero_point, int32_t count, int32_t* sums);

// AddProducts<kCount>(factors, codes, zero point, sums): sums[i] += factors[i] * (codes[i] - zero
// point), factors int8 or int16.
using EDGEAX_MICRO_PRODUCTS::AddProducts;

// Adds rows of codes less a zero point to sums, each times a factor of 16 bits.
class RowSum {
 public:
  RowSum(int32_t zero_point, int32_t count, int32_t* sums)
      : zero_point_(zero_point), count_(count), sums_(sums) {}

  void Add(int32_t factor, const int8_t* row) {
    if (factor == 0) return;
    if (factor_ == 0) {
      factor_ = factor;
      row_ = row;
      return;
    }
    AddScaledRows(factor_, row_, factor, row, zero_point_, count_, sums_);
    factor_ = 0;
  }

  // To be called once all are added.
  void Finish() {
    if (factor_ != 0) AddScaledRows(factor_, row_, 0, row_, zero_point_, count_, sums_);
  }

 private:
  const int32_t zero_point_, count_;
  int32_t* const sums_;
  int32_t factor_ = 0;  // of the row that waits for another; 0: none does
  const int8_t* row_ = nullptr;
};

// How many channels are computed at once.
template <int32_t kCount>
struct Lanes {
  static constexpr int32_t count = kCount;
};

// Calls use(lanes, first channel) until all channels in [begin, end) had their turn, one at a time
// unless they may be together.
template <typename Use>
inline void ForEachLanes(int32_t begin, int32_t end, bool together, Use use) {
  for (; together && begin + 4 <= end; begin += 4) use(Lanes<4>{}, begin);
  for (; begin < end; ++begin) use(Lanes<1>{}, begin);
}

// The output code of a sum.
template <typename Args>
inline int8_t CodeOf(const Args& args, int32_t sum, int32_t output) {
  // Beyond what int32 less a zero point holds, every code is at its limit.
  const int32_t scaled =
      Clamped(RequantizeDouble(sum, FactorOf(args.factors, output)), {-512, 512});
  return static_cast<int8_t>(Clamped(scaled + args.output_zero_point, args.clamp));
}

}  // namespace micro
}  // namespace edgeax
