#pragma once  // core/coded_layout.h: rows of codes, one after the other, as kernels read them.

#include "tflite_kernels/core/coded.h"

namespace edgeax {

// Rows of 4-bit indices.

struct Packed4Writer {
  uint8_t* next;
  uint8_t index_of[kMaxDistinctCodes];  // of each code, by its bits
};

// The codebook has the codes of the table and, unless all codes are kept, 0, in ascending order.
static inline bool Start(const CodedRows& rows, const DecodedRows& decoded, const int8_t* table,
                         Packed4Writer* writer) {
  *writer = {decoded.packed.data, {}};
  int32_t count = 0;
  const auto add = [&](int8_t code) {
    if (count < kCodebookEntries) decoded.codebook.data[count] = code;
    writer->index_of[static_cast<uint8_t>(code)] = static_cast<uint8_t>(count++);
  };
  bool needs_zero = rows.kept < int64_t{rows.rows} * rows.depth;
  for (int32_t i = 0; i < rows.distinct; ++i) {
    if (needs_zero && table[i] > 0) add(0);
    if (table[i] >= 0) needs_zero = false;
    add(table[i]);
  }
  if (needs_zero) add(0);
  for (int32_t i = count; i < kCodebookEntries; ++i) decoded.codebook.data[i] = 0;
  return count <= kCodebookEntries;
}

static inline void Write(Span<const int8_t> row, Packed4Writer* writer) {
  const auto index_at = [&](size_t k) -> uint32_t {
    return k < row.size ? writer->index_of[static_cast<uint8_t>(row.data[k])] : 0;
  };
  for (size_t k = 0; k < row.size; k += 2) {
    *writer->next++ = static_cast<uint8_t>(index_at(k) | index_at(k + 1) << 4);
  }
}

static inline bool Finish(Packed4Writer*) { return true; }

// Rows of blocks and their places.

struct SparseWriter {
  SparseFormat format;
  Span<int8_t> values;
  Span<uint8_t> indices;
  SparseStart* start;     // of the next row
  size_t value, index;    // the next ones
  uint32_t byte, filled;  // the next byte of indices, and how many of its bits are filled
  bool failed;            // there are more than the spans hold
};

static inline bool Start(const CodedRows& rows, const DecodedRows& decoded, const int8_t*,
                         SparseWriter* writer) {
  *writer = {rows.format, decoded.values, decoded.indices, decoded.starts.data, 0, 0, 0, 0, false};
  return true;
}

static inline void WriteStart(SparseWriter* writer) {
  *writer->start++ = {static_cast<int32_t>(writer->value), static_cast<int32_t>(writer->index)};
}

static inline void WriteByte(SparseWriter* writer) {
  if (writer->index == writer->indices.size) {
    writer->failed = true;
  } else {
    writer->indices.data[writer->index++] = static_cast<uint8_t>(writer->byte);
  }
  writer->byte = writer->filled = 0;
}

static inline void WriteEntry(uint32_t entry, uint32_t bits, SparseWriter* writer) {
  writer->byte |= entry << writer->filled;
  writer->filled += bits;
  if (writer->filled == 8) WriteByte(writer);
}

// Writes the values of a block that is left, filled up with zeros.
static inline void WriteValues(Span<const int8_t> block, SparseWriter* writer) {
  const size_t size = static_cast<size_t>(writer->format.block);
  if (writer->values.size - writer->value < size) {
    writer->failed = true;
    return;
  }
  for (size_t i = 0; i < size; ++i) {
    writer->values.data[writer->value++] = i < block.size ? block.data[i] : int8_t{0};
  }
}

static inline void Write(Span<const int8_t> row, SparseWriter* writer) {
  const bool is_mask = writer->format.places == Places::kBitmask;
  const uint32_t bits = is_mask ? 1 : writer->format.places == Places::kRelative4 ? 4 : 8;
  const uint32_t highest = (1u << bits) - 1;
  const size_t block = static_cast<size_t>(writer->format.block);
  WriteStart(writer);
  uint32_t left_out = 0;
  for (size_t k = 0; k < row.size; k += block) {
    const Span<const int8_t> codes = {row.data + k, row.size - k < block ? row.size - k : block};
    bool is_left = false;
    for (size_t i = 0; i < codes.size; ++i) is_left |= codes.data[i] != 0;
    if (is_left) WriteValues(codes, writer);
    if (is_mask) {
      WriteEntry(is_left ? 1 : 0, bits, writer);
      continue;
    }
    if (!is_left) ++left_out;
    if (is_left || left_out == highest) {
      WriteEntry(left_out, bits, writer);
      left_out = 0;
    }
  }
  if (left_out > 0) WriteEntry(highest, bits, writer);
  if (writer->filled > 0) WriteByte(writer);
}

static inline bool Finish(SparseWriter* writer) {
  WriteStart(writer);
  return !writer->failed && writer->value == writer->values.size &&
         writer->index == writer->indices.size;
}

}  // namespace edgeax
