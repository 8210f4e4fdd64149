#pragma once  // arch/binary_matmul.h: rows of bits times columns of bits, in blocks.

#include <string.h>

#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/binary.h"

// The driver that binary convolution and matrix product share on every instruction set. Bits lie in
// words of 64, and each tap of a row is filled up with zeros, on both sides of the product, so that
// what is filled up never differs. For each tile of columns the weights are ordered once into
// scratch and compared with all rows of the block.
//
// `Simd` is a struct of static functions and constants, see arch/binary_avx2.h, in an unnamed
// namespace as in arch/matmul.h. What Multiply gives is D = 2 * (bits that differ), so that a sum
// of `depth` products is depth - D. Where Simd::kFolds says so, Multiply takes both sides folded,
// as arch/binary_folded_avx512.h explains.
namespace edgeax {

constexpr int32_t kWordBits = 64;
constexpr int32_t kWordBytes = 8;

static inline int32_t WordsOf(int32_t bits) { return (bits + kWordBits - 1) / kWordBits; }

// The bits that count in the last word of `bits`.
static inline uint64_t LastMask(int32_t bits) {
  return ~uint64_t{0} >> (WordsOf(bits) * kWordBits - bits);
}

// The word at `from`; what lies from `end` on is zero.
static inline uint64_t LoadWord(const uint8_t* from, const uint8_t* end) {
  uint64_t word = 0;
  const ptrdiff_t left_over = end - from;
  if (left_over >= kWordBytes) {
    memcpy(&word, from, kWordBytes);
  } else if (left_over > 0) {
    memcpy(&word, from, static_cast<size_t>(left_over));
  }
  return word;
}

// `count` runs of words, `step` bytes from one to the next.
struct Runs {
  int32_t count, words;
  size_t step;
};

// `count` output channels, their rows of weights and what follows the sums.
struct BinaryColumns {
  int32_t count;
  const int32_t* bias;
  const Requantization* factors;
  const uint8_t* weights;  // first row
  const uint8_t* weights_end;
  int32_t taps;
  int32_t tap_bits;
};

static inline int32_t TapBytes(const BinaryColumns& columns) {
  return PackedBytes(columns.tap_bits, 1);
}

static inline int32_t RowBytes(const BinaryColumns& columns) {
  return columns.taps * TapBytes(columns);
}

static inline int32_t Depth(const BinaryColumns& columns) {
  return columns.taps * columns.tap_bits;
}

constexpr size_t kLineBytes = 64;  // of a cache

// Rows of weights that will be used soon, to be fetched part by part.
struct WeightsAhead {
  const uint8_t* next;
  size_t left_over, part_bytes;
};

// The `count` rows from column `first` on, as far as there are any.
static inline WeightsAhead RowsAhead(const BinaryColumns& columns, int32_t first, int32_t count,
                                     int32_t parts) {
  const int32_t rows = columns.count - first < count ? columns.count - first : count;
  if (rows <= 0) return {columns.weights, 0, 0};
  const size_t row_bytes = static_cast<size_t>(RowBytes(columns));
  const size_t bytes = static_cast<size_t>(rows) * row_bytes;
  return {columns.weights + static_cast<size_t>(first) * row_bytes, bytes,
          bytes / static_cast<size_t>(parts) + kLineBytes};
}

static inline void FetchPart(WeightsAhead* ahead) {
  const size_t bytes = ahead->left_over < ahead->part_bytes ? ahead->left_over : ahead->part_bytes;
  for (size_t i = 0; i < bytes; i += kLineBytes) __builtin_prefetch(ahead->next + i, 0, 2);
  ahead->next += bytes;
  ahead->left_over -= bytes;
}

// Orders the words of `columns` rows beside each other: [taps][words of a tap][columns]. Rows
// beyond the last are repeated; what comes of them is thrown away.
template <int32_t kColumns>
static inline void PackWords(const BinaryColumns& columns, int32_t first, uint64_t* right) {
  const int32_t whole = WordsOf(columns.tap_bits) - 1, tap_bytes = TapBytes(columns);
  const uint64_t last = LastMask(columns.tap_bits);
  for (int32_t c = 0; c < kColumns; ++c) {
    const int32_t row = first + c < columns.count ? first + c : columns.count - 1;
    const uint8_t* from = columns.weights + static_cast<size_t>(row) * RowBytes(columns);
    const bool is_inside = columns.weights_end - from >= RowBytes(columns) + kWordBytes;
    uint64_t* to = right + c;
    for (int32_t t = 0; t < columns.taps; ++t, from += tap_bytes, to += kColumns) {
      const uint8_t* word = from;
      for (int32_t w = 0; w < whole; ++w, word += kWordBytes, to += kColumns) {
        memcpy(to, word, kWordBytes);
      }
      *to = LoadWord(word, is_inside ? word + kWordBytes : columns.weights_end) & last;
    }
  }
}

// What the bit of an output follows from: it is (D > above) != inverted.
struct BinaryThreshold {
  int32_t above;
  bool inverted;
};

static inline int32_t FloorUnits(int32_t total) { return total >> kBinaryFractionBits; }

// bias + 4096 * (depth - D) < 0 is D > floor(depth + bias / 4096); > 0 is not D > ceil(...) - 1.
static inline BinaryThreshold ThresholdOf(int32_t bias, Requantization factor, int32_t depth) {
  const int32_t total = BinaryTotal(bias, depth);
  if (factor.multiplier == 0) return {INT32_MAX, false};
  if (factor.multiplier > 0) return {FloorUnits(total), false};
  return {FloorUnits(total - 1), true};
}

// Writes `count` bits of a row, number `first` the next one to be written.
static inline void StoreBits(uint64_t bits, int32_t first, int32_t count, int8_t* row) {
  uint8_t* to = reinterpret_cast<uint8_t*>(row) + first / 8;
  const int32_t used = first % 8;
  if (count < kWordBits) bits &= (uint64_t{1} << count) - 1;
  if (used != 0) {
    *to = static_cast<uint8_t>(*to | bits << used);
    ++to;
    bits >>= 8 - used;
    count -= 8 - used;
  }
  for (; count > 0; count -= 8, bits >>= 8) *to++ = static_cast<uint8_t>(bits);
}

// floor(total * factor + 1/2) + zero point is (D * slope + start) >> right, where of
// total = bias + 4096 * (depth - D) the 4096 is a part of the shift. `Isa`, any type of an unnamed
// namespace, keeps what is made of this template in its own file.
template <typename Isa, int32_t kColumns, typename Slope>
struct BinaryLines {
  BinaryLines(const int32_t* bias, const Requantization* factors, int32_t depth, int32_t count,
              const Quantization& quantization)
      : bias(bias), factors(factors), quantization(quantization), depth(depth), count(count) {
    in_vectors = quantization.rounding == Rounding::kSingle;
    for (int32_t c = 0; c < kColumns; ++c) {
      const Requantization factor = c < count ? factors[c] : Requantization{0, 0};
      const int64_t total = c < count ? BinaryTotal(bias[c], depth) : 0;
      right[c] = 31 - factor.shift - kBinaryFractionBits;
      // Such large factors are rare, and left to core/.
      if (right[c] < 0) in_vectors = false;
      const int64_t half = int64_t{1} << (30 - factor.shift);
      start[c] = (total * factor.multiplier + half) >> kBinaryFractionBits;
      if (in_vectors) start[c] += quantization.output_zero_point * (int64_t{1} << right[c]);
      slope[c] = -factor.multiplier;
    }
  }

