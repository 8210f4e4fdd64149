#pragma once  // core/sparse_conv2d.h: convolution with sparse int8 weights.

#include "tflite_kernels/core/conv2d.h"
#include "tflite_kernels/core/sparse.h"

namespace edgeax {

struct SparseConv2DArgs {
  Conv2DArgs conv2d;
  SparseFormat format;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const SparseConv2DArgs& args, Conv2DGeometry* geometry);
Status GeometryOf(const Int16Args<SparseConv2DArgs>& args, Conv2DGeometry* geometry);

// The same and CheckSparseTensors.
Status CheckSparseConv2D(const SparseConv2DArgs& args, const SparseTensors& tensors,
                         Conv2DGeometry* geometry);
Status CheckSparseConv2D(const Int16Args<SparseConv2DArgs>& args, const Int16SparseTensors& tensors,
                         Conv2DGeometry* geometry);

// What Conv2D gives for the same weights, of which row c has kernel_height * kernel_width *
// input.channels / groups in the order height, width, input channel. Same integers on every target.
// Needs no scratch. On an error `output` is untouched.
Status SparseConv2D(const SparseConv2DArgs& args, const SparseTensors& tensors);
Status SparseConv2D(const Int16Args<SparseConv2DArgs>& args, const Int16SparseTensors& tensors);

}  // namespace edgeax
