#include "tflite_kernels/arch/dispatch.h"

#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup.h"
#include "tflite_kernels/arch/no_scratch.h"

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
  constexpr unsigned kFmaPopcntAndF16c = 1u << 12 | 1u << 23 | 1u << 29;
  if (!OsSaves(kSseAndAvxState)) return false;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  if ((c & kFmaPopcntAndF16c) != kFmaPopcntAndF16c) return false;
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

constexpr KernelSet Reference() {
  using Int16Product = Int16Args<FullyConnectedArgs>;
  using Int16SparseProduct = Int16Args<SparseFullyConnectedArgs>;
  KernelSet set = {};
  set.name = "reference";
  set.is_supported = Always;
  set.conv2d = {Conv2D, NoScratch<Conv2DGeometry>};
  set.depthwise_conv2d = {DepthwiseConv2D, NoScratch<DepthwiseConv2DGeometry>};
  set.fully_connected = {FullyConnected, NoScratch<FullyConnectedArgs, CheckFullyConnected>};
  set.sparse_conv2d = {SparseConv2D, NoScratch<Conv2DGeometry>};
  set.sparse_fully_connected = {SparseFullyConnected,
                                NoScratch<SparseFullyConnectedArgs, CheckSparseFullyConnected>};
  set.grouped_conv2d = {GroupedConv2D, NoScratch<Conv2DGeometry>};
  set.grouped_fully_connected = {GroupedFullyConnected,
                                 NoScratch<GroupedFullyConnectedArgs, CheckGroupedFullyConnected>};
  set.binary_conv2d = {BinaryConv2D, NoScratch<BinaryConv2DGeometry>};
  set.binary_fully_connected = {BinaryFullyConnected,
                                NoScratch<BinaryFullyConnectedArgs, CheckBinaryFullyConnected>};
  // Bytes of bits are combined as they are: compilers need no help with that.
  set.binary_max_pool2d = {BinaryMaxPool2D, NoScratch<WindowGeometry>, true};
  set.float_fully_connected = {FloatFullyConnected,
                               NoScratch<FloatFullyConnectedArgs, CheckFloatFullyConnected>};
  set.sign_sum = {SignSum, NoScratch<BinaryConv2DGeometry>};
  set.vector_conv2d = {VectorConv2D, NoScratch<Conv2DGeometry>};
  set.vector_fully_connected = {VectorFullyConnected,
                                NoScratch<VectorFullyConnectedArgs, CheckVectorFullyConnected>};
  set.lookup_conv2d = {LookupConv2D, NoScratch<Conv2DGeometry>};
  set.lookup_fully_connected = {LookupFullyConnected,
                                NoScratch<LookupFullyConnectedArgs, CheckLookup>};
  set.int16_conv2d = {Conv2D, NoScratch<Conv2DGeometry>};
  set.int16_depthwise_conv2d = {DepthwiseConv2D, NoScratch<DepthwiseConv2DGeometry>};
  set.int16_fully_connected = {FullyConnected, NoScratch<Int16Product, CheckFullyConnected>};
  set.int16_sparse_conv2d = {SparseConv2D, NoScratch<Conv2DGeometry>};
  set.int16_sparse_fully_connected = {SparseFullyConnected,
                                      NoScratch<Int16SparseProduct, CheckSparseFullyConnected>};
  set.backprop_filter = {Conv2DBackpropFilter,
                         NoScratch<Conv2DGradientArgs, GradientSizes, CheckBackpropFilter>};
  set.backprop_input = {Conv2DBackpropInput,
                        NoScratch<Conv2DGradientArgs, GradientSizes, CheckBackpropInput>};
  set.max_pool_grad = {MaxPoolGrad, NoScratch<PoolGradientArgs, GradientSizes, CheckMaxPoolGrad>};
  set.avg_pool_grad = {AvgPoolGrad, NoScratch<PoolGradientArgs, GradientSizes, CheckAvgPoolGrad>};
  set.activation_grad = {ActivationGrad,
                         NoScratch<ActivationGradientArgs, GradientSizes, CheckActivationGrad>};
  set.variable_conv2d = {VariableConv2D,
                         NoScratch<VariableConv2DArgs, VariableConv2DSizes, CheckVariableConv2D>};
  set.predicted_signs = {PredictedSigns,
                         NoScratch<PredictedSignsArgs, GradientSizes, CheckPredictedSigns>};
  return set;
}

