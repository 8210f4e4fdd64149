// Regions whose numbers of instructions are known by reading.

#include "markers.h"

int main() {
  EDGEAX_REGION_BEGIN(0);
  EDGEAX_REGION_END(0);

  EDGEAX_REGION_BEGIN(1);
  __asm__ volatile("nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n" ::: "memory");
  EDGEAX_REGION_END(1);

  for (volatile int visit = 0; visit < 3; visit = visit + 1) {
    EDGEAX_REGION_BEGIN(7);
#if defined(__aarch64__)
    __asm__ volatile("mov w0, #100\n 1: subs w0, w0, #1\n b.ne 1b\n" ::: "w0", "cc", "memory");
#elif defined(__x86_64__)
    __asm__ volatile("mov $100, %%eax\n 1: sub $1, %%eax\n jne 1b\n" ::: "eax", "cc", "memory");
#else
    __asm__ volatile("movs r0, #100\n 1: subs r0, r0, #1\n bne 1b\n" ::: "r0", "cc", "memory");
#endif
    EDGEAX_REGION_END(7);
  }
  return 0;
}
