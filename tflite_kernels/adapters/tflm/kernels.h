#pragma once  // adapters/tflm/kernels.h: the kernel of each operator on a microcontroller.

#include "tflite_kernels/adapters/tflite_prepare.h"
#include "tflite_kernels/arch/no_scratch.h"

namespace edgeax {
namespace tflm {

// A struct for each operator, so that a program holds the kernels of those that it registers only.
// The members are those of KernelSet that the operator reads.
template <typename Op>
struct KernelsOf;

template <>
struct KernelsOf<Conv2DOp> {
  static constexpr Kernel<Conv2DArgs> conv2d = {Conv2D, NoScratch<Conv2DGeometry>};
  static constexpr Kernel<Int16Args<Conv2DArgs>, Int16Tensors> int16_conv2d = {
      Conv2D, NoScratch<Conv2DGeometry>};
};

template <>
struct KernelsOf<DepthwiseConv2DOp> {
  static constexpr Kernel<DepthwiseConv2DArgs> depthwise_conv2d = {
      DepthwiseConv2D, NoScratch<DepthwiseConv2DGeometry>};
  static constexpr Kernel<Int16Args<DepthwiseConv2DArgs>, Int16Tensors> int16_depthwise_conv2d = {
      DepthwiseConv2D, NoScratch<DepthwiseConv2DGeometry>};
};

template <>
struct KernelsOf<FullyConnectedOp> {
  using Int16 = Int16Args<FullyConnectedArgs>;
  static constexpr Kernel<FullyConnectedArgs> fully_connected = {
      FullyConnected, NoScratch<FullyConnectedArgs, CheckFullyConnected>};
  static constexpr Kernel<Int16, Int16Tensors> int16_fully_connected = {
      FullyConnected, NoScratch<Int16, CheckFullyConnected>};
};

template <>
struct KernelsOf<SparseConv2DOp> {
  static constexpr Kernel<SparseConv2DArgs, SparseTensors> sparse_conv2d = {
      SparseConv2D, NoScratch<Conv2DGeometry>};
  static constexpr Kernel<Int16Args<SparseConv2DArgs>, Int16SparseTensors> int16_sparse_conv2d = {
      SparseConv2D, NoScratch<Conv2DGeometry>};
};

template <>
struct KernelsOf<SparseFullyConnectedOp> {
  using Int16 = Int16Args<SparseFullyConnectedArgs>;
  static constexpr Kernel<SparseFullyConnectedArgs, SparseTensors> sparse_fully_connected = {
      SparseFullyConnected, NoScratch<SparseFullyConnectedArgs, CheckSparseFullyConnected>};
  static constexpr Kernel<Int16, Int16SparseTensors> int16_sparse_fully_connected = {
      SparseFullyConnected, NoScratch<Int16, CheckSparseFullyConnected>};
};

template <>
struct KernelsOf<CodedConv2DOp> {
  static constexpr auto conv2d = KernelsOf<Conv2DOp>::conv2d;
  static constexpr auto sparse_conv2d = KernelsOf<SparseConv2DOp>::sparse_conv2d;
};

template <>
struct KernelsOf<CodedFullyConnectedOp> {
  static constexpr auto fully_connected = KernelsOf<FullyConnectedOp>::fully_connected;
  static constexpr auto sparse_fully_connected =
      KernelsOf<SparseFullyConnectedOp>::sparse_fully_connected;
};

template <>
struct KernelsOf<BinaryConv2DOp> {
  static constexpr Kernel<BinaryConv2DArgs, BinaryTensors> binary_conv2d = {
      BinaryConv2D, NoScratch<BinaryConv2DGeometry>};
};

template <>
struct KernelsOf<BinaryFullyConnectedOp> {
  static constexpr Kernel<BinaryFullyConnectedArgs, BinaryTensors> binary_fully_connected = {
      BinaryFullyConnected, NoScratch<BinaryFullyConnectedArgs, CheckBinaryFullyConnected>};
};

template <>
struct KernelsOf<BinaryMaxPool2DOp> {
  static constexpr Kernel<BinaryMaxPool2DArgs, BinaryPoolTensors> binary_max_pool2d = {
      BinaryMaxPool2D, NoScratch<WindowGeometry>};
};

template <>
struct KernelsOf<FloatFullyConnectedOp> {
  static constexpr Kernel<FloatFullyConnectedArgs, FloatTensors> float_fully_connected = {
      FloatFullyConnected, NoScratch<FloatFullyConnectedArgs, CheckFloatFullyConnected>};
};

struct SignSumKernels {
  static constexpr Kernel<SignSumArgs, SignSumTensors> sign_sum = {SignSum,
                                                                   NoScratch<BinaryConv2DGeometry>};
};

template <>
struct KernelsOf<SignSumConv2DOp> : SignSumKernels {};
template <>
struct KernelsOf<SignSumFullyConnectedOp> : SignSumKernels {};

template <>
struct KernelsOf<VectorConv2DOp> {
  static constexpr Kernel<VectorConv2DArgs, VectorTensors> vector_conv2d = {
      VectorConv2D, NoScratch<Conv2DGeometry>};
};

template <>
struct KernelsOf<VectorFullyConnectedOp> {
  static constexpr Kernel<VectorFullyConnectedArgs, VectorTensors> vector_fully_connected = {
      VectorFullyConnected, NoScratch<VectorFullyConnectedArgs, CheckVectorFullyConnected>};
};

template <>
struct KernelsOf<GroupedConv2DOp> {
  static constexpr Kernel<GroupedConv2DArgs> grouped_conv2d = {GroupedConv2D,
                                                               NoScratch<Conv2DGeometry>};
};

template <>
struct KernelsOf<GroupedFullyConnectedOp> {
  static constexpr Kernel<GroupedFullyConnectedArgs> grouped_fully_connected = {
      GroupedFullyConnected, NoScratch<GroupedFullyConnectedArgs, CheckGroupedFullyConnected>};
};

template <>
struct KernelsOf<LookupConv2DOp> {
  static constexpr Kernel<LookupConv2DArgs, LookupTensors> lookup_conv2d = {
      LookupConv2D, NoScratch<Conv2DGeometry>};
};

template <>
struct KernelsOf<LookupFullyConnectedOp> {
  static constexpr Kernel<LookupFullyConnectedArgs, LookupTensors> lookup_fully_connected = {
      LookupFullyConnected, NoScratch<LookupFullyConnectedArgs, CheckLookup>};
};

}  // namespace tflm
}  // namespace edgeax