// Each other set begins as one that it is better than, and names what it has of its own.
#define EDGEAX_KERNEL(Operator, Isa) {Operator##Isa, Operator##ScratchBytes##Isa, true}
#define EDGEAX_LOOKUP(Operator, Isa, PutOnPoints)                                   \
  LookupOn<Lookup##Operator##Args, Grouped##Operator##Args, Grouped##Operator##Isa, \
           Grouped##Operator##ScratchBytes##Isa, PutOnPoints>::kKernel

// Signs are predicted for all of the weights before any is computed in full: in one share.
#define EDGEAX_SIGNS(Isa) {PredictedSigns##Isa, PredictedSignsScratchBytes##Isa}

#define EDGEAX_GRADIENTS(Isa, set)                                                              \
  set.backprop_filter = EDGEAX_KERNEL(BackpropFilter, Isa);                                     \
  set.backprop_input = EDGEAX_KERNEL(BackpropInput, Isa);                                       \
  set.max_pool_grad = {MaxPoolGrad##Isa,                                                        \
                       NoScratch<PoolGradientArgs, GradientSizes, CheckMaxPoolGrad>, true};     \
  set.avg_pool_grad = {AvgPoolGrad##Isa,                                                        \
                       NoScratch<PoolGradientArgs, GradientSizes, CheckAvgPoolGrad>, true};     \
  set.activation_grad = {ActivationGrad##Isa,                                                   \
                         NoScratch<ActivationGradientArgs, GradientSizes, CheckActivationGrad>, \
                         true}

#if defined(__x86_64__)
constexpr KernelSet Avx2() {
  KernelSet set = Reference();
  set.name = "avx2";
  set.is_supported = HasAvx2;
  set.conv2d = EDGEAX_KERNEL(Conv2D, Avx2);
  set.depthwise_conv2d = EDGEAX_KERNEL(DepthwiseConv2D, Avx2);
  set.fully_connected = EDGEAX_KERNEL(FullyConnected, Avx2);
  set.sparse_conv2d = EDGEAX_KERNEL(SparseConv2D, Avx2);
  set.sparse_fully_connected = EDGEAX_KERNEL(SparseFullyConnected, Avx2);
  set.grouped_conv2d = EDGEAX_KERNEL(GroupedConv2D, Avx2);
  set.grouped_fully_connected = EDGEAX_KERNEL(GroupedFullyConnected, Avx2);
  set.lookup_conv2d = EDGEAX_LOOKUP(Conv2D, Avx2, PutOnPoints);
  set.lookup_fully_connected = EDGEAX_LOOKUP(FullyConnected, Avx2, PutOnPoints);
  set.binary_conv2d = EDGEAX_KERNEL(BinaryConv2D, Avx2);
  set.binary_fully_connected = EDGEAX_KERNEL(BinaryFullyConnected, Avx2);
  set.float_fully_connected = EDGEAX_KERNEL(FloatFullyConnected, Avx2);
  EDGEAX_GRADIENTS(Avx2, set);
  set.variable_conv2d = EDGEAX_KERNEL(VariableConv2D, Avx2);
  set.predicted_signs = EDGEAX_SIGNS(Avx2);
  set.sign_sum = EDGEAX_KERNEL(SignSum, Avx2);
  set.vector_conv2d = EDGEAX_KERNEL(VectorConv2D, Avx2);
  set.vector_fully_connected = EDGEAX_KERNEL(VectorFullyConnected, Avx2);
  set.int16_conv2d = EDGEAX_KERNEL(Int16Conv2D, Avx2);
  set.int16_depthwise_conv2d = EDGEAX_KERNEL(Int16DepthwiseConv2D, Avx2);
  set.int16_fully_connected = EDGEAX_KERNEL(Int16FullyConnected, Avx2);
  set.int16_sparse_conv2d = EDGEAX_KERNEL(Int16SparseConv2D, Avx2);
  set.int16_sparse_fully_connected = EDGEAX_KERNEL(Int16SparseFullyConnected, Avx2);
  return set;
}

