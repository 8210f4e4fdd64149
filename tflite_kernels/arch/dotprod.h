#pragma once  // arch/dotprod.h: how functions of aarch64 with the dot product are marked.

// On functions instead of a compiler's flag for the file: GCC and ziglang spell that flag
// differently. What has it may only be called after HasDotprod() of dispatch.cc.
#define EDGEAX_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
