#pragma once  // arch/neon.h: the steps of the drivers on aarch64, without the dot product.

#include <arm_neon.h>
#include <string.h>

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/arch/neon_dot.h"
#include "tflite_kernels/arch/neon_finish.h"
#include "tflite_kernels/arch/neon_rows.h"
#include "tflite_kernels/arch/neon_tile.h"

namespace edgeax {
namespace {

// Weights up to here are small: at least 16 of their products fit an int16 sum.
constexpr int32_t kSmallWeight = 15;

// So many times two products of weights up to `largest` fit an int16 sum.
inline int32_t PairsOfProducts(int32_t largest) { return 127 / (largest < 1 ? 1 : largest); }

// Adds 16 products to 8 partial sums, in pairs.
inline int16x8_t Add16SmallProducts(int16x8_t sum, int8x16_t x, int8x16_t w) {
  return vmlal_high_s8(vmlal_s8(sum, vget_low_s8(x), vget_low_s8(w)), x, w);
}

// Steps with and without the dot product.
struct NeonSteps : NeonRows {
  using DenseRows = DenseRowsNeon;

  // Weights that Dot takes at a time: 16 bytes of codes.
  template <int32_t kBits>
  static constexpr int32_t DotStep() {
    return 16 * 8 / kBits;
  }

  // Enough for codes of any bits.
  static size_t VectorBytes(int32_t padded_depth) {
    constexpr int32_t kStep = DotStep<1>();
    return static_cast<size_t>((padded_depth + kStep - 1) / kStep) * kStep;
  }

  // Number i of 16 * kCount goes to place i / kCount of part i % kCount.
  template <int32_t kCount>
  static void Deinterleave(const int8_t* from, int8_t* to) {
    const auto store = [&](int32_t part, int8x16_t numbers) { vst1q_s8(to + 16 * part, numbers); };
    if (kCount == 2) {
      const int8x16x2_t parts = vld2q_s8(from);
      store(0, parts.val[0]), store(1, parts.val[1]);
      return;
    }
    const int8x16x4_t parts = vld4q_s8(from);
    if (kCount == 4) {
      store(0, parts.val[0]), store(1, parts.val[1]);
      store(2, parts.val[2]), store(3, parts.val[3]);
      return;
    }
    const int8x16x4_t next = vld4q_s8(from + 64);
    const auto split = [&](int32_t part, int8x16_t a, int8x16_t b) {
      store(part, vuzp1q_s8(a, b)), store(part + 4, vuzp2q_s8(a, b));
    };
    split(0, parts.val[0], next.val[0]), split(1, parts.val[1], next.val[1]);
    split(2, parts.val[2], next.val[2]), split(3, parts.val[3], next.val[3]);
  }

  // A row in the order in which Dot decodes weights: those of the low nibbles first, by their place
  // in the nibble.
  template <int32_t kBits>
  static void PackVector(const Left* row, int32_t padded_depth, const Quantization& quantization,
                         Right* to) {
    constexpr int32_t kCodes = 8 / kBits;  // in a byte
    const int8_t zero = static_cast<int8_t>(quantization.input_zero_point);
    int32_t k = 0;
    for (; k + DotStep<kBits>() <= padded_depth; k += DotStep<kBits>()) {
      Deinterleave<kCodes>(row + k, to);
      to += DotStep<kBits>();
    }
    for (; k < padded_depth; k += DotStep<kBits>()) {
      for (int32_t code = 0; code < kCodes; ++code) {
        for (int32_t i = 0; i < 16; ++i) {
          const int32_t from = k + i * kCodes + code;
          *to++ = from < padded_depth ? row[from] : zero;
        }
      }
    }
  }

  // ---- Depthwise: 16 channels, two taps per int16 sum.

  using DepthwiseWeight = int8_t;
  using DepthwiseFinish = FinishNeon<16>;

