#pragma once  // arch/turn_x86.h: pixels to planes for predicted signs.

#include <stddef.h>
#include <stdint.h>

#include "tflite_kernels/arch/transpose_x86.h"

namespace edgeax {
namespace {

// `Turn` of sign_planes.h.
struct TurnX86 {
  static void Turn(const int8_t* const* pixels, int32_t channel, int8_t* to, size_t plane) {
    const auto load = [&](int32_t i) {
      return _mm_cvtepi8_epi16(
          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels[i] + channel)));
    };
    TransposeLanes(load, [&](int32_t i, __m128i column) {
      const __m128i bytes = _mm_packs_epi16(column, column);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + i * plane), bytes);
    });
  }

  static void Turn(const int16_t* const* pixels, int32_t channel, int16_t* to, size_t plane) {
    const auto load = [&](int32_t i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels[i] + channel));
    };
    TransposeLanes(load, [&](int32_t i, __m128i column) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * plane), column);
    });
  }
};

}  // namespace
}  // namespace edgeax