// A depthwise convolution of int8 of its own was not measured to gain.
constexpr KernelSet Avx512() {
  KernelSet set = Avx2();
  set.name = "avx512";
  set.is_supported = HasAvx512;
  set.conv2d = EDGEAX_KERNEL(Conv2D, Avx512);
  set.fully_connected = EDGEAX_KERNEL(FullyConnected, Avx512);
  set.sparse_conv2d = EDGEAX_KERNEL(SparseConv2D, Avx512);
  set.sparse_fully_connected = EDGEAX_KERNEL(SparseFullyConnected, Avx512);
  set.grouped_conv2d = EDGEAX_KERNEL(GroupedConv2D, Avx512);
  set.grouped_fully_connected = EDGEAX_KERNEL(GroupedFullyConnected, Avx512);
  set.lookup_conv2d = EDGEAX_LOOKUP(Conv2D, Avx512, PutOnPointsAvx512);
  set.lookup_fully_connected = EDGEAX_LOOKUP(FullyConnected, Avx512, PutOnPointsAvx512);
  set.binary_conv2d = EDGEAX_KERNEL(BinaryConv2D, Avx512);
  set.binary_fully_connected = EDGEAX_KERNEL(BinaryFullyConnected, Avx512);
  set.float_fully_connected = EDGEAX_KERNEL(FloatFullyConnected, Avx512);
  EDGEAX_GRADIENTS(Avx512, set);
  set.variable_conv2d = EDGEAX_KERNEL(VariableConv2D, Avx512);
  set.predicted_signs = EDGEAX_SIGNS(Avx512);
  set.sign_sum = EDGEAX_KERNEL(SignSum, Avx512);
  set.vector_conv2d = EDGEAX_KERNEL(VectorConv2D, Avx512);
  set.vector_fully_connected = EDGEAX_KERNEL(VectorFullyConnected, Avx512);
  set.int16_conv2d = EDGEAX_KERNEL(Int16Conv2D, Avx512);
  set.int16_depthwise_conv2d = EDGEAX_KERNEL(Int16DepthwiseConv2D, Avx512);
  set.int16_fully_connected = EDGEAX_KERNEL(Int16FullyConnected, Avx512);
  set.int16_sparse_conv2d = EDGEAX_KERNEL(Int16SparseConv2D, Avx512);
  set.int16_sparse_fully_connected = EDGEAX_KERNEL(Int16SparseFullyConnected, Avx512);
  return set;
}