  template <typename Difference>
  void StoreOneByOne(const Difference* differences, int32_t rows, int8_t* output,
                     size_t stride) const {
    for (int32_t r = 0; r < rows; ++r, differences += kColumns, output += stride) {
      for (int32_t c = 0; c < count; ++c) {
        const int32_t sum = depth - static_cast<int32_t>(differences[c]);
        const uint32_t total = static_cast<uint32_t>(BinaryTotal(bias[c], sum));
        output[c] = OutputCode(total, factors[c], quantization);
      }
    }
  }

  int64_t start[kColumns], right[kColumns];
  Slope slope[kColumns];
  const int32_t* bias;
  const Requantization* factors;
  Quantization quantization;
  int32_t depth, count;
  bool in_vectors;
};

// What follows the D of a tile: `Simd::Codes` makes codes of them.
template <typename Simd>
struct BinaryFinish {
  using Difference = typename Simd::Difference;

  BinaryFinish(const BinaryColumns& columns, int32_t first, const BinaryForm& form,
               const Quantization& quantization)
      : count(columns.count - first < Simd::kColumns ? columns.count - first : Simd::kColumns),
        is_packed(form.output_packed != 0),
        codes(columns.bias + first, columns.factors + first, Depth(columns), count, quantization) {
    if (!is_packed) return;
    for (int32_t c = 0; c < Simd::kColumns; ++c) {
      BinaryThreshold threshold = {INT32_MAX, false};
      if (c < count) {
        threshold =
            ThresholdOf(columns.bias[first + c], columns.factors[first + c], Depth(columns));
      }
      above[c] = threshold.above;
      inverted |= uint64_t{threshold.inverted} << c;
    }
  }

