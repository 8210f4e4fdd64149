#pragma once  // core/huffman.h: canonical Huffman codes. Python twin: edgeax/formats/huffman.py.

#include "tflite_kernels/core/bits.h"

namespace edgeax {

constexpr int32_t kLongestCode = 15;
constexpr int32_t kMaxSymbols = 256;

// The lengths tell the codes: shorter ones come first, of equally long ones that of the lower
// symbol, and each is the former plus 1, with zeros behind it to its length.
struct HuffmanCode {
  uint16_t counts[kLongestCode + 1];  // codes of each length
  uint8_t symbols[kMaxSymbols];       // in the order of their codes
  bool is_single;                     // one symbol, which takes no bit
};

// Makes the code of `alphabet` symbols, 1 to kMaxSymbols, of these `lengths`, 0 to kLongestCode;
// 0 where there is none. Returns kBadArgument when two codes would begin alike.
static inline Status MakeHuffmanCode(const uint8_t* lengths, int32_t alphabet, HuffmanCode* code) {
  code->is_single = alphabet == 1;
  for (uint16_t& count : code->counts) count = 0;
  for (int32_t i = 0; i < alphabet; ++i) ++code->counts[lengths[i]];
  int32_t used = 0, symbols = 0;
  for (int32_t length = 1; length <= kLongestCode; ++length) {
    used = 2 * used + code->counts[length];
    if (used > 1 << length) return Status::kBadArgument;
    for (int32_t i = 0; i < alphabet; ++i) {
      if (lengths[i] == length) code->symbols[symbols++] = static_cast<uint8_t>(i);
    }
  }
  return Status::kOk;
}

// The next symbol; 0, and the reader has failed, when none follows.
static inline int32_t ReadSymbol(BitReader* reader, const HuffmanCode& code) {
  if (code.is_single) return 0;
  int32_t bits = 0, first = 0, symbols = 0;  // `first` code of this length, `symbols` before it
  for (int32_t length = 1; length <= kLongestCode; ++length) {
    bits = 2 * bits + static_cast<int32_t>(ReadBit(reader));
    const int32_t count = code.counts[length];
    if (bits - first < count) return code.symbols[symbols + bits - first];
    symbols += count;
    first = 2 * (first + count);
  }
  reader->failed = true;
  return 0;
}

}  // namespace edgeax
