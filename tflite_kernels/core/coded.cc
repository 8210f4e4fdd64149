#include "tflite_kernels/core/coded.h"

#include "tflite_kernels/core/coded_layout.h"
#include "tflite_kernels/core/coded_plain.h"
#include "tflite_kernels/core/coded_range.h"

namespace edgeax {
namespace {

using Bytes = Span<const uint8_t>;

constexpr uint8_t kVersion = 1;

// The head of a buffer.

uint32_t WordAt(const uint8_t* data) {
  uint32_t word = 0;
  for (int32_t i = 3; i >= 0; --i) word = word << 8 | data[i];
  return word;
}

uint32_t Crc32(Bytes data) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < data.size; ++i) {
    crc ^= data.data[i];
    for (int32_t bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

// Takes the first `size` bytes of `rest`, which has as many.
Bytes Take(size_t size, Bytes* rest) {
  const Bytes taken = {rest->data, size};
  *rest = {rest->data + size, rest->size - size};
  return taken;
}

// Takes a varint; -1 when it has no end.
int64_t TakeNumber(Bytes* rest) {
  int64_t number = 0;
  for (int32_t shift = 0; shift < 35 && rest->size > 0; shift += 7) {
    const uint8_t byte = *Take(1, rest).data;
    number |= static_cast<int64_t>(byte & 127) << shift;
    if (byte < 128) return number;
  }
  return -1;
}

bool AreFinite(Bytes scale) {
  for (size_t i = 0; i < scale.size; i += 4) {
    if ((WordAt(scale.data + i) & 0x7F800000u) == 0x7F800000u) return false;
  }
  return true;
}

// Takes the sizes that the layout does not tell.
bool TakeSizes(Bytes* rest, CodedRows* rows) {
  if (rows->layout == CodedLayout::kPacked4) {
    const int32_t row_bytes = PackedBytes(rows->depth, 4);
    rows->weights_size = static_cast<size_t>(rows->rows) * static_cast<size_t>(row_bytes);
    rows->indices_size = 0;
    return true;
  }
  const int64_t blocks = TakeNumber(rest), index_bytes = TakeNumber(rest);
  const int64_t values = blocks * rows->format.block;
  const int64_t most = int64_t{rows->rows} * ((rows->depth - 1) / rows->format.block + 1);
  if (blocks < 0 || blocks > most || values > kMaxElements) return false;
  if (index_bytes < 0 || index_bytes > most) return false;
  rows->weights_size = static_cast<size_t>(values);
  rows->indices_size = static_cast<size_t>(index_bytes);
  return true;
}

// Scratch holds a row of codes, then what the coding needs.
size_t RowWords(int32_t depth) { return static_cast<size_t>((depth + 3) / 4); }

template <typename Rows, typename Writer>
bool Decode(const CodedRows& coded, const DecodedRows& decoded) {
  const size_t depth = static_cast<size_t>(coded.depth);
  const Span<int8_t> row = {reinterpret_cast<int8_t*>(decoded.scratch.data), depth};
  Rows rows;
  Writer writer;
  if (!StartRows(coded, decoded.scratch.data + RowWords(coded.depth), decoded.bias, &rows) ||
      !Start(coded, decoded, rows.table, &writer)) {
    return false;
  }
  for (int32_t r = 0; r < coded.rows; ++r) {
    if (!NextRow(&rows, row)) return false;
    Write({row.data, row.size}, &writer);
  }
  return rows.kept == 0 && Finish(&writer);
}

template <typename Rows>
bool Decode(const CodedRows& coded, const DecodedRows& decoded) {
  return coded.layout == CodedLayout::kPacked4 ? Decode<Rows, Packed4Writer>(coded, decoded)
                                               : Decode<Rows, SparseWriter>(coded, decoded);
}

Status CheckSpans(const CodedRows& rows, const DecodedRows& decoded) {
  const size_t count = static_cast<size_t>(rows.rows);
  bool sizes_fit = decoded.bias.size == count && decoded.scale.size == rows.scale.size / 4;
  if (rows.layout == CodedLayout::kPacked4) {
    sizes_fit &= decoded.packed.size == rows.weights_size;
    sizes_fit &= decoded.codebook.size == static_cast<size_t>(kCodebookEntries);
  } else {
    sizes_fit &= decoded.values.size == rows.weights_size;
    sizes_fit &= decoded.indices.size == rows.indices_size && decoded.starts.size == count + 1;
  }
  if (!sizes_fit) return Status::kBadShape;
  return decoded.scratch.size < rows.scratch_words ? Status::kBadScratch : Status::kOk;
}

}  // namespace

Status ReadCodedRows(Span<const uint8_t> buffer, CodedRows* rows) {
  constexpr size_t kFixedBytes = 3, kCrcBytes = 4;
  if (buffer.size < kFixedBytes + kCrcBytes) return Status::kBadArgument;
  Bytes rest = buffer;
  rest = Take(buffer.size - kCrcBytes, &rest);
  if (Crc32(rest) != WordAt(rest.data + rest.size)) return Status::kBadArgument;
  const uint8_t* fixed = Take(kFixedBytes, &rest).data;
  const int32_t flags = fixed[1], kind = flags >> 3 & 3;
  if (fixed[0] != kVersion || (flags & 3) > static_cast<int32_t>(Coding::kRange)) {
    return Status::kBadArgument;
  }
  rows->coding = static_cast<Coding>(flags & 3);
  rows->layout = kind == 0 ? CodedLayout::kPacked4 : CodedLayout::kSparse;
  rows->format = {1 << (flags >> 5), static_cast<Places>(kind == 0 ? 0 : kind - 1)};
  rows->distinct = fixed[2] + 1;
  if (rows->format.block > (kind == 0 ? 1 : kMaxSparseBlock)) return Status::kBadArgument;

  const int64_t row_count = TakeNumber(&rest), depth = TakeNumber(&rest);
  const int64_t kept = TakeNumber(&rest);
  if (row_count < 1 || row_count > kMaxCodedRows || depth < 1 || depth > kMaxRowDepth ||
      row_count * depth > kMaxElements || kept < 1 || kept > row_count * depth) {
    return Status::kBadArgument;
  }
  rows->rows = static_cast<int32_t>(row_count);
  rows->depth = static_cast<int32_t>(depth);
  rows->kept = static_cast<int32_t>(kept);
  if (!TakeSizes(&rest, rows)) return Status::kBadArgument;
  const size_t scales = (flags & 4) != 0 ? static_cast<size_t>(row_count) : 1;
  if (rest.size / 4 < scales) return Status::kBadArgument;
  rows->scale = Take(4 * scales, &rest);
  rows->payload = rest;
  rows->scratch_words = RowWords(rows->depth);
  if (rows->coding == Coding::kRange) rows->scratch_words += RangeWords(*rows);
  return AreFinite(rows->scale) ? Status::kOk : Status::kBadArgument;
}

Status DecodeCodedRows(const CodedRows& rows, const DecodedRows& decoded) {
  const Status status = CheckSpans(rows, decoded);
  if (status != Status::kOk) return status;
  for (size_t i = 0; i < decoded.scale.size; ++i) {
    union {
      uint32_t word;
      float value;
    } number = {WordAt(rows.scale.data + 4 * i)};
    decoded.scale.data[i] = number.value;
  }
  const bool is_good = rows.coding == Coding::kRange ? Decode<RangeRows>(rows, decoded)
                                                     : Decode<PlainRows>(rows, decoded);
  return is_good ? Status::kOk : Status::kBadArgument;
}

}  // namespace edgeax
