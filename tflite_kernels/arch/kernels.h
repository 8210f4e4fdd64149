#pragma once  // arch/kernels.h: the kernels of core/ on other instruction sets, for dispatch.cc.

#include "tflite_kernels/core/binary_conv2d.h"
#include "tflite_kernels/core/binary_fully_connected.h"
#include "tflite_kernels/core/conv2d.h"
#include "tflite_kernels/core/depthwise_conv2d.h"
#include "tflite_kernels/core/float_fully_connected.h"
#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/gradients.h"
#include "tflite_kernels/core/grouped_conv2d.h"
#include "tflite_kernels/core/grouped_fully_connected.h"
#include "tflite_kernels/core/predicted_signs.h"
#include "tflite_kernels/core/sign_sum.h"
#include "tflite_kernels/core/sparse_conv2d.h"
#include "tflite_kernels/core/sparse_fully_connected.h"
#include "tflite_kernels/core/variable_conv2d.h"
#include "tflite_kernels/core/vector_conv2d.h"
#include "tflite_kernels/core/vector_fully_connected.h"

// Signatures, results and errors as in core/. `tensors.scratch` has at least the bytes that the
// ...ScratchBytes of the same arguments gives, or the kernel returns kBadScratch.
#define EDGEAX_DECLARE_KERNEL(Operator, Isa, TensorsOfOperator)                       \
  Status Operator##Isa(const Operator##Args& args, const TensorsOfOperator& tensors); \
  Status Operator##ScratchBytes##Isa(const Operator##Args& args, size_t* bytes);

// The same for int16 activations.
#define EDGEAX_DECLARE_INT16_KERNEL(Operator, Isa, TensorsOfOperator) \
  Status Int16##Operator##Isa(const Int16Args<Operator##Args>& args,  \
                              const TensorsOfOperator& tensors);      \
  Status Int16##Operator##ScratchBytes##Isa(const Int16Args<Operator##Args>& args, size_t* bytes);
#define EDGEAX_DECLARE_INT16_KERNELS(Isa)                            \
  EDGEAX_DECLARE_INT16_KERNEL(Conv2D, Isa, Int16Tensors)             \
  EDGEAX_DECLARE_INT16_KERNEL(DepthwiseConv2D, Isa, Int16Tensors)    \
  EDGEAX_DECLARE_INT16_KERNEL(FullyConnected, Isa, Int16Tensors)     \
  EDGEAX_DECLARE_INT16_KERNEL(SparseConv2D, Isa, Int16SparseTensors) \
  EDGEAX_DECLARE_INT16_KERNEL(SparseFullyConnected, Isa, Int16SparseTensors)

// Gradients; those that declare no ScratchBytes need no scratch.
#define EDGEAX_DECLARE_GRADIENTS(Isa)                                                         \
  Status BackpropFilter##Isa(const Conv2DGradientArgs& args, const GradientTensors& tensors); \
  Status BackpropFilterScratchBytes##Isa(const Conv2DGradientArgs& args, size_t* bytes);      \
  Status BackpropInput##Isa(const Conv2DGradientArgs& args, const GradientTensors& tensors);  \
  Status BackpropInputScratchBytes##Isa(const Conv2DGradientArgs& args, size_t* bytes);       \
  Status MaxPoolGrad##Isa(const PoolGradientArgs& args, const GradientTensors& tensors);      \
  Status AvgPoolGrad##Isa(const PoolGradientArgs& args, const GradientTensors& tensors);      \
  Status ActivationGrad##Isa(const ActivationGradientArgs& args, const GradientTensors& tensors);

