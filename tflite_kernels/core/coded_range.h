#pragma once  // core/coded_range.h: coded rows by an adaptive range coder. Python twin:
              // edgeax/formats/coded_range.py, which says what is coded in which contexts.

#include "tflite_kernels/core/coded.h"
#include "tflite_kernels/core/range_coding.h"

namespace edgeax {

// The first of each kind of contexts.
constexpr int32_t kColumnContext = 0;
constexpr int32_t kDensityContext = 9;
constexpr int32_t kPatternContext = 26;
constexpr int32_t kSignContext = 42;
constexpr int32_t kNumberContext = 43;
constexpr int32_t kBiasContext = kNumberContext + kNumberContexts;
constexpr int32_t kCodeContext = kBiasContext + kNumberContexts;
constexpr int32_t kSums = 11;  // kinds of sums of neighbors

struct RangeRows {
  RangeDecoder coder;
  uint8_t* above;      // how many codes are kept in each column, 255 at most
  int64_t distance;    // of neighbors, 0 when none are looked at
  int64_t kept, rest;  // codes that are still to come: those that are kept, and all
  int32_t distinct;
  int8_t table[kMaxDistinctCodes];
};

// Bits of a number without the zeros before it.
static inline int32_t BitLength(int32_t number) {
  int32_t bits = 0;
  for (; number != 0; number >>= 1) ++bits;
  return bits;
}

static inline int32_t RangeContexts(const CodedRows& coded) {
  return kCodeContext + (kSums << BitLength(coded.distinct - 1));
}

// Words for the contexts and, behind them, bytes for the columns.
static inline size_t RangeWords(const CodedRows& coded) {
  return static_cast<size_t>(RangeDecoderWords(RangeContexts(coded)) + (coded.depth + 3) / 4);
}

static inline bool DecodeTable(RangeDecoder* coder, int32_t distinct, int8_t* table) {
  int64_t next = -128;
  for (int32_t i = 0; i < distinct; ++i) {
    next += DecodeNumber(coder, kNumberContext);
    if (next > 127) return false;
    table[i] = static_cast<int8_t>(next++);
  }
  return true;
}

static inline bool DecodeBias(RangeDecoder* coder, int32_t* bias) {
  const uint32_t size = DecodeNumber(coder, kBiasContext);
  const bool is_negative = size != 0 && DecodeBit(coder, {kSignContext});
  *bias = static_cast<int32_t>(is_negative ? 0 - size : size);
  return size <= static_cast<uint32_t>(INT32_MAX) + (is_negative ? 1 : 0);
}

// Decodes all that is before the codes, the biases among it; false when it is damaged.
static inline bool StartRows(const CodedRows& coded, uint32_t* scratch, Span<int32_t> bias,
                             RangeRows* rows) {
  const int32_t contexts = RangeContexts(coded);
  RangeDecoder* coder = &rows->coder;
  *coder = StartRangeDecoder(coded.payload, contexts, scratch);
  rows->above = reinterpret_cast<uint8_t*>(scratch + RangeDecoderWords(contexts));
  for (int32_t k = 0; k < coded.depth; ++k) rows->above[k] = 0;
  rows->distance = DecodeNumber(coder, kNumberContext);
  rows->kept = coded.kept;
  rows->rest = int64_t{coded.rows} * coded.depth;
  rows->distinct = coded.distinct;
  if (rows->distance >= coded.depth || !DecodeTable(coder, coded.distinct, rows->table)) {
    return false;
  }
  for (size_t i = 0; i < bias.size; ++i) {
    if (!DecodeBias(coder, bias.data + i)) return false;
  }
  return true;
}

// The context of a code whose neighbors have this sum.
static inline int32_t CodeContext(int32_t sum, int32_t symbol_bits) {
  const int32_t size = (BitLength(sum < 0 ? -sum : sum) + 1) >> 1;
  return kCodeContext + ((sum < 0 ? size + 5 : size) << symbol_bits);
}

// Writes the next row. Any bits are some row, so this one is never damaged.
static inline bool NextRow(RangeRows* rows, Span<int8_t> row) {
  RangeDecoder* coder = &rows->coder;
  const int64_t depth = static_cast<int64_t>(row.size), distance = rows->distance;
  const int32_t symbol_bits = BitLength(rows->distinct - 1);
  for (int64_t k = 0; k < depth; ++k) row.data[k] = 0;
  int32_t density = 0;
  for (int64_t k = 0; k < depth && rows->kept > 0; ++k) {
    int32_t pattern = 0, sum = 0;
    if (distance > 0) {
      const int64_t places[] = {k - 1, k - distance - 1, k - distance, k - distance + 1};
      for (int32_t i = 0; i < 4; ++i) {
        const int32_t code = places[i] < 0 ? 0 : row.data[places[i]];
        pattern |= (code != 0 ? 1 : 0) << i;
        sum += code;
      }
    }
    bool is_kept = true;
    if (rows->kept < rows->rest) {
      is_kept = DecodeBit(coder, {kColumnContext + BitLength(rows->above[k]),
                                  kDensityContext + BitLength(density), kPatternContext + pattern});
      density += is_kept ? (65535 - density) >> 5 : -(density >> 5);
    }
    --rows->rest;
    if (!is_kept) continue;
    --rows->kept;
    if (rows->above[k] < 255) ++rows->above[k];
    const int32_t context = CodeContext(sum, symbol_bits);
    row.data[k] = rows->table[DecodeSymbol(coder, rows->distinct, context)];
  }
  return true;
}

}  // namespace edgeax
