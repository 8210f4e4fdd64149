#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {
namespace {

// Of two points of each code, the second where the code has the bit.
inline __m512i Choose(__mmask64 bit, __m512i without, __m512i with) {
  return _mm512_mask_blend_epi8(bit, without, with);
}

// The points of 256 codes, 16 to a register, and which of these are meant by the bits of codes.
struct PointTables {
  explicit PointTables(const int8_t* points) {
    for (int32_t i = 0; i < 16; ++i) {
      const auto* from = reinterpret_cast<const __m128i*>(points + 16 * i);
      tables[i] = _mm512_broadcast_i32x4(_mm_loadu_si128(from));
    }
  }

  // Points of the codes 32 * i to 32 * i + 31.
  __m512i Of32(int32_t i, __m512i low, __mmask64 bit) const {
    const __m512i without = _mm512_shuffle_epi8(tables[2 * i], low);
    return _mm512_mask_shuffle_epi8(without, bit, tables[2 * i + 1], low);
  }

  // `codes` count from -128.
  __m512i Of(__m512i codes) const {
    const __m512i x = _mm512_xor_si512(codes, _mm512_set1_epi8(-128));
    const __m512i low = _mm512_and_si512(x, _mm512_set1_epi8(15));
    const __mmask64 bit4 = _mm512_test_epi8_mask(x, _mm512_set1_epi8(16));
    const __mmask64 bit5 = _mm512_test_epi8_mask(x, _mm512_set1_epi8(32));
    const __mmask64 bit6 = _mm512_test_epi8_mask(x, _mm512_set1_epi8(64));
    const __m512i first = Choose(bit5, Of32(0, low, bit4), Of32(1, low, bit4));
    const __m512i second = Choose(bit5, Of32(2, low, bit4), Of32(3, low, bit4));
    const __m512i third = Choose(bit5, Of32(4, low, bit4), Of32(5, low, bit4));
    const __m512i fourth = Choose(bit5, Of32(6, low, bit4), Of32(7, low, bit4));
    return Choose(_mm512_movepi8_mask(x), Choose(bit6, first, second), Choose(bit6, third, fourth));
  }

  __m512i tables[16];
};

}  // namespace

void PutOnPointsAvx512(const int8_t* points, const int8_t* input, size_t size, int8_t* output) {
  const PointTables tables(points);
  size_t i = 0;
  for (; i + 64 <= size; i += 64) {
    _mm512_storeu_si512(output + i, tables.Of(_mm512_loadu_si512(input + i)));
  }
  if (i == size) return;
  const __mmask64 rest = (__mmask64{1} << (size - i)) - 1;
  const __m512i codes = _mm512_maskz_loadu_epi8(rest, input + i);
  _mm512_mask_storeu_epi8(output + i, rest, tables.Of(codes));
}

}  // namespace edgeax
