#pragma once  // arch/lookup.h: inputs are put on their points, and multiplied as others are.
              // Wherever one instruction multiplies several codes, it takes no longer than to look
              // their products up.

#include "tflite_kernels/arch/dispatch.h"
#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/lookup_conv2d.h"
#include "tflite_kernels/core/lookup_fully_connected.h"

namespace edgeax {
namespace {

// Numbers of the input; `args` are checked.
inline size_t LookupInputSize(const LookupConv2DArgs& args) {
  const Shape4& input = args.conv2d.input;
  return size_t(input.batch) * input.height * input.width * input.channels;
}
inline size_t LookupInputSize(const LookupFullyConnectedArgs& args) {
  return size_t(args.fully_connected.rows) * args.fully_connected.depth;
}

inline void PutOnPoints(const int8_t* points, const int8_t* input, size_t size, int8_t* output) {
  for (size_t i = 0; i < size; ++i) output[i] = points[input[i] + 128];
}

// A kernel on that of the grouped operator, and on what writes the points of codes.
template <typename Args, typename GroupedArgs, Status (*kRun)(const GroupedArgs&, const Tensors&),
          Status (*kScratchBytes)(const GroupedArgs&, size_t*),
          void (*kPutOnPoints)(const int8_t*, const int8_t*, size_t, int8_t*)>
struct LookupOn {
  static Status ScratchBytes(const Args& args, size_t* bytes) {
    *bytes = 0;
    size_t rest = 0;
    Status status = CheckLookup(args);
    if (status == Status::kOk) status = kScratchBytes(GroupedOf(args), &rest);
    if (status == Status::kOk) *bytes = AlignedBytes(LookupInputSize(args)) + rest;
    return status;
  }

  static Status Run(const Args& args, const LookupTensors& tensors) {
    size_t bytes = 0;
    Status status = ScratchBytes(args, &bytes);
    if (status == Status::kOk) status = CheckLookup(args, tensors);
    if (status != Status::kOk) return status;
    const Span<uint8_t>& scratch = tensors.scratch;
    if (scratch.size < bytes) return Status::kBadScratch;
    int8_t* on_points = reinterpret_cast<int8_t*>(scratch.data);
    const size_t size = tensors.input.size, used = AlignedBytes(size);
    kPutOnPoints(tensors.points.data, tensors.input.data, size, on_points);
    const Span<uint8_t> rest = {scratch.data + used, scratch.size - used};
    return kRun(GroupedOf(args), GroupedTensors(tensors, {on_points, size}, rest));
  }

  static constexpr Kernel<Args, LookupTensors> kKernel = {Run, ScratchBytes, true};
};

}  // namespace
}  // namespace edgeax