  // Row r of `differences` goes to the pixel or vector at output + r * stride, `channel` the number
  // of the tile's first channel in it.
  void Store(const Difference* differences, int32_t rows, int32_t channel, int8_t* output,
             size_t stride) const {
    if (!is_packed) return codes.Store(differences, rows, output + channel, stride);
    for (int32_t r = 0; r < rows; ++r, differences += Simd::kColumns, output += stride) {
      StoreBits(Simd::Above(differences, above) ^ inverted, channel, count, output);
    }
  }

  int32_t count;
  bool is_packed;
  uint64_t inverted = 0;
  Difference above[Simd::kColumns];
  typename Simd::Codes codes;
};

// Writes the bits of `count` int8 codes in words, the last one filled up.
template <typename Simd>
uint8_t* PackCodes(const int8_t* codes, int32_t count, int32_t zero_point, uint8_t* to) {
  const int8_t zero = static_cast<int8_t>(zero_point);
  for (; count >= kWordBits; count -= kWordBits, codes += kWordBits, to += Simd::kLeftWordBytes) {
    Simd::StoreWord(Simd::Negative(codes, kWordBits, zero), to);
  }
  if (count == 0) return to;
  Simd::StoreWord(Simd::Negative(codes, count, zero), to);
  return to + Simd::kLeftWordBytes;
}

// The same for `count` bits from number `first` of a row of bits that ends at `end`.
template <typename Simd>
uint8_t* PackBits(const uint8_t* row, int32_t first, int32_t count, const uint8_t* end,
                  uint8_t* to) {
  const int32_t shift = first % 8;
  for (int32_t i = 0; i < count; i += kWordBits, to += Simd::kLeftWordBytes) {
    const uint8_t* from = row + (first + i) / 8;
    uint64_t word = LoadWord(from, end) >> shift;
    if (shift != 0) word |= LoadWord(from + 1, end) >> 56 << 1 << (63 - shift);
    Simd::StoreWord(i + kWordBits >= count ? word & LastMask(count) : word, to);
  }
  return to;
}

// `count` numbers from number `first` of a pixel or vector at `input`.
template <typename Simd>
uint8_t* PackNumbers(const int8_t* input, int32_t first, int32_t count, const int8_t* end,
                     const BinaryForm& form, const Quantization& quantization, uint8_t* to) {
  if (form.input_packed == 0) {
    return PackCodes<Simd>(input + first, count, quantization.input_zero_point, to);
  }
  return PackBits<Simd>(reinterpret_cast<const uint8_t*>(input), first, count,
                        reinterpret_cast<const uint8_t*>(end), to);
}

// Sizes and scratch layout of one product; both the size and the use of scratch follow from it.
struct BinaryPlan {
  int32_t words;  // of a row
  size_t row_bytes;
  int32_t block_rows;
  size_t left_bytes;   // rows of a block
  size_t right_bytes;  // a tile of columns
  size_t total_bytes;
};

// The rows of a block should lie in the caches while tiles of columns pass over them.
constexpr size_t kBinaryLeftBytes = 128 * 1024;

template <typename Simd>
BinaryPlan PlanBinary(int64_t rows, int32_t taps, int32_t tap_bits) {
  BinaryPlan plan;
  plan.words = taps * WordsOf(tap_bits);
  plan.row_bytes = static_cast<size_t>(plan.words) * Simd::kLeftWordBytes;
  int64_t most = static_cast<int64_t>(kBinaryLeftBytes / plan.row_bytes);
  if (most < Simd::kRows) most = Simd::kRows;
  const int64_t blocks = (rows + most - 1) / most;
  const int64_t tiles = ((rows + blocks - 1) / blocks + Simd::kRows - 1) / Simd::kRows;
  plan.block_rows = static_cast<int32_t>(tiles * Simd::kRows);
  plan.left_bytes = AlignedBytes(static_cast<size_t>(plan.block_rows) * plan.row_bytes);
  plan.right_bytes =
      AlignedBytes(static_cast<size_t>(plan.words) * Simd::kRightWordBytes * Simd::kColumns);
  plan.total_bytes = plan.left_bytes + plan.right_bytes + kScratchAlignment;
  return plan;
}

template <typename Simd>
struct BinaryMatMul {
  using Difference = typename Simd::Difference;

