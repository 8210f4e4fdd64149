#pragma once  // arch/avx512_intrinsics.h: immintrin.h without the warnings of GCC 12 about itself.

// Many of its intrinsics pass a register that is deliberately not initialized (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
