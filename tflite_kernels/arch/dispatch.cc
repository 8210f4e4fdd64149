#include "tflite_kernels/arch/dispatch.h"

#include "tflite_kernels/arch/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__ARM_PCS_VFP) && defined(__linux__)  // "armv7" of sources.json
#define EDGEAX_ARMV7
#include <sys/auxv.h>
#endif

namespace edgeax {
namespace {

bool Always() { return true; }

#if defined(__x86_64__)
// __builtin_cpu_supports would do, but ziglang's answers no in a shared library.
bool OsSaves(unsigned state) {
  unsigned a, b, c, d;
  constexpr unsigned kOsSavesRegisters = 1u << 27, kAvx = 1u << 28;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  if ((c & kOsSavesRegisters) == 0 || (c & kAvx) == 0) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & state) == state;
}

bool HasAvx2() {
  unsigned a, b, c, d;
  constexpr unsigned kSseAndAvxState = 0x06, kAvx2 = 1u << 5;
  constexpr unsigned kFmaAndF16c = 1u << 12 | 1u << 29;
  if (!OsSaves(kSseAndAvxState)) return false;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kFmaAndF16c) != kFmaAndF16c) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kAvx2) != 0;
}

bool HasAvx512() {
  unsigned a, b, c, d;
  constexpr unsigned kMaskAndWideState = 0xE6, kVnniAndVpopcntdq = 1u << 11 | 1u << 14;
  constexpr unsigned kFDqBwVl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  if (!HasAvx2() || !OsSaves(kMaskAndWideState)) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return (b & kFDqBwVl) == kFDqBwVl && (c & kVnniAndVpopcntdq) == kVnniAndVpopcntdq;
}
#elif defined(__aarch64__)
bool HasDotprod() {
  constexpr unsigned long kHwcapAsimdDp = 1ul << 20;
  return (getauxval(AT_HWCAP) & kHwcapAsimdDp) != 0;
}
#elif defined(EDGEAX_ARMV7)
bool HasNeon() {
  constexpr unsigned long kHwcapNeon = 1ul << 12;
  return (getauxval(AT_HWCAP) & kHwcapNeon) != 0;
}
#endif

Status NoScratch(const Conv2DArgs& args, size_t* bytes) {
  *bytes = 0;
  Conv2DGeometry geometry;
  return GeometryOf(args, &geometry);
}

Status NoScratch(const DepthwiseConv2DArgs& args, size_t* bytes) {
  *bytes = 0;
  DepthwiseConv2DGeometry geometry;
  return GeometryOf(args, &geometry);
}

Status NoScratch(const FullyConnectedArgs& args, size_t* bytes) {
  *bytes = 0;
  return CheckFullyConnected(args);
}

Status NoScratch(const SparseConv2DArgs& args, size_t* bytes) {
  *bytes = 0;
  Conv2DGeometry geometry;
  return GeometryOf(args, &geometry);
}

Status NoScratch(const SparseFullyConnectedArgs& args, size_t* bytes) {
  *bytes = 0;
  return CheckSparseFullyConnected(args);
}

Status NoScratch(const BinaryConv2DArgs& args, size_t* bytes) {
  *bytes = 0;
  BinaryConv2DGeometry geometry;
  return GeometryOf(args, &geometry);
}

Status NoScratch(const BinaryFullyConnectedArgs& args, size_t* bytes) {
  *bytes = 0;
  return CheckBinaryFullyConnected(args);
}

Status NoScratch(const BinaryMaxPool2DArgs& args, size_t* bytes) {
  *bytes = 0;
  WindowGeometry geometry;
  return GeometryOf(args, &geometry);
}

Status NoScratch(const FloatFullyConnectedArgs& args, size_t* bytes) {
  *bytes = 0;
  return CheckFloatFullyConnected(args);
}

Status NoScratch(const GroupedConv2DArgs& args, size_t* bytes) {
  *bytes = 0;
  Conv2DGeometry geometry;
  return GeometryOf(args, &geometry);
}

Status NoScratch(const GroupedFullyConnectedArgs& args, size_t* bytes) {
  *bytes = 0;
  return CheckGroupedFullyConnected(args);
}

// Bytes of bits are combined as they are: compilers need no help with that.
constexpr Kernel<BinaryMaxPool2DArgs, BinaryPoolTensors> kBinaryMaxPool2D = {BinaryMaxPool2D,
                                                                             NoScratch, true};