  // Two taps of 16 channels, one after the other. Adds the weights to `sums`.
  template <int32_t kBits>
  static void DecodeDepthwise(const uint8_t* first, const uint8_t* second,
                              const NibbleTables& tables, DepthwiseWeight* to, int32_t* sums) {
    const TablesNeon<kBits> loaded(tables);
    const int8x16_t a = Decode16(vld1_u8(first), loaded);
    const int8x16_t b = Decode16(vld1_u8(second), loaded);
    vst1q_s8(to, a);
    vst1q_s8(to + 16, b);
    const int16x8_t low = vaddl_s8(vget_low_s8(a), vget_low_s8(b));
    const int16x8_t high = vaddl_high_s8(a, b);
    vst1q_s32(sums, vaddw_s16(vld1q_s32(sums), vget_low_s16(low)));
    vst1q_s32(sums + 4, vaddw_high_s16(vld1q_s32(sums + 4), low));
    vst1q_s32(sums + 8, vaddw_s16(vld1q_s32(sums + 8), vget_low_s16(high)));
    vst1q_s32(sums + 12, vaddw_high_s16(vld1q_s32(sums + 12), high));
  }

  template <bool kHasLowest>
  static void DepthwiseSums(const int8_t* const* taps, int32_t tap_count, int32_t channel,
                            const DepthwiseWeight* weights, int32_t* sums) {
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0, s2 = s0, s3 = s0;
    const auto add = [&](int16x8_t low, int16x8_t high) {
      s0 = vaddw_s16(s0, vget_low_s16(low));
      s1 = vaddw_high_s16(s1, low);
      s2 = vaddw_s16(s2, vget_low_s16(high));
      s3 = vaddw_high_s16(s3, high);
    };
    for (int32_t t = 0; t < tap_count; t += 2, weights += 32) {
      const int8x16_t x0 = vld1q_s8(taps[t] + channel), w0 = vld1q_s8(weights);
      const int8x16_t x1 = vld1q_s8(taps[t + 1] + channel), w1 = vld1q_s8(weights + 16);
      const int16x8_t low = vmull_s8(vget_low_s8(x0), vget_low_s8(w0));
      const int16x8_t high = vmull_high_s8(x0, w0);
      if (kHasLowest) {
        add(low, high);
        add(vmull_s8(vget_low_s8(x1), vget_low_s8(w1)), vmull_high_s8(x1, w1));
      } else {
        add(vmlal_s8(low, vget_low_s8(x1), vget_low_s8(w1)), vmlal_high_s8(high, x1, w1));
      }
    }
    vst1q_s32(sums, s0), vst1q_s32(sums + 4, s1);
    vst1q_s32(sums + 8, s2), vst1q_s32(sums + 12, s3);
  }

  // 16 channels from `channel` on, zero point not taken off.
  static void DepthwiseBlock(const int8_t* const* taps, int32_t tap_count, int32_t channel,
                             const DepthwiseWeight* weights, bool has_lowest,
                             const DepthwiseFinish& finish, int8_t* output) {
    int32_t sums[16];
    if (has_lowest) {
      DepthwiseSums<true>(taps, tap_count, channel, weights, sums);
    } else {
      DepthwiseSums<false>(taps, tap_count, channel, weights, sums);
    }
    finish.Store(sums, output);
  }
};

// Makes the compiler finish these sums before it starts on `next`: left alone, GCC starts all
// products of a step at once and runs out of registers.
inline void KeepOrder(int32x4_t& a, int32x4_t& b, int32x4_t& c, int32x4_t& d, int8x16_t& next) {
  __asm__ volatile("" : "+w"(a), "+w"(b), "+w"(c), "+w"(d), "+w"(next));
}

struct Neon : NeonSteps {
  using Finish = FinishNeon<4>;
  static constexpr bool kHasWholeRows = true;
  static constexpr int32_t kRows = 4;
  static constexpr int32_t kColumns = 4;
  static constexpr int32_t kFewRows = 2;

