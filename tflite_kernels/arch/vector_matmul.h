#pragma once  // arch/vector_matmul.h: rows of int8 times columns of weights that are codewords.

#include "tflite_kernels/arch/vector_plan.h"

// The driver that vector convolution and vector matrix product share on every instruction set, see
// arch/vector_plan.h. `Simd` is a struct as in arch/matmul.h, `Lookup` one as in
// arch/lookup_avx2.h.
namespace edgeax {

template <typename Simd, typename Lookup>
struct VectorMatMul {
  using Left = typename Simd::Left;

  // `outputs` of all channels, of which the indices are.
  VectorMatMul(const VectorPlan& plan, const VectorFormat& format, const VectorTensors& tensors,
               int32_t depth, int32_t outputs, const Quantization& quantization)
      : plan(plan),
        format(format),
        tensors(tensors),
        depth(depth),
        outputs(outputs),
        quantization(quantization),
        product(plan.product, quantization, tensors.scratch.data),
        rest(AlignedStart(tensors.scratch.data) + plan.product.left_bytes +
             plan.product.right_bytes),
        largest(LargestOf(tensors.codebook)) {}

  const VectorPlan& plan;
  const VectorFormat& format;
  const VectorTensors& tensors;
  const int32_t depth;
  const int32_t outputs;  // all of them
  const Quantization& quantization;
  const MatMul<Simd> product;
  uint8_t* const rest;  // of the scratch memory
  const int32_t largest;

  // The best way for so many rows and columns, of which groups may start at `first`.
  VectorWay WayFor(int32_t rows, int32_t first, int32_t columns) const {
    if (first % kIndexBlock != 0) return VectorWay::kDecoded;
    if (format.entries > kCodebookEntries) {
      const bool pays = rows <= kMostGatherRows && columns >= kLeastGatherColumns;
      return pays ? VectorWay::kGathers : VectorWay::kDecoded;
    }
    const bool pays =
        rows <= kLookupRows * format.length || Lookup::PaysForAllRows(format.length, columns);
    return pays && format.length <= kMaxLookupLength ? VectorWay::kLookups : VectorWay::kDecoded;
  }

  // Makes what Run of the same way reads.
  void Begin(VectorWay way) const {
    if (way == VectorWay::kLookups) CopyLines();
    if (way != VectorWay::kDecoded) return;
    CopyCodewords();
    memset(Tile(), 0, plan.tile_bytes);
  }

  // Multiplies the first `rows` rows of `product` with `columns` channels from `first` on. The
  // codes of a row go to `output`, the next row lies `stride` further.
  void Run(VectorWay way, int32_t first, int32_t columns, int32_t rows, int8_t* output,
           size_t stride) const {
    if (way == VectorWay::kDecoded) return RunDecoded(first, columns, rows, output, stride);
    for (int32_t r = 0; r < rows; ++r, output += stride) {
      WriteRow(r);
      if (way == VectorWay::kLookups) {
        RunLookups(first, columns, output);
      } else {
        RunGathers(first, columns, output);
      }
    }
  }

  int16_t* Row() const { return reinterpret_cast<int16_t*>(rest + plan.lines_bytes); }
  uint8_t* Tables() const { return rest + plan.lines_bytes + plan.row_bytes; }

  // A row less the zero point.
  void WriteRow(int32_t row) const {
    const Left* left = product.LeftRow(row);
    Left zero;
    Simd::FillLeft(&zero, 1, quantization);
    int16_t* x = Row();
    for (int32_t k = 0; k < depth; ++k) x[k] = static_cast<int16_t>(left[k] - zero);
  }

  // The codes of `count` channels from `channel` on.
  void Finish(const int32_t* sums, int32_t channel, int32_t count, int8_t* output) const {
    const int32_t none[Lookup::kFinished] = {};
    for (int32_t i = 0; i < count; i += Lookup::kFinished) {
      const int32_t finished = count - i < Lookup::kFinished ? count - i : Lookup::kFinished;
      const typename Lookup::Finish finish(tensors.bias.data + channel + i,
                                           tensors.requantization.data + channel + i, none,
                                           finished, quantization);
      finish.Store(sums + i, output + i);
    }
  }

  // ---- Lookups.

  const int8_t* Lines() const {
    return format.entries == kCodebookEntries ? tensors.codebook.data
                                              : reinterpret_cast<const int8_t*>(rest);
  }

  // The codebook with 16 entries.
  void CopyLines() const {
    if (format.entries == kCodebookEntries) return;
    memset(rest, 0, plan.lines_bytes);
    const int8_t* from = tensors.codebook.data;
    for (int32_t i = 0; i < format.tables * format.length; ++i, from += format.entries) {
      memcpy(rest + static_cast<size_t>(i) * kCodebookEntries, from,
             static_cast<size_t>(format.entries));
    }
  }