  BinaryMatMul(const BinaryPlan& plan, uint8_t* scratch)
      : plan(plan), left(AlignedStart(scratch)), right(left + plan.left_bytes) {}

  const BinaryPlan& plan;
  uint8_t* const left;   // [block_rows][words of a row]; those not gathered may hold anything
  uint8_t* const right;  // one tile

  uint8_t* LeftRow(int32_t row) const { return left + static_cast<size_t>(row) * plan.row_bytes; }

  // Compares the first `rows` rows of `left` with all columns. `correct.Start(right)` is called
  // before the rows of a tile, and `correct.Add(row, count, differences)` for some rows. Row r goes
  // to the pixel or vector at output + r * stride, its channels from `channel` on.
  template <typename Correct>
  void Run(const BinaryColumns& columns, int32_t rows, const BinaryForm& form,
           const Quantization& quantization, Correct* correct, int32_t channel, int8_t* output,
           size_t stride) const {
    for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
      Simd::PackRight(columns, c, right);
      correct->Start(right);
      if constexpr (Simd::kFolds) Simd::FoldRight(right, plan.words);
      const BinaryFinish<Simd> finish(columns, c, form, quantization);
      constexpr int32_t kMost = Simd::kRows * Simd::kTilesPerStore;
      WeightsAhead ahead =
          RowsAhead(columns, c + Simd::kColumns, Simd::kColumns, (rows + kMost - 1) / kMost);
      for (int32_t r = 0; r < rows; r += kMost) {
        Difference differences[kMost * Simd::kColumns];
        const int32_t count = rows - r < kMost ? rows - r : kMost;
        if constexpr (Simd::kFetchesAhead) FetchPart(&ahead);
        for (int32_t i = 0; i < count; i += Simd::kRows) {
          Simd::Multiply(LeftRow(r + i), plan.row_bytes, right, plan.words, count - i,
                         differences + i * Simd::kColumns);
        }
        correct->Add(r, count, differences);
        finish.Store(differences, count, channel + c, output + static_cast<size_t>(r) * stride,
                     stride);
      }
    }
  }
};

// Where nothing is to be corrected.
template <typename Simd>
struct NoCorrection {
  void Start(const uint8_t*) {}
  void Add(int32_t, int32_t, typename Simd::Difference*) {}
};

}  // namespace edgeax
