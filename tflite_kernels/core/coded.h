#pragma once  // core/coded.h: rows of weights in the fewest bytes, made into what kernels read.
              // Python twin: edgeax/formats/coded.py, which says how the bytes lie.

#include "tflite_kernels/core/packing.h"
#include "tflite_kernels/core/sparse.h"

namespace edgeax {

constexpr int32_t kMaxCodedRows = 1 << 20;
constexpr int32_t kMaxDistinctCodes = 256;

enum class Coding : int32_t { kRaw = 0, kHuffman = 1, kRange = 2 };

// kPacked4: rows of 4-bit indices into a codebook, see packing.h. kSparse: see sparse.h.
enum class CodedLayout : int32_t { kPacked4 = 0, kSparse = 1 };

// What a buffer says of its rows, and how much memory its decoder needs.
struct CodedRows {
  int32_t rows, depth;
  CodedLayout layout;
  SparseFormat format;   // kSparse
  size_t weights_size;   // kPacked4: bytes of indices; kSparse: values
  size_t indices_size;   // kSparse, else 0
  size_t scratch_words;  // of 32 bits
  Coding coding;
  int32_t kept;                        // codes that are kept; the others are 0
  int32_t distinct;                    // codes that are different, of those
  Span<const uint8_t> scale, payload;  // parts of the buffer; a scale, or one for each row
};

// Where the rows are decoded to; the caller owns all of it. Sizes are those of CodedRows.
// kPacked4: `packed` and `codebook`, kCodebookEntries. kSparse: `values`, `indices` and `starts`,
// rows + 1, as ScanSparse would write them. For each row a bias; `scratch` may be larger.
struct DecodedRows {
  Span<uint8_t> packed;
  Span<int8_t> codebook;
  Span<int8_t> values;
  Span<uint8_t> indices;
  Span<SparseStart> starts;
  Span<int32_t> bias;
  Span<float> scale;
  Span<uint32_t> scratch;
};

// Checks a buffer's checksum, version, sizes and scales; `rows` points into it. Returns
// kBadArgument when one is wrong.
Status ReadCodedRows(Span<const uint8_t> buffer, CodedRows* rows);

// Decodes all of it. Returns, before anything is written, kBadShape when a span has the wrong size
// and kBadScratch when `scratch` is too small; kBadArgument, what was written being undefined, when
// the payload is damaged or does not fill the layout.
Status DecodeCodedRows(const CodedRows& rows, const DecodedRows& decoded);

}  // namespace edgeax
