#pragma once  // adapters/tflite_int16.h: operators whose activations are int8 or int16, as their
              // tensors say.

#include "tflite_kernels/adapters/tflite_operands.h"
#include "tflite_kernels/arch/dispatch.h"

namespace edgeax {
namespace {

template <typename ArgsOfInt8>
struct EitherArgs {
  bool is_int16;
  ArgsOfInt8 args;
};

// What a kernel reads and writes: one of both.
template <template <typename Code> class TensorsOf>
struct EitherTensors {
  TensorsOf<int8_t> int8;
  TensorsOf<int16_t> int16;
};

// The kernels for both types as one.
template <typename ArgsOfInt8, template <typename Code> class TensorsOf>
struct EitherKernel {
  const Kernel<ArgsOfInt8, TensorsOf<int8_t>>& int8;
  const Kernel<Int16Args<ArgsOfInt8>, TensorsOf<int16_t>>& int16;

  Status scratch_bytes(const EitherArgs<ArgsOfInt8>& args, size_t* bytes) const {
    return args.is_int16 ? int16.scratch_bytes({args.args}, bytes)
                         : int8.scratch_bytes(args.args, bytes);
  }

  Status run(const EitherArgs<ArgsOfInt8>& args, const EitherTensors<TensorsOf>& tensors) const {
    return args.is_int16 ? int16.run({args.args}, tensors.int16)
                         : int8.run(args.args, tensors.int8);
  }
};

template <typename ArgsOfInt8, template <typename Code> class TensorsOf>
bool Splits(const EitherKernel<ArgsOfInt8, TensorsOf>& kernel, const EitherArgs<ArgsOfInt8>& args) {
  return args.is_int16 ? kernel.int16.splits : kernel.int8.splits;
}

template <template <typename Code> class TensorsOf>
void GiveShare(Share share, Span<uint8_t> scratch, EitherTensors<TensorsOf>* tensors) {
  tensors->int8.share = tensors->int16.share = share;
  tensors->int8.scratch = tensors->int16.scratch = scratch;
}

bool IsInt16(const Operand& operand) { return operand.tensor->type == kTfLiteInt16; }

// Checks arguments by the type of the activations, and gives their geometry.
template <typename ArgsOfInt8, typename Geometry>
Status GeometryFor(const Operands& operands, const ArgsOfInt8& args, Geometry* geometry) {
  return IsInt16(operands.input) ? GeometryOf(Int16Args<ArgsOfInt8>{args}, geometry)
                                 : GeometryOf(args, geometry);
}

// At a multiple of how many bytes the activations have to lie.
template <typename Args>
size_t AlignmentOf(const Args&) {
  return alignof(int8_t);
}
template <typename ArgsOfInt8>
size_t AlignmentOf(const EitherArgs<ArgsOfInt8>& args) {
  return args.is_int16 ? alignof(int16_t) : alignof(int8_t);
}

// Input and output, as int16.
inline Span<const int16_t> Int16Of(Span<const int8_t> bytes) {
  return {reinterpret_cast<const int16_t*>(bytes.data), bytes.size / sizeof(int16_t)};
}
inline Span<int16_t> Int16Of(Span<int8_t> bytes) {
  return {reinterpret_cast<int16_t*>(bytes.data), bytes.size / sizeof(int16_t)};
}

// `int8` for tensors of either type, whose bytes its input and output are.
EitherTensors<CodeTensors> TensorsOfEither(const Tensors& int8) {
  return {int8,
          {Int16Of(int8.input),
           int8.weights,
           int8.bias,
           int8.requantization,
           int8.codebook,
           {},
           Int16Of(int8.output)}};
}
EitherTensors<SparseCodeTensors> TensorsOfEither(const SparseTensors& int8) {
  return {int8,
          {Int16Of(int8.input),
           int8.weights,
           int8.bias,
           int8.requantization,
           {},
           Int16Of(int8.output)}};
}

}  // namespace
}  // namespace edgeax