constexpr KernelSet kSets[] = {Reference(), Avx2(), Avx512()};
#elif defined(__aarch64__)
constexpr KernelSet Neon() {
  KernelSet set = Reference();
  set.name = "neon";
  set.conv2d = EDGEAX_KERNEL(Conv2D, Neon);
  set.depthwise_conv2d = EDGEAX_KERNEL(DepthwiseConv2D, Neon);
  set.fully_connected = EDGEAX_KERNEL(FullyConnected, Neon);
  set.sparse_conv2d = EDGEAX_KERNEL(SparseConv2D, Neon);
  set.sparse_fully_connected = EDGEAX_KERNEL(SparseFullyConnected, Neon);
  set.grouped_conv2d = EDGEAX_KERNEL(GroupedConv2D, Neon);
  set.grouped_fully_connected = EDGEAX_KERNEL(GroupedFullyConnected, Neon);
  set.lookup_conv2d = EDGEAX_LOOKUP(Conv2D, Neon, PutOnPoints);
  set.lookup_fully_connected = EDGEAX_LOOKUP(FullyConnected, Neon, PutOnPoints);
  set.binary_conv2d = EDGEAX_KERNEL(BinaryConv2D, Neon);
  set.binary_fully_connected = EDGEAX_KERNEL(BinaryFullyConnected, Neon);
  set.float_fully_connected = EDGEAX_KERNEL(FloatFullyConnected, Neon);
  EDGEAX_GRADIENTS(Neon, set);
  set.variable_conv2d = EDGEAX_KERNEL(VariableConv2D, Neon);
  set.predicted_signs = EDGEAX_SIGNS(Neon);
  set.sign_sum = EDGEAX_KERNEL(SignSum, Neon);
  set.vector_conv2d = EDGEAX_KERNEL(VectorConv2D, Neon);
  set.vector_fully_connected = EDGEAX_KERNEL(VectorFullyConnected, Neon);
  set.int16_conv2d = EDGEAX_KERNEL(Int16Conv2D, Neon);
  set.int16_depthwise_conv2d = EDGEAX_KERNEL(Int16DepthwiseConv2D, Neon);
  set.int16_fully_connected = EDGEAX_KERNEL(Int16FullyConnected, Neon);
  set.int16_sparse_conv2d = EDGEAX_KERNEL(Int16SparseConv2D, Neon);
  set.int16_sparse_fully_connected = EDGEAX_KERNEL(Int16SparseFullyConnected, Neon);
  set.takes_weight_sums = true;
  set.takes_balanced = true;
  return set;
}

// The dot product sums weights up itself.
constexpr KernelSet NeonDotprod() {
  KernelSet set = Neon();
  set.name = "neon_dotprod";
  set.is_supported = HasDotprod;
  set.conv2d = EDGEAX_KERNEL(Conv2D, NeonDotprod);
  set.fully_connected = EDGEAX_KERNEL(FullyConnected, NeonDotprod);
  set.sparse_conv2d = EDGEAX_KERNEL(SparseConv2D, NeonDotprod);
  set.sparse_fully_connected = EDGEAX_KERNEL(SparseFullyConnected, NeonDotprod);
  set.grouped_conv2d = EDGEAX_KERNEL(GroupedConv2D, NeonDotprod);
  set.grouped_fully_connected = EDGEAX_KERNEL(GroupedFullyConnected, NeonDotprod);
  set.lookup_conv2d = EDGEAX_LOOKUP(Conv2D, NeonDotprod, PutOnPoints);
  set.lookup_fully_connected = EDGEAX_LOOKUP(FullyConnected, NeonDotprod, PutOnPoints);
  set.predicted_signs = EDGEAX_SIGNS(NeonDotprod);
  set.vector_conv2d = EDGEAX_KERNEL(VectorConv2D, NeonDotprod);
  set.vector_fully_connected = EDGEAX_KERNEL(VectorFullyConnected, NeonDotprod);
  set.takes_weight_sums = false;
  return set;
}

constexpr KernelSet kSets[] = {Reference(), Neon(), NeonDotprod()};
#elif defined(EDGEAX_ARMV7)
constexpr KernelSet Neon() {
  KernelSet set = Reference();
  set.name = "neon";
  set.is_supported = HasNeon;
  set.conv2d = EDGEAX_KERNEL(Conv2D, Armv7);
  set.fully_connected = EDGEAX_KERNEL(FullyConnected, Armv7);
  return set;
}

constexpr KernelSet kSets[] = {Reference(), Neon()};
#else
constexpr KernelSet kSets[] = {Reference()};
#endif
#undef EDGEAX_KERNEL
#undef EDGEAX_SIGNS
#undef EDGEAX_GRADIENTS
#undef EDGEAX_LOOKUP

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
