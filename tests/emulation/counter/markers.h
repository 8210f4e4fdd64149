#pragma once  // Marks regions of a program whose instructions regioncount.c counts.

// The marks are hints that no Arm core has a meaning for, on x86-64 instructions for doing nothing
// that a compiler would not write, so they do nothing outside the counter.
// A compiler may move instructions that touch no memory across a mark: call a function that is not
// inlined between them.
#define EDGEAX_TEXT_(x) #x
#define EDGEAX_TEXT(x) EDGEAX_TEXT_(x)
#if defined(__aarch64__)
#define EDGEAX_HINT(n) __asm__ volatile("hint #" EDGEAX_TEXT(n)::: "memory")
#elif defined(__x86_64__)  // nopl 0x676465nn(%rax)
#define EDGEAX_HINT(n) \
  __asm__ volatile(".byte 0x0f, 0x1f, 0x80, " EDGEAX_TEXT(n) ", 0x65, 0x64, 0x67" ::: "memory")
#else  // Thumb: the 32-bit hint
#define EDGEAX_HINT(n) __asm__ volatile(".inst.w 0xf3af8000 + " EDGEAX_TEXT(n)::: "memory")
#endif

#define EDGEAX_REGION_BEGIN(region) EDGEAX_HINT(112 + region)  // region: 0 to 7
#define EDGEAX_REGION_END(region) EDGEAX_HINT(120 + region)
