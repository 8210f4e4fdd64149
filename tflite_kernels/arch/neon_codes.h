#pragma once  // arch/neon_codes.h: rows of weights as the steps of arch/neon.h load them.

#include <arm_neon.h>
#include <string.h>

#include "tflite_kernels/arch/matmul.h"

namespace edgeax {
namespace {

// The tables that nibbles of codes are looked up in.
template <int32_t kBits>
struct TablesNeon {
  static constexpr int32_t kCodes = 4 / kBits;  // in a nibble

  explicit TablesNeon(const NibbleTables& tables)
      : first(vld1q_s8(tables.values[0])),
        second(vld1q_s8(tables.values[1 % kCodes])),
        third(vld1q_s8(tables.values[2 % kCodes])),
        fourth(vld1q_s8(tables.values[3 % kCodes])) {}

  int8x16_t first, second, third, fourth;
};

// 16 weights from the first 2 * kBits of 8 bytes of codes.
template <int32_t kBits>
inline int8x16_t Decode16(uint8x8_t bytes, const TablesNeon<kBits>& tables) {
  const uint8x8_t low = vand_u8(bytes, vdup_n_u8(15));
  const uint8x8_t high = vshr_n_u8(bytes, 4);
  const uint8x8_t nibbles = vzip1_u8(low, high);
  if (kBits == 4) return vqtbl1q_s8(tables.first, vcombine_u8(nibbles, vzip2_u8(low, high)));
  // The codes of a nibble follow each other.
  const int8x8_t first = vqtbl1_s8(tables.first, nibbles);
  const int8x8_t second = vqtbl1_s8(tables.second, nibbles);
  if (kBits == 2) return vcombine_s8(vzip1_s8(first, second), vzip2_s8(first, second));
  const int8x8_t third = vqtbl1_s8(tables.third, nibbles);
  const int8x8_t fourth = vqtbl1_s8(tables.fourth, nibbles);
  const int16x4_t pairs = vreinterpret_s16_s8(vzip1_s8(first, second));
  const int16x4_t more = vreinterpret_s16_s8(vzip1_s8(third, fourth));
  return vreinterpretq_s8_s16(vcombine_s16(vzip1_s16(pairs, more), vzip2_s16(pairs, more)));
}

// 32 weights from 4 * kBits bytes of codes.
template <int32_t kBits>
inline int8x16x2_t Decode32(const uint8_t* bytes, const TablesNeon<kBits>& tables) {
  if constexpr (kBits == 4) {
    const uint8x16_t both = vld1q_u8(bytes);
    const uint8x16_t low = vandq_u8(both, vdupq_n_u8(15)), high = vshrq_n_u8(both, 4);
    return {{vqtbl1q_s8(tables.first, vzip1q_u8(low, high)),
             vqtbl1q_s8(tables.first, vzip2q_u8(low, high))}};
  } else if constexpr (kBits == 2) {
    const uint8x8_t both = vld1_u8(bytes);
    const uint8x8_t low = vand_u8(both, vdup_n_u8(15)), high = vshr_n_u8(both, 4);
    const uint8x16_t nibbles = vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high));
    const int8x16_t first = vqtbl1q_s8(tables.first, nibbles);
    const int8x16_t second = vqtbl1q_s8(tables.second, nibbles);
    return {{vzip1q_s8(first, second), vzip2q_s8(first, second)}};
  } else {
    return {{Decode16(vcreate_u8(LoadNumber<uint16_t>(bytes)), tables),
             Decode16(vcreate_u8(LoadNumber<uint16_t>(bytes + 2)), tables)}};
  }
}

// kBytes of packed codes, 8, 4 or 2; those from `end` on are zero.
template <int32_t kBytes>
inline uint8x8_t LoadBytes(const uint8_t* from, const uint8_t* end) {
  if (end - from < kBytes) {
    uint64_t bytes = 0;
    if (end > from) memcpy(&bytes, from, static_cast<size_t>(end - from));
    return vcreate_u8(bytes);
  }
  if (kBytes == 8) return vld1_u8(from);
  if (kBytes == 4) return vcreate_u8(LoadNumber<uint32_t>(from));
  return vcreate_u8(LoadNumber<uint16_t>(from));
}

inline uint8x16_t Load16(const uint8_t* from, const uint8_t* end) {
  if (end - from >= 16) return vld1q_u8(from);
  uint8_t bytes[16] = {};
  if (end > from) memcpy(bytes, from, static_cast<size_t>(end - from));
  return vld1q_u8(bytes);
}

// Rows of packed codes as PackRight reads them: 16 weights of a row, from `k` on.
template <int32_t kBits>
struct CodebookRowsNeon {
  CodebookRowsNeon(const uint8_t* const* rows, const CodebookColumns& weights)
      : rows(rows), end(weights.weights_end), tables(*weights.tables) {}

  int8x16_t Load(int32_t row, int32_t k) const {
    return Decode16(LoadBytes<2 * kBits>(rows[row] + (k >> 3) * kBits, end), tables);
  }

  // 32 weights, all of which must lie before the end.
  int8x16x2_t LoadTwo(int32_t row, int32_t k) const {
    return Decode32(rows[row] + (k >> 3) * kBits, tables);
  }

  // So many weights of each of `count` rows lie before the end.
  ptrdiff_t DepthInside(int32_t count) const { return (end - rows[count - 1]) * (8 / kBits); }

  const uint8_t* const* rows;
  const uint8_t* end;
  TablesNeon<kBits> tables;
};

// The same for int8 [columns][padded_depth].
struct DenseRowsNeon {
  int8x16_t Load(int32_t row, int32_t k) const { return vld1q_s8(weights + row * pitch + k); }
  int8x16x2_t LoadTwo(int32_t row, int32_t k) const { return {{Load(row, k), Load(row, k + 16)}}; }
  ptrdiff_t DepthInside(int32_t) const { return pitch; }

  const int8_t* weights;
  ptrdiff_t pitch;
};

}  // namespace
}  // namespace edgeax