  // right int8 [padded_depth / 16][4 columns][16].
  template <typename Rows>
  static void PackRight(const Rows& rows, int32_t padded_depth, const Quantization& quantization,
                        Right* right, int32_t* offsets) {
    constexpr int32_t kStep = kColumns * kDepthStep;
    const ptrdiff_t inside = rows.DepthInside(kColumns);
    for (int32_t c = 0; c < kColumns; ++c) {
      int32x4_t sum = vdupq_n_s32(0);
      Right* to = right + c * kDepthStep;
      int32_t k = 0;
      for (; k + 2 * kDepthStep <= padded_depth && k + 2 * kDepthStep <= inside;
           k += 2 * kDepthStep, to += 2 * kStep) {
        const int8x16x2_t weights = rows.LoadTwo(c, k);
        vst1q_s8(to, weights.val[0]);
        vst1q_s8(to + kStep, weights.val[1]);
        sum = vpadalq_s16(sum, vpadalq_s8(vpaddlq_s8(weights.val[0]), weights.val[1]));
      }
      for (; k < padded_depth; k += kDepthStep, to += kStep) {
        const int8x16_t weights = rows.Load(c, k);
        vst1q_s8(to, weights);
        sum = vpadalq_s16(sum, vpaddlq_s8(weights));
      }
      offsets[c] = ZeroPointOffset(vaddvq_s32(sum), quantization);
    }
  }

  // sums int32 [4 rows][4 columns].
  static void Multiply(const Left* const* rows, const Right* right, int32_t padded_depth,
                       int32_t largest, int32_t* sums) {
    if (largest <= kSmallWeight) {
      MultiplySmallTile4x4(rows, right, padded_depth, PairsOfProducts(largest) / 2 * 2 * kDepthStep,
                           sums);
    } else if (largest == kLargestWeight) {
      MultiplyLowest(rows, right, padded_depth, sums);
    } else {
      MultiplyTile4x4(rows, right, padded_depth, sums);
    }
  }

  // The same where a weight may be -128.
  __attribute__((noinline)) static void MultiplyLowest(const Left* const* rows, const Right* right,
                                                       int32_t padded_depth, int32_t* sums) {
    const Left *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
    // Named one by one: GCC keeps an array of accumulators in memory.
    const int32x4_t zero = vdupq_n_s32(0);
    int32x4_t s00 = zero, s01 = zero, s02 = zero, s03 = zero;
    int32x4_t s10 = zero, s11 = zero, s12 = zero, s13 = zero;
    int32x4_t s20 = zero, s21 = zero, s22 = zero, s23 = zero;
    int32x4_t s30 = zero, s31 = zero, s32 = zero, s33 = zero;
    for (int32_t k = 0; k < padded_depth; k += 16, right += 64) {
      const int8x16_t x0 = vld1q_s8(r0 + k), x1 = vld1q_s8(r1 + k);
      const int8x16_t x2 = vld1q_s8(r2 + k), x3 = vld1q_s8(r3 + k);
      int8x16_t w0 = vld1q_s8(right), w1 = vld1q_s8(right + 16);
      int8x16_t w2 = vld1q_s8(right + 32), w3 = vld1q_s8(right + 48);
      s00 = Add16Products<true>(s00, x0, w0);
      s10 = Add16Products<true>(s10, x1, w0);
      s20 = Add16Products<true>(s20, x2, w0);
      s30 = Add16Products<true>(s30, x3, w0);
      KeepOrder(s00, s10, s20, s30, w1);
      s01 = Add16Products<true>(s01, x0, w1);
      s11 = Add16Products<true>(s11, x1, w1);
      s21 = Add16Products<true>(s21, x2, w1);
      s31 = Add16Products<true>(s31, x3, w1);
      KeepOrder(s01, s11, s21, s31, w2);
      s02 = Add16Products<true>(s02, x0, w2);
      s12 = Add16Products<true>(s12, x1, w2);
      s22 = Add16Products<true>(s22, x2, w2);
      s32 = Add16Products<true>(s32, x3, w2);
      KeepOrder(s02, s12, s22, s32, w3);
      s03 = Add16Products<true>(s03, x0, w3);
      s13 = Add16Products<true>(s13, x1, w3);
      s23 = Add16Products<true>(s23, x2, w3);
      s33 = Add16Products<true>(s33, x3, w3);
    }
    vst1q_s32(sums, vpaddq_s32(vpaddq_s32(s00, s01), vpaddq_s32(s02, s03)));
    vst1q_s32(sums + 4, vpaddq_s32(vpaddq_s32(s10, s11), vpaddq_s32(s12, s13)));
    vst1q_s32(sums + 8, vpaddq_s32(vpaddq_s32(s20, s21), vpaddq_s32(s22, s23)));
    vst1q_s32(sums + 12, vpaddq_s32(vpaddq_s32(s30, s31), vpaddq_s32(s32, s33)));
  }