namespace edgeax {

EDGEAX_DECLARE_GRADIENTS(Avx2)
EDGEAX_DECLARE_GRADIENTS(Avx512)
EDGEAX_DECLARE_GRADIENTS(Neon)

EDGEAX_DECLARE_KERNEL(PredictedSigns, Avx2, SignTensors)
EDGEAX_DECLARE_KERNEL(PredictedSigns, Avx512, SignTensors)
EDGEAX_DECLARE_KERNEL(PredictedSigns, Neon, SignTensors)
EDGEAX_DECLARE_KERNEL(PredictedSigns, NeonDotprod, SignTensors)

EDGEAX_DECLARE_KERNEL(Conv2D, Avx2, Tensors)
EDGEAX_DECLARE_KERNEL(DepthwiseConv2D, Avx2, Tensors)
EDGEAX_DECLARE_KERNEL(FullyConnected, Avx2, Tensors)
EDGEAX_DECLARE_KERNEL(SparseConv2D, Avx2, SparseTensors)
EDGEAX_DECLARE_KERNEL(SparseFullyConnected, Avx2, SparseTensors)
EDGEAX_DECLARE_KERNEL(BinaryConv2D, Avx2, BinaryTensors)
EDGEAX_DECLARE_KERNEL(BinaryFullyConnected, Avx2, BinaryTensors)
EDGEAX_DECLARE_KERNEL(FloatFullyConnected, Avx2, FloatTensors)
EDGEAX_DECLARE_KERNEL(SignSum, Avx2, SignSumTensors)
EDGEAX_DECLARE_KERNEL(VariableConv2D, Avx2, VariableConv2DTensors)

EDGEAX_DECLARE_KERNEL(BinaryConv2D, Avx512, BinaryTensors)
EDGEAX_DECLARE_KERNEL(BinaryFullyConnected, Avx512, BinaryTensors)
EDGEAX_DECLARE_KERNEL(FloatFullyConnected, Avx512, FloatTensors)
EDGEAX_DECLARE_KERNEL(SignSum, Avx512, SignSumTensors)
EDGEAX_DECLARE_KERNEL(VariableConv2D, Avx512, VariableConv2DTensors)

EDGEAX_DECLARE_KERNEL(Conv2D, Avx512, Tensors)
EDGEAX_DECLARE_KERNEL(FullyConnected, Avx512, Tensors)
EDGEAX_DECLARE_KERNEL(SparseConv2D, Avx512, SparseTensors)
EDGEAX_DECLARE_KERNEL(SparseFullyConnected, Avx512, SparseTensors)

EDGEAX_DECLARE_KERNEL(Conv2D, Neon, Tensors)
EDGEAX_DECLARE_KERNEL(DepthwiseConv2D, Neon, Tensors)
EDGEAX_DECLARE_KERNEL(FullyConnected, Neon, Tensors)
EDGEAX_DECLARE_KERNEL(SparseConv2D, Neon, SparseTensors)
EDGEAX_DECLARE_KERNEL(SparseFullyConnected, Neon, SparseTensors)
EDGEAX_DECLARE_KERNEL(BinaryConv2D, Neon, BinaryTensors)
EDGEAX_DECLARE_KERNEL(BinaryFullyConnected, Neon, BinaryTensors)
EDGEAX_DECLARE_KERNEL(FloatFullyConnected, Neon, FloatTensors)
EDGEAX_DECLARE_KERNEL(SignSum, Neon, SignSumTensors)
EDGEAX_DECLARE_KERNEL(VariableConv2D, Neon, VariableConv2DTensors)

EDGEAX_DECLARE_KERNEL(Conv2D, Armv7, Tensors)
EDGEAX_DECLARE_KERNEL(FullyConnected, Armv7, Tensors)

EDGEAX_DECLARE_KERNEL(Conv2D, NeonDotprod, Tensors)
EDGEAX_DECLARE_KERNEL(FullyConnected, NeonDotprod, Tensors)
EDGEAX_DECLARE_KERNEL(SparseConv2D, NeonDotprod, SparseTensors)
EDGEAX_DECLARE_KERNEL(SparseFullyConnected, NeonDotprod, SparseTensors)

EDGEAX_DECLARE_INT16_KERNELS(Avx2)
EDGEAX_DECLARE_INT16_KERNELS(Avx512)
EDGEAX_DECLARE_INT16_KERNELS(Neon)
EDGEAX_DECLARE_KERNEL(VectorConv2D, Avx2, VectorTensors)
EDGEAX_DECLARE_KERNEL(VectorFullyConnected, Avx2, VectorTensors)
EDGEAX_DECLARE_KERNEL(VectorConv2D, Avx512, VectorTensors)
EDGEAX_DECLARE_KERNEL(VectorFullyConnected, Avx512, VectorTensors)
EDGEAX_DECLARE_KERNEL(VectorConv2D, Neon, VectorTensors)
EDGEAX_DECLARE_KERNEL(VectorFullyConnected, Neon, VectorTensors)
EDGEAX_DECLARE_KERNEL(VectorConv2D, NeonDotprod, VectorTensors)
EDGEAX_DECLARE_KERNEL(VectorFullyConnected, NeonDotprod, VectorTensors)
EDGEAX_DECLARE_KERNEL(GroupedConv2D, Avx2, Tensors)
EDGEAX_DECLARE_KERNEL(GroupedFullyConnected, Avx2, Tensors)
EDGEAX_DECLARE_KERNEL(GroupedConv2D, Avx512, Tensors)
EDGEAX_DECLARE_KERNEL(GroupedFullyConnected, Avx512, Tensors)
EDGEAX_DECLARE_KERNEL(GroupedConv2D, Neon, Tensors)
EDGEAX_DECLARE_KERNEL(GroupedFullyConnected, Neon, Tensors)
EDGEAX_DECLARE_KERNEL(GroupedConv2D, NeonDotprod, Tensors)
EDGEAX_DECLARE_KERNEL(GroupedFullyConnected, NeonDotprod, Tensors)

// Writes the point of each of `size` codes, see core/lookup.h.
void PutOnPointsAvx512(const int8_t* points, const int8_t* input, size_t size, int8_t* output);

}  // namespace edgeax

#undef EDGEAX_DECLARE_INT16_KERNELS
#undef EDGEAX_DECLARE_INT16_KERNEL
#undef EDGEAX_DECLARE_KERNEL
#undef EDGEAX_DECLARE_GRADIENTS
