// A sum of int8 products in the instructions that the compiler's flags allow: MVE, dot product or
// neither. A core that lacks them must fault.

#include <cstdint>

extern "C" void edgeax_print(const char* text);

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
static int32_t Dot16(const int8_t* a, const int8_t* b) {
  return vmladavq_s8(vldrbq_s8(a), vldrbq_s8(b));
}
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
static int32_t Dot16(const int8_t* a, const int8_t* b) {
  return vaddvq_s32(vdotq_s32(vdupq_n_s32(0), vld1q_s8(a), vld1q_s8(b)));
}
#else
static int32_t Dot16(const int8_t* a, const int8_t* b) {
  int32_t sum = 0;
  for (int i = 0; i < 16; ++i) sum += a[i] * b[i];
  return sum;
}
#endif

static int8_t left[16] = {1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, -5, -6, -7, -128};
static int8_t right[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 127};

int main() {
  // 36 - 28 - 128 * 127
  const bool is_right = Dot16(left, right) == -16248;
  edgeax_print(is_right ? "sum right\n" : "sum wrong\n");
  return is_right ? 0 : 1;
}