  // sums[c] = (vector - zero point) . row c of weights, 4 rows.
  template <int32_t kBits>
  static void Dot(const Right* vector, const uint8_t* const* rows, const CodebookColumns& weights,
                  const Quantization& quantization, int32_t* sums) {
    const int32_t largest = weights.columns.largest;
    for (int32_t c = 0; c < kColumns; ++c) {
      sums[c] = largest <= kSmallWeight
                    ? DotRow<kBits, SmallSum>(vector, rows[c], weights, quantization)
                : largest == kLargestWeight
                    ? DotRow<kBits, WideSum<true>>(vector, rows[c], weights, quantization)
                    : DotRow<kBits, WideSum<false>>(vector, rows[c], weights, quantization);
    }
  }

  // Weights of a row that DotWhole takes at a time.
  template <int32_t kBits>
  static constexpr int32_t WholeStep() {
    return kBits == 4 ? 64 : 128;
  }

  // Whether the sums of weights are known and there is assembly for such rows.
  template <int32_t kBits>
  static bool ServesWholeRows(const CodebookColumns& weights) {
    if (weights.weight_sums == nullptr || weights.depth % WholeStep<kBits>() != 0) return false;
    const int32_t largest = weights.columns.largest;
    return kBits == 4 ? largest < kLargestWeight : kBits == 2 && largest <= kSmallWeight;
  }

  // The codes of all columns.
  template <int32_t kBits>
  static void RunWholeRows(const Right* vector, const CodebookColumns& weights,
                           const Quantization& quantization, int8_t* output) {
    const Columns& columns = weights.columns;
    for (int32_t c = 0; c < columns.count; c += 2 * kColumns) {
      const int32_t left_over = columns.count - c;
      const int32_t count = left_over < 2 * kColumns ? left_over : 2 * kColumns;
      int32_t sums[2 * kColumns];
      DotWhole<kBits>(vector, weights, c, sums);
      if (count > kColumns) DotWhole<kBits>(vector, weights, c + kColumns, sums + kColumns);
      StoreEight(sums, count, columns.bias + c, columns.factors + c, weights.weight_sums + c,
                 quantization, output + c);
    }
  }

  // Products of the columns c .. c + 3; those beyond the last are any.
  template <int32_t kBits>
  static void DotWhole(const Right* vector, const CodebookColumns& weights, int32_t c,
                       int32_t* sums) {
    const uint8_t* rows[kColumns];
    const uint8_t* row = weights.weights + static_cast<size_t>(c) * weights.row_bytes;
    for (int32_t i = 0; i < kColumns; ++i) {
      rows[i] = row;
      if (c + i + 1 < weights.columns.count) row += weights.row_bytes;
    }
    const int32_t steps = weights.depth / WholeStep<kBits>();
    const int8_t* tables = weights.tables->values[0];
    if (kBits == 4) return DotFourRows(vector, rows, tables, steps, sums);
    // A step adds eight products to a sum.
    const int32_t most = PairsOfProducts(weights.columns.largest) / 4;
    DotFourSmallRows(vector, rows, tables, most, steps, sums);
  }

  // Products of a row, of which `Finish` takes those so far into int32.
  struct SmallSum {
    static int32_t MostAdded(int32_t largest) { return PairsOfProducts(largest); }
    void Add(int8x16_t x, int8x16_t w) { part = Add16SmallProducts(part, x, w); }
    void Finish() {
      total = vpadalq_s16(total, part);
      part = vdupq_n_s16(0);
    }