  // Returns whether a product needs more than 16 bits.
  bool WriteTables() const {
    bool is_wide = false;
    int32_t table = 0;
    for (int32_t p = 0; p < plan.places; ++p) {
      const int8_t* lines = Lines() + static_cast<size_t>(table) * format.length * kCodebookEntries;
      uint8_t* to = Tables() + static_cast<size_t>(p) * Lookup::kTableBytes;
      if (Lookup::WriteTable(Row() + p * format.length, format.length, lines, to)) is_wide = true;
      if (++table == format.tables) table = 0;
    }
    return is_wide;
  }

  void RunLookups(int32_t first, int32_t columns, int8_t* output) const {
    const bool is_wide = WriteTables();
    for (int32_t c = 0; c < columns; c += Lookup::kOutputs) {
      const int32_t left_over = columns - c;
      const int32_t count = left_over < Lookup::kOutputs ? left_over : Lookup::kOutputs;
      int32_t sums[Lookup::kOutputs];
      const IndexRows rows = RowsOf(first + c);
      Lookup::Add(Tables(), plan.places, rows.first + (first + c) % kIndexBlock / 2,
                  static_cast<size_t>(rows.row_bytes), (count + 1) / 2, is_wide, sums);
      Finish(sums, first + c, count, output + c);
    }
  }

  // The indices of the block of a channel.
  IndexRows RowsOf(int32_t channel) const {
    return RowsOfBlock(format, tensors.weights.data, plan.places, outputs, channel / kIndexBlock);
  }

  // ---- Gathers.

  void RunGathers(int32_t first, int32_t columns, int8_t* output) const {
    int32_t* sums = reinterpret_cast<int32_t*>(Tables() + plan.tables_bytes);
    for (int32_t c = 0; c < columns; c += kGatherColumns) {
      const int32_t count = columns - c < kGatherColumns ? columns - c : kGatherColumns;
      memset(sums, 0, sizeof(int32_t) * static_cast<size_t>(count));
      for (int32_t p = 0; p < plan.places; p += kGatherPlaces) {
        WriteLongTables(p);
        for (int32_t i = 0; i < count; i += kIndexBlock) AddBlock(p, first + c + i, sums + i);
      }
      Finish(sums, first + c, count, output + c);
    }
  }

  int32_t* LongTable(int32_t i) const {
    return reinterpret_cast<int32_t*>(Tables()) + i * kMaxVectorEntries;
  }

  // Those of kGatherPlaces places; of zeros beyond the last.
  void WriteLongTables(int32_t place) const {
    for (int32_t i = 0; i < kGatherPlaces; ++i) {
      int32_t* table = LongTable(i);
      memset(table, 0, sizeof(int32_t) * kMaxVectorEntries);
      if (place + i >= plan.places) continue;
      const int16_t* x = Row() + (place + i) * format.length;
      const int8_t* line =
          tensors.codebook.data +
          static_cast<size_t>((place + i) % format.tables) * format.length * format.entries;
      for (int32_t n = 0; n < format.length; ++n, line += format.entries) {
        AddProducts(x[n], line, format.entries, table);
      }
    }
  }

  static void AddProducts(int32_t x, const int8_t* weights, int32_t count, int32_t* table) {
    for (int32_t k = 0; k < count; ++k) table[k] += x * weights[k];
  }

  // Adds what the columns of a block find at kGatherPlaces places.
  void AddBlock(int32_t place, int32_t channel, int32_t* sums) const {
    const IndexRows rows = RowsOf(channel);
    const uint8_t* index[kGatherPlaces];
    for (int32_t i = 0; i < kGatherPlaces; ++i) {
      const int32_t there = place + i < plan.places ? place + i : plan.places - 1;
      index[i] = rows.first + static_cast<size_t>(there) * rows.row_bytes;
    }
    const int32_t *t0 = LongTable(0), *t1 = LongTable(1), *t2 = LongTable(2), *t3 = LongTable(3);
    const uint8_t *i0 = index[0], *i1 = index[1], *i2 = index[2], *i3 = index[3];
    const int32_t count = rows.row_bytes;
    for (int32_t c = 0; c < count; ++c) {
      int32_t found = t0[i0[c]] + t1[i1[c]] + t2[i2[c]] + t3[i3[c]];
      __asm__("" : "+r"(found));  // GCC would gather in vectors, which takes twice as long
      sums[c] += found;
    }
  }

