#pragma once  // core/coded_plain.h: coded rows as a stream of codes, all of a width or by Huffman.
              // Python twin: edgeax/formats/coded_plain.py, which says what the stream holds.

#include "tflite_kernels/core/coded.h"
#include "tflite_kernels/core/huffman.h"

namespace edgeax {

struct PlainRows {
  BitReader reader;
  HuffmanCode places, symbols, sizes;
  int32_t highest_place;  // which is none
  int64_t kept;           // codes that are still to come
  int64_t left_out;       // codes before the next one that is kept
  int8_t table[kMaxSymbols];
};

static inline bool ReadTable(BitReader* reader, int32_t distinct, int8_t* table) {
  constexpr int32_t kMostListed = 32;
  const bool is_listed = distinct <= kMostListed;
  int32_t last = -1, count = 0;
  for (int32_t i = 0; i < (is_listed ? distinct : kMaxSymbols); ++i) {
    const int32_t field = static_cast<int32_t>(ReadBits(reader, is_listed ? 8 : 1));
    if (!is_listed && field == 0) continue;
    const int32_t place = is_listed ? field : i;
    if (place <= last || count == distinct) return false;
    last = place;
    table[count++] = static_cast<int8_t>(place - 128);
  }
  return count == distinct;
}

static inline bool ReadCode(BitReader* reader, Coding coding, int32_t alphabet, HuffmanCode* code) {
  uint8_t lengths[kMaxSymbols];
  int32_t width = 0;
  while (1 << width < alphabet) ++width;
  const bool is_stored = coding == Coding::kHuffman && alphabet > 1;
  for (int32_t i = 0; i < alphabet; ++i) {
    lengths[i] = static_cast<uint8_t>(is_stored ? ReadBits(reader, 4) : width);
  }
  return MakeHuffmanCode(lengths, alphabet, code) == Status::kOk;
}

static inline bool ReadBias(BitReader* reader, const HuffmanCode& sizes, int32_t* bias) {
  const int32_t size = ReadSymbol(reader, sizes);
  *bias = 0;
  if (size == 0) return true;
  const uint32_t is_negative = ReadBit(reader);
  const uint32_t value = 1u << (size - 1) | ReadBits(reader, size - 1);
  *bias = static_cast<int32_t>(is_negative != 0 ? 0 - value : value);
  return value <= INT32_MAX + is_negative;
}

static inline int64_t ReadLeftOut(PlainRows* rows) {
  int64_t total = 0;
  int32_t place = 0;
  do {
    place = ReadSymbol(&rows->reader, rows->places);
    total += place;
  } while (rows->highest_place > 0 && place == rows->highest_place && !rows->reader.failed);
  return total;
}

// Reads all that is before the codes, the biases among it; false when it is damaged.
static inline bool StartRows(const CodedRows& coded, uint32_t*, Span<int32_t> bias,
                             PlainRows* rows) {
  constexpr int32_t kMostPlaceBits = 8, kMostSize = 32;
  BitReader* reader = &rows->reader;
  *reader = ReadBitsOf(coded.payload);
  if (!ReadTable(reader, coded.distinct, rows->table)) return false;
  const int32_t place_bits = static_cast<int32_t>(ReadBits(reader, 4));
  const int32_t largest = static_cast<int32_t>(ReadBits(reader, 6));
  if (place_bits > kMostPlaceBits || largest > kMostSize ||
      !ReadCode(reader, coded.coding, 1 << place_bits, &rows->places) ||
      !ReadCode(reader, coded.coding, coded.distinct, &rows->symbols) ||
      !ReadCode(reader, coded.coding, largest + 1, &rows->sizes)) {
    return false;
  }
  for (size_t i = 0; i < bias.size; ++i) {
    if (!ReadBias(reader, rows->sizes, bias.data + i)) return false;
  }
  rows->highest_place = (1 << place_bits) - 1;
  rows->kept = coded.kept;
  rows->left_out = ReadLeftOut(rows);
  return !reader->failed;
}

// Writes the next row; false when it is damaged.
static inline bool NextRow(PlainRows* rows, Span<int8_t> row) {
  for (size_t i = 0; i < row.size; ++i) row.data[i] = 0;
  const int64_t depth = static_cast<int64_t>(row.size);
  int64_t place = rows->left_out;
  while (rows->kept > 0 && place < depth) {
    row.data[place] = rows->table[ReadSymbol(&rows->reader, rows->symbols)];
    --rows->kept;
    if (rows->kept > 0) place += 1 + ReadLeftOut(rows);
    if (rows->reader.failed) return false;
  }
  rows->left_out = place - depth;
  return true;
}

}  // namespace edgeax