    int32x4_t total = vdupq_n_s32(0);
    int16x8_t part = vdupq_n_s16(0);
  };

  template <bool kHasLowest>
  struct WideSum {
    static int32_t MostAdded(int32_t) { return INT32_MAX; }
    void Add(int8x16_t x, int8x16_t w) { total = Add16Products<kHasLowest>(total, x, w); }
    void Finish() {}

    int32x4_t total = vdupq_n_s32(0);
  };

  template <typename Sum>
  struct DotSums {
    Sum low, high;
    int16x8_t weights = vdupq_n_s16(0);
  };

  // Adds the products of `x` with the weights of 16 nibbles to `sum`.
  template <int32_t kBits, typename Sum>
  static void AddNibbles(const Right* x, uint8x16_t nibbles, const TablesNeon<kBits>& tables,
                         Sum* sum, int16x8_t* weight_sum) {
    const auto add = [&](int32_t code, int8x16_t table) {
      const int8x16_t weights = vqtbl1q_s8(table, nibbles);
      sum->Add(vld1q_s8(x + 16 * code), weights);
      *weight_sum = vpadalq_s8(*weight_sum, weights);
    };
    add(0, tables.first);
    if (kBits <= 2) add(1, tables.second);
    if (kBits == 1) add(2, tables.third);
    if (kBits == 1) add(3, tables.fourth);
  }

  template <int32_t kBits, typename Sum>
  static void AddStep(uint8x16_t bytes, const Right* x, const TablesNeon<kBits>& tables,
                      DotSums<Sum>* sums) {
    AddNibbles(x, vandq_u8(bytes, vdupq_n_u8(15)), tables, &sums->low, &sums->weights);
    AddNibbles(x + DotStep<kBits>() / 2, vshrq_n_u8(bytes, 4), tables, &sums->high, &sums->weights);
  }

  template <int32_t kBits, typename Sum>
  static int32_t DotRow(const Right* vector, const uint8_t* row, const CodebookColumns& weights,
                        const Quantization& quantization) {
    constexpr int32_t kStep = DotStep<kBits>();
    constexpr int32_t kAddedPerStep = kStep / 32;  // to each of two sums
    constexpr int32_t kMostSteps = 2048 / kStep;   // 2048 / 8 * 128 still fits the sums of weights
    const int32_t fit = Sum::MostAdded(weights.columns.largest) / kAddedPerStep;
    const int32_t steps_per_sum = fit < kMostSteps ? fit : kMostSteps;
    const TablesNeon<kBits> tables(*weights.tables);
    const int32_t steps = (weights.depth + kStep - 1) / kStep;
    const ptrdiff_t whole = (weights.weights_end - row) / 16;
    DotSums<Sum> sums;
    int32x4_t weight_sum = vdupq_n_s32(0);
    for (int32_t first = 0; first < steps; first += steps_per_sum) {
      const int32_t last = steps - first < steps_per_sum ? steps : first + steps_per_sum;
      int32_t i = first;
      for (; i < last && i < whole; ++i) {
        AddStep(vld1q_u8(row + 16 * i), vector + kStep * i, tables, &sums);
      }
      for (; i < last; ++i) {
        AddStep(Load16(row + 16 * i, weights.weights_end), vector + kStep * i, tables, &sums);
      }
      sums.low.Finish();
      sums.high.Finish();
      weight_sum = vpadalq_s16(weight_sum, sums.weights);
      sums.weights = vdupq_n_s16(0);
    }
    const int32x4_t total = vaddq_s32(sums.low.total, sums.high.total);
    const uint32_t products = static_cast<uint32_t>(vaddvq_s32(total));
    const int32_t offset = ZeroPointOffset(vaddvq_s32(weight_sum), quantization);
    return static_cast<int32_t>(products + static_cast<uint32_t>(offset));
  }
};

}  // namespace
}  // namespace edgeax