  // ---- Decoded.

  int8_t* Codewords() const { return reinterpret_cast<int8_t*>(rest); }
  int8_t* Tile() const { return reinterpret_cast<int8_t*>(rest + plan.codewords_bytes); }

  // Codewords one after the other, each with zeros behind it.
  void CopyCodewords() const {
    const size_t codewords = static_cast<size_t>(format.tables) * format.entries;
    int8_t* to = Codewords();
    if (plan.stride != format.length) memset(to, 0, codewords * plan.stride);
    const int8_t* from = tensors.codebook.data;
    for (int32_t t = 0; t < format.tables; ++t) {
      for (int32_t i = 0; i < format.length; ++i, from += format.entries) {
        for (int32_t k = 0; k < format.entries; ++k) to[k * plan.stride + i] = from[k];
      }
      to += static_cast<size_t>(format.entries) * plan.stride;
    }
  }

  void RunDecoded(int32_t first, int32_t columns, int32_t rows, int8_t* output,
                  size_t stride) const {
    const Columns all = {columns, tensors.bias.data + first, tensors.requantization.data + first,
                         largest};
    for (int32_t c = 0; c < columns; c += Simd::kColumns) {
      Decode(first + c, MatMul<Simd>::TileColumns(all, c));
      product.RunTile(typename Simd::DenseRows{Tile(), plan.pitch}, all, c, rows, output + c,
                      stride);
    }
  }

  // Writes `count` columns to the tile.
  void Decode(int32_t first, int32_t count) const {
    for (int32_t c = 0; c < count;) {
      const int32_t place = (first + c) % kIndexBlock;
      const int32_t in_block = kIndexBlock - place;
      const int32_t next = in_block < count - c ? in_block : count - c;
      DecodeColumns(RowsOf(first + c), place, next,
                    Tile() + static_cast<ptrdiff_t>(c) * plan.pitch);
      c += next;
    }
  }

  // `count` columns of a block.
  void DecodeColumns(const IndexRows& rows, int32_t first, int32_t count, int8_t* tile) const {
    switch (plan.stride) {
      case 1:
        return DecodeBy<1>(rows, first, count, tile);
      case 2:
        return DecodeBy<2>(rows, first, count, tile);
      case 4:
        return DecodeBy<4>(rows, first, count, tile);
      case 8:
        return DecodeBy<8>(rows, first, count, tile);
      default:
        return DecodeBy<16>(rows, first, count, tile);
    }
  }

  template <int32_t kBytes>
  void DecodeBy(const IndexRows& rows, int32_t first, int32_t count, int8_t* tile) const {
    const uint8_t* row = rows.first;
    const size_t table_bytes = static_cast<size_t>(format.entries) * plan.stride;
    const bool is_small = IndexBits(format) == 4;
    const int8_t* codewords = Codewords();
    int32_t table = 0;
    for (int32_t p = 0; p < plan.places; ++p, row += rows.row_bytes, codewords += table_bytes) {
      if (table == format.tables) {
        table = 0;
        codewords = Codewords();
      }
      ++table;
      uint8_t unpacked[kIndexBlock];
      const uint8_t* indices = row + first;
      if (is_small) {
        UnpackIndices(row, first, count, unpacked);
        indices = unpacked;
      }
      int8_t* to = tile + static_cast<ptrdiff_t>(p) * format.length;
      for (int32_t c = 0; c < count; ++c, to += plan.pitch) {
        CopyCodeword<kBytes>(codewords, indices[c], to);
      }
    }
  }

  // Indices of 4 bits.
  static void UnpackIndices(const uint8_t* row, int32_t first, int32_t count, uint8_t* to) {
    if (first % 2 != 0) {
      *to++ = row[first / 2] >> 4;
      ++first, --count;
    }
    const uint8_t* from = row + first / 2;
    for (int32_t i = 0; i < count / 2; ++i) {
      to[2 * i] = from[i] & 15;
      to[2 * i + 1] = from[i] >> 4;
    }
    if (count % 2 != 0) to[count - 1] = from[count / 2] & 15;
  }

  // Writes zeros beyond it, where the next codeword goes.
  template <int32_t kBytes>
  void CopyCodeword(const int8_t* codewords, int32_t index, int8_t* to) const {
    if (kBytes < 16) {
      memcpy(to, codewords + index * kBytes, kBytes);
      return;
    }
    const int8_t* from = codewords + static_cast<ptrdiff_t>(index) * plan.stride;
    for (int32_t i = 0; i < plan.stride; i += 16) memcpy(to + i, from + i, 16);
  }
};

}  // namespace edgeax