constexpr KernelSet kSets[] = {
    {"reference",
     Always,
     {Conv2D, NoScratch},
     {DepthwiseConv2D, NoScratch},
     {FullyConnected, NoScratch},
     {SparseConv2D, NoScratch},
     {SparseFullyConnected, NoScratch},
     {BinaryConv2D, NoScratch},
     {BinaryFullyConnected, NoScratch},
     kBinaryMaxPool2D,
     {FloatFullyConnected, NoScratch},
     {GroupedConv2D, NoScratch},
     {GroupedFullyConnected, NoScratch}},
#if defined(__x86_64__)
    {"avx2",
     HasAvx2,
     {Conv2DAvx2, Conv2DScratchBytesAvx2, true},
     {DepthwiseConv2DAvx2, DepthwiseConv2DScratchBytesAvx2, true},
     {FullyConnectedAvx2, FullyConnectedScratchBytesAvx2, true},
     {SparseConv2DAvx2, SparseConv2DScratchBytesAvx2, true},
     {SparseFullyConnectedAvx2, SparseFullyConnectedScratchBytesAvx2, true},
     {BinaryConv2DAvx2, BinaryConv2DScratchBytesAvx2, true},
     {BinaryFullyConnectedAvx2, BinaryFullyConnectedScratchBytesAvx2, true},
     kBinaryMaxPool2D,
     {FloatFullyConnectedAvx2, FloatFullyConnectedScratchBytesAvx2, true},
     {GroupedConv2DAvx2, GroupedConv2DScratchBytesAvx2, true},
     {GroupedFullyConnectedAvx2, GroupedFullyConnectedScratchBytesAvx2, true}},
    {"avx512",
     HasAvx512,
     {Conv2DAvx512, Conv2DScratchBytesAvx512, true},
     {DepthwiseConv2DAvx2, DepthwiseConv2DScratchBytesAvx2, true},  // not measured to gain
     {FullyConnectedAvx512, FullyConnectedScratchBytesAvx512, true},
     {SparseConv2DAvx512, SparseConv2DScratchBytesAvx512, true},
     {SparseFullyConnectedAvx512, SparseFullyConnectedScratchBytesAvx512, true},
     {BinaryConv2DAvx512, BinaryConv2DScratchBytesAvx512, true},
     {BinaryFullyConnectedAvx512, BinaryFullyConnectedScratchBytesAvx512, true},
     kBinaryMaxPool2D,
     {FloatFullyConnectedAvx512, FloatFullyConnectedScratchBytesAvx512, true},
     {GroupedConv2DAvx512, GroupedConv2DScratchBytesAvx512, true},
     {GroupedFullyConnectedAvx512, GroupedFullyConnectedScratchBytesAvx512, true}},
#elif defined(__aarch64__)
    {"neon",
     Always,
     {Conv2DNeon, Conv2DScratchBytesNeon, true},
     {DepthwiseConv2DNeon, DepthwiseConv2DScratchBytesNeon, true},
     {FullyConnectedNeon, FullyConnectedScratchBytesNeon, true},
     {SparseConv2DNeon, SparseConv2DScratchBytesNeon, true},
     {SparseFullyConnectedNeon, SparseFullyConnectedScratchBytesNeon, true},
     {BinaryConv2DNeon, BinaryConv2DScratchBytesNeon, true},
     {BinaryFullyConnectedNeon, BinaryFullyConnectedScratchBytesNeon, true},
     kBinaryMaxPool2D,
     {FloatFullyConnectedNeon, FloatFullyConnectedScratchBytesNeon, true},
     {GroupedConv2DNeon, GroupedConv2DScratchBytesNeon, true},
     {GroupedFullyConnectedNeon, GroupedFullyConnectedScratchBytesNeon, true},
     true,
     true},
    {"neon_dotprod",
     HasDotprod,
     {Conv2DNeonDotprod, Conv2DScratchBytesNeonDotprod, true},
     {DepthwiseConv2DNeon, DepthwiseConv2DScratchBytesNeon, true},  // the dot product does not help
     {FullyConnectedNeonDotprod, FullyConnectedScratchBytesNeonDotprod, true},
     {SparseConv2DNeonDotprod, SparseConv2DScratchBytesNeonDotprod, true},
     {SparseFullyConnectedNeonDotprod, SparseFullyConnectedScratchBytesNeonDotprod, true},
     {BinaryConv2DNeon, BinaryConv2DScratchBytesNeon, true},
     {BinaryFullyConnectedNeon, BinaryFullyConnectedScratchBytesNeon, true},
     kBinaryMaxPool2D,
     {FloatFullyConnectedNeon, FloatFullyConnectedScratchBytesNeon, true},
     {GroupedConv2DNeonDotprod, GroupedConv2DScratchBytesNeonDotprod, true},
     {GroupedFullyConnectedNeonDotprod, GroupedFullyConnectedScratchBytesNeonDotprod, true},
     false,  // the dot product sums weights up itself
     true},
#elif defined(EDGEAX_ARMV7)
    {"neon",
     HasNeon,
     {Conv2DArmv7, Conv2DScratchBytesArmv7, true},
     {DepthwiseConv2D, NoScratch},
     {FullyConnectedArmv7, FullyConnectedScratchBytesArmv7, true},
     {SparseConv2D, NoScratch},
     {SparseFullyConnected, NoScratch},
     {BinaryConv2D, NoScratch},
     {BinaryFullyConnected, NoScratch},
     kBinaryMaxPool2D,
     {FloatFullyConnected, NoScratch},
     {GroupedConv2D, NoScratch},
     {GroupedFullyConnected, NoScratch}},
#endif
};

bool SameText(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

}  // namespace

Span<const KernelSet> KernelSets() { return {kSets, sizeof(kSets) / sizeof(kSets[0])}; }

const KernelSet* FindKernelSet(const char* name) {
  const bool any = SameText(name, "auto");
  const Span<const KernelSet> sets = KernelSets();
  for (size_t i = sets.size; i > 0; --i) {
    const KernelSet& set = sets.data[i - 1];
    if ((any || SameText(name, set.name)) && set.is_supported()) return &set;
  }
  return nullptr;
}

}  // namespace edgeax
