#pragma once  // arch/neon_clear.h: the beginning of sums in assembly on aarch64.

#define EDGEAX_CLEAR(a, b, c, d) \
  "movi v" #a                    \
  ".4s, #0\n"                    \
  "movi v" #b                    \
  ".4s, #0\n"                    \
  "movi v" #c                    \
  ".4s, #0\n"                    \
  "movi v" #d ".4s, #0\n"
