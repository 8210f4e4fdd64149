#pragma once  // arch/dispatch.h: which kernels this processor can run.

#include "tflite_kernels/core/binary_conv2d.h"
#include "tflite_kernels/core/binary_fully_connected.h"
#include "tflite_kernels/core/binary_max_pool2d.h"
#include "tflite_kernels/core/conv2d.h"
#include "tflite_kernels/core/depthwise_conv2d.h"
#include "tflite_kernels/core/float_fully_connected.h"
#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/grouped_conv2d.h"
#include "tflite_kernels/core/grouped_fully_connected.h"
#include "tflite_kernels/core/lookup_conv2d.h"
#include "tflite_kernels/core/lookup_fully_connected.h"
#include "tflite_kernels/core/predicted_signs.h"
#include "tflite_kernels/core/sign_sum.h"
#include "tflite_kernels/core/sparse_conv2d.h"
#include "tflite_kernels/core/sparse_fully_connected.h"
#include "tflite_kernels/core/variable_conv2d.h"
#include "tflite_kernels/core/vector_conv2d.h"
#include "tflite_kernels/core/vector_fully_connected.h"

namespace edgeax {

// One operator on one instruction set. `scratch_bytes` checks the arguments and gives the size of
// `scratch` that `run` asks for; both read it from one plan. Whether `run` computes only the share
// that the tensors name, with that much scratch each.
template <typename Args, typename TensorsOfArgs = Tensors>
struct Kernel {
  Status (*run)(const Args& args, const TensorsOfArgs& tensors);
  Status (*scratch_bytes)(const Args& args, size_t* bytes);
  bool splits = false;
};

// All operators on one instruction set. Every set gives the numbers of "reference".
struct KernelSet {
  const char* name;
  bool (*is_supported)();  // on the processor that runs this
  Kernel<Conv2DArgs> conv2d;
  Kernel<DepthwiseConv2DArgs> depthwise_conv2d;
  Kernel<FullyConnectedArgs> fully_connected;
  Kernel<SparseConv2DArgs, SparseTensors> sparse_conv2d;
  Kernel<SparseFullyConnectedArgs, SparseTensors> sparse_fully_connected;
  Kernel<BinaryConv2DArgs, BinaryTensors> binary_conv2d;
  Kernel<BinaryFullyConnectedArgs, BinaryTensors> binary_fully_connected;
  Kernel<BinaryMaxPool2DArgs, BinaryPoolTensors> binary_max_pool2d;
  Kernel<FloatFullyConnectedArgs, FloatTensors> float_fully_connected;
  Kernel<SignSumArgs, SignSumTensors> sign_sum;
  // The operators that also take int16 activations.
  Kernel<Int16Args<Conv2DArgs>, Int16Tensors> int16_conv2d;
  Kernel<Int16Args<DepthwiseConv2DArgs>, Int16Tensors> int16_depthwise_conv2d;
  Kernel<Int16Args<FullyConnectedArgs>, Int16Tensors> int16_fully_connected;
  Kernel<Int16Args<SparseConv2DArgs>, Int16SparseTensors> int16_sparse_conv2d;
  Kernel<Int16Args<SparseFullyConnectedArgs>, Int16SparseTensors> int16_sparse_fully_connected;
  Kernel<VectorConv2DArgs, VectorTensors> vector_conv2d;
  Kernel<VectorFullyConnectedArgs, VectorTensors> vector_fully_connected;
  Kernel<GroupedConv2DArgs> grouped_conv2d;
  Kernel<GroupedFullyConnectedArgs> grouped_fully_connected;
  Kernel<LookupConv2DArgs, LookupTensors> lookup_conv2d;
  Kernel<LookupFullyConnectedArgs, LookupTensors> lookup_fully_connected;
  // Of layers on floats: a convolution's kernel and input, and those of the others' inputs.
  Kernel<Conv2DGradientArgs, GradientTensors> backprop_filter, backprop_input;
  Kernel<PoolGradientArgs, GradientTensors> max_pool_grad, avg_pool_grad;
  Kernel<ActivationGradientArgs, GradientTensors> activation_grad;
  Kernel<VariableConv2DArgs, VariableConv2DTensors> variable_conv2d;
  Kernel<PredictedSignsArgs, SignTensors> predicted_signs;
  // Whether the products read Tensors::weight_sums and SparseTensors::balanced, if they are there.
  bool takes_weight_sums = false, takes_balanced = false;
};

// The sets compiled into this library, slowest first; the first is "reference".
Span<const KernelSet> KernelSets();

// The set of that name, or null when it is not compiled in or the processor lacks it. "auto" is the
// fastest that the processor has.
const KernelSet* FindKernelSet(const char* name);

}  // namespace edgeax
